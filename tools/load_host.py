"""A host that lends its cores to another's load: a Locust worker, begun again after each test."""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from perfcrew.errors import UserError
from tools import process
from tools.load_channel import last_line
from tools.locust_load import PORT

PAUSE_S = 1.0


def read_address(text: str) -> tuple[str, int]:
    """`HOST` or `HOST:PORT`.

    Raises:
        UserError: it is neither.
    """
    match = re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:]+\])(?::(\d+))?", text)
    if match is None:
        raise UserError(f"load-worker: expected HOST or HOST:PORT of the machine that measures, got {text!r}")
    return match[1].strip("[]"), int(match[2] or PORT)


async def lend_host(
    address: str, tell: Callable[[str], None], *, modules: Path | None = None, tests: int | None = None
) -> None:
    """Send load whenever the machine at an address measures, until cancelled.

    Its Locust master sends the locustfiles, so that nothing but Locust is needed here; each measurement begins a master
    of its own. Whoever is at that address can run code here, as with any Locust worker.

    Args:
        address: HOST or HOST:PORT of the machine that measures, as in its PERFCREW_LOAD_WORKERS.
        tell: gets a line where something is worth saying.
        modules: folder with the modules that the locustfile imports, else the working directory; Locust sends the
            locustfile alone.
        tests: end after so many; None for no end.

    Raises:
        UserError: the address can't be read.
    """
    host, port = read_address(address)
    done = 0
    with tempfile.TemporaryDirectory(prefix="perfcrew-") as name:
        folder = Path(name)
        tell(f"ready for {host}:{port}; end with Ctrl-C")
        while tests is None or done < tests:
            (folder / "tmp").mkdir(exist_ok=True)
            worker = await process.start(
                [sys.executable, "-I", "-m", "locust", "-f", "-", "--worker", "--master-host", host,
                 "--master-port", str(port)],
                cwd=modules or Path.cwd(), log=folder / "log",
                environment={"PATH": os.defpath, "HOME": name, "TMPDIR": str(folder / "tmp")},
            )  # fmt: skip
            try:
                code = await worker.wait()
            finally:
                await worker.stop(grace_s=0)
            done += 1
            if code:
                tell(f"the worker ended with {code}: {last_line(folder / 'log')}")
                await asyncio.sleep(PAUSE_S)
