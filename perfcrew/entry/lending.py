"""The command for other hosts: load-worker."""

import click


@click.command(
    "load-worker",
    epilog="\b\nExample, on each of two other hosts, and on the one that measures:\n  perfcrew load-worker 10.0.0.5\n"
    "  PERFCREW_LOAD_WORKERS=2@10.0.0.5 perfcrew measure",
)
@click.argument("address", metavar="HOST[:PORT]")
def load_worker(address: str) -> int:
    """Lend this host's cores to the load of another that measures.

    HOST is that machine, as in its PERFCREW_LOAD_WORKERS. It sends what is to be run here, so only lend to a machine
    that you trust. If a locustfile imports modules of yours, call this in their folder. Ends with Ctrl-C.
    """
    import asyncio

    from tools.load_host import lend_host

    asyncio.run(lend_host(address, lambda line: click.echo(f"load-worker: {line}", err=True)))
    return 0
