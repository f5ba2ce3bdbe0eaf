"""Finished runs: finding, verifying, showing, listing them."""

import sys
from pathlib import Path

import click

from graphs.runs import finished_runs, list_runs, read_report, run_folder
from perfcrew.artifacts import Artifacts
from perfcrew.errors import UserError, VerificationError
from perfcrew.records.report import Report
from perfcrew.settings import load_settings


def find_run(name: str) -> Path:
    """The folder of a run, by its id, its folder, or `last`.

    Raises:
        UserError: there is none.
    """
    if "/" in name or Path(name, "run.json").is_file():
        if not Path(name, "run.json").is_file():
            raise UserError(f"{name}: not a run's folder")
        return Path(name)
    home = load_settings().home
    if name == "last":
        newest = list_runs(home, most=1)
        if not newest:
            raise UserError(f"there is no run yet in {home / 'runs'}; begin with: perfcrew demo")
        return newest[0]
    return run_folder(home, name)


def write_pages(folder: Path, report: Report) -> Path:
    """Write the report as a page and as Markdown beside its JSON; the page's path."""
    from perfcrew.report.html import render_html
    from perfcrew.report.markdown import render_markdown

    page = folder / "report.html"
    page.write_text(render_html(report, Artifacts(folder / "artifacts")), encoding="utf-8")
    (folder / "report.md").write_text(render_markdown(report), encoding="utf-8")
    return page


def verify_run(name: str) -> int:
    """Verify a run; exit code 1 where a figure differs."""
    from perfcrew.report.verify import verify_report

    folder = find_run(name)
    try:
        result = verify_report(read_report(folder), Artifacts(folder / "artifacts"))
    except VerificationError as error:
        click.echo(f"perfcrew: {folder.name}: {error}", err=True)
        return 1
    click.echo(f"{result.run_id}: {result.figures} figures computed again, {result.files} raw files checked; all agree")
    return 0


def show_report(name: str, form: str) -> int:
    """Show a report in one of its forms."""
    folder = find_run(name)
    report = read_report(folder)
    if form == "json":
        click.echo(report.model_dump_json(by_alias=True, indent=1))
    elif form == "md":
        from perfcrew.report.markdown import render_markdown

        sys.stdout.write(render_markdown(report))
    elif form == "html":
        click.echo(str(write_pages(folder, report)))
    else:
        from rich.console import Console

        from perfcrew.report.terminal import print_report

        print_report(report, Console(), write_pages(folder, report))
    return 0


def list_all() -> int:
    """List the newest runs, newest first."""
    home = load_settings().home
    lines = [
        (manifest.run_id, report.outcome if report else "unfinished",
         ("goals met" if report.goals_met else "goals not met") if report else "", str(manifest.repo))
        for manifest, report in finished_runs(home)
    ]  # fmt: skip
    for run_id, outcome, goals, repo in lines:
        click.echo(f"{run_id}  {outcome:<21}  {goals:<13}  {repo}")
    if not lines:
        click.echo(f"no runs in {home / 'runs'}")
    return 0
