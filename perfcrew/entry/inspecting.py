"""The commands that look at runs: verify, report, journal, runs, serve."""

import click

ROLES = click.Choice(["performance", "memory-sync", "architect", "coder", "tester", "security", "guide"])
"""As `perfcrew.records.base.Role`, by test; importing that would cost the help its speed."""


@click.command(epilog="\b\nExample:\n  perfcrew verify 20260101-120000-ab12")
@click.argument("run", default="last")
def verify(run: str) -> int:
    """Compute every figure of a run's report again from its raw files; fail on the first that differs.

    RUN is a run's id, its folder, or `last`.
    """
    from perfcrew.entry.shelf import verify_run

    return verify_run(run)


@click.command(epilog="\b\nExamples:\n  perfcrew report last --md > report.md\n  perfcrew report last --open")
@click.argument("run", default="last")
@click.option("--html", "form", flag_value="html", help="Write the page and print its path.")
@click.option("--md", "form", flag_value="md", help="Print Markdown.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--open", "form", flag_value="open", help="Write the page and open it in your browser.")
def report(run: str, form: str | None) -> int:
    """Show a finished run's report. RUN is a run's id, its folder, or `last`."""
    from perfcrew.entry.shelf import show_report

    return show_report(run, form or "terminal")


@click.command(
    epilog="\b\nExamples:\n  perfcrew journal last --role coder\n  perfcrew journal last --role architect --turn 0"
)
@click.argument("run", default="last")
@click.option("--role", type=ROLES, help="Only conversations of this role.")
@click.option("--turn", type=click.IntRange(min=0), metavar="N", help="Only this turn, with all that was said.")
@click.option("--raw", "form", flag_value="raw", help="Print the lines of the journal as they are.")
@click.option("--json", "form", flag_value="json", help="Print the overview as JSON.")
def journal(run: str, role: str | None, turn: int | None, form: str | None) -> int:
    """Show who asked what in a run, what came back, tokens, seconds and money.

    RUN is a run's id, its folder, `last`, or a recording. The run may still be at work.
    """
    from perfcrew.entry.journal_view import show_journal

    return show_journal(run, role=role, turn=turn, form=form)


@click.command(epilog="\b\nExamples:\n  perfcrew runs\n  perfcrew runs --json -n 100")
@click.option("-n", "most", type=click.IntRange(min=1), default=20, metavar="N", help="So many; 20 by default.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
def runs(most: int, form: str | None) -> int:
    """List the newest runs on this machine."""
    from perfcrew.entry.shelf import list_all

    return list_all(most=most, form=form)


@click.command(epilog="\b\nExample:\n  perfcrew serve --port 8642")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0 for any free one.")
@click.option("--open", "opened", is_flag=True, help="Open it in your browser.")
def serve(port: int, opened: bool) -> int:
    """Show all runs as a local page, live while one is at work. Ctrl-C ends it.

    It listens on loopback only, changes nothing, and answers no other host's name.
    """
    from perfcrew.entry.serving import serve_runs

    return serve_runs(port, opened=opened)
