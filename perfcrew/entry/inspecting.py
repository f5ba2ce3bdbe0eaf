"""The commands that look at finished runs: verify, report, runs."""

import click


@click.command(epilog="\b\nExample:\n  perfcrew verify 20260101-120000-ab12")
@click.argument("run", default="last")
def verify(run: str) -> int:
    """Compute every figure of a run's report again from its raw files; fail on the first that differs.

    RUN is a run's id, its folder, or `last`.
    """
    from perfcrew.entry.shelf import verify_run

    return verify_run(run)


@click.command(epilog="\b\nExample:\n  perfcrew report last --md > report.md")
@click.argument("run", default="last")
@click.option("--html", "form", flag_value="html", help="Write the page and print its path.")
@click.option("--md", "form", flag_value="md", help="Print Markdown.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
def report(run: str, form: str | None) -> int:
    """Show a finished run's report. RUN is a run's id, its folder, or `last`."""
    from perfcrew.entry.shelf import show_report

    return show_report(run, form or "terminal")


@click.command(epilog="\b\nExample:\n  perfcrew runs")
def runs() -> int:
    """List the newest runs on this machine."""
    from perfcrew.entry.shelf import list_all

    return list_all()
