"""Finished runs: finding, verifying, showing, listing them."""

import json
import sys
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from graphs.runs import is_at_work, is_finished, list_runs, read_any, read_manifest, run_folder
from perfcrew.artifacts import Artifacts
from perfcrew.errors import UserError, VerificationError
from perfcrew.records.base import Record
from perfcrew.records.report import Report
from perfcrew.records.survey import Comparison, Survey
from perfcrew.report.survey_verify import verify_comparison, verify_survey
from perfcrew.report.verify import VerifyResult, verify_report
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
    from perfcrew.entry.excerpts import find_excerpts
    from perfcrew.report.html import render_html
    from perfcrew.report.markdown import render_markdown

    page = folder / "report.html"
    page.write_text(
        render_html(report, Artifacts(folder / "artifacts"), find_excerpts(folder, report)), encoding="utf-8"
    )
    (folder / "report.md").write_text(render_markdown(report), encoding="utf-8")
    return page


def verify_run(name: str) -> int:
    """Verify a run, a measure or a comparison; exit code 1 where a figure differs."""
    folder = find_run(name)
    try:
        result = _verify(read_any(folder), Artifacts(folder / "artifacts"), folder / "journal.jsonl")
    except VerificationError as error:
        click.echo(f"perfcrew: {folder.name}: {error}", err=True)
        return 1
    click.echo(f"{result.run_id}: {result.figures} figures computed again, {result.files} raw files checked; all agree")
    return 0


def _verify(result: Report | Survey | Comparison, artifacts: Artifacts, journal: Path) -> VerifyResult:
    if isinstance(result, Survey):
        from tools.detectors import detect

        return verify_survey(result, artifacts, detect)
    if isinstance(result, Comparison):
        return verify_comparison(result, artifacts)
    from perfcrew.llm.accounts import verify_usage

    verified = verify_report(result, artifacts)
    return verified.model_copy(update={"figures": verified.figures + verify_usage(result, journal)})


def show_report(name: str, form: str) -> int:
    """Show a run, a measure or a comparison in one of its forms."""
    folder = find_run(name)
    result = read_any(folder)
    if form == "json":
        click.echo(result.model_dump_json(by_alias=True, indent=1))
    elif isinstance(result, Survey):
        _show_survey(result, folder, form)
    elif isinstance(result, Comparison):
        _show_comparison(result, form)
    else:
        _show_run(result, folder, form)
    return 0


def _show_run(report: Report, folder: Path, form: str) -> None:
    if form == "md":
        from perfcrew.report.markdown import render_markdown

        sys.stdout.write(render_markdown(report))
    elif form in ("html", "open"):
        _tell_page(write_pages(folder, report), form)
    else:
        from perfcrew.report.terminal import print_report

        print_report(report, Console(), write_pages(folder, report))


def _tell_page(page: Path, form: str) -> None:
    click.echo(str(page))
    if form == "open":
        open_page(page)


def _show_survey(survey: Survey, folder: Path, form: str) -> None:
    if form == "md":
        from perfcrew.report.survey_markdown import render_survey

        sys.stdout.write(render_survey(survey))
    elif form in ("html", "open"):
        _tell_page(write_survey(folder, survey), form)
    else:
        from perfcrew.report.survey_terminal import print_survey

        print_survey(survey, Console(highlight=False), write_survey(folder, survey))


def _show_comparison(comparison: Comparison, form: str) -> None:
    from perfcrew.report.comparison_text import print_comparison, render_comparison

    if form in ("html", "open"):
        raise UserError("a comparison has no page; its forms are the terminal's, --md and --json")
    if form == "md":
        sys.stdout.write(render_comparison(comparison))
    else:
        print_comparison(comparison, Console(highlight=False))


def write_survey(folder: Path, survey: Survey) -> Path:
    """Write a survey as a page and as Markdown beside its JSON; the page's path."""
    from perfcrew.entry.excerpts import find_excerpts
    from perfcrew.report.survey_html import render_survey_page
    from perfcrew.report.survey_markdown import render_survey

    page = folder / "measure.html"
    page.write_text(
        render_survey_page(survey, Artifacts(folder / "artifacts"), find_excerpts(folder, survey)), encoding="utf-8"
    )
    (folder / "measure.md").write_text(render_survey(survey), encoding="utf-8")
    return page


class Shelved(Record):
    """A run, measure or comparison as the list tells it."""

    run_id: str
    kind: str
    state: Literal["finished", "at work", "stopped"]
    """`stopped`: it can be gone on with."""
    summary: str
    outcome: str | None = None
    goals_met: bool | None = None
    repo: str


def list_shelved(home: Path, most: int) -> list[Shelved]:
    """The newest runs, measures and comparisons, newest first."""
    shelved = []
    for folder in list_runs(home, most):
        try:
            shelved.append(_shelve(folder))
        except UserError as error:
            shelved.append(Shelved(run_id=folder.name, kind="?", state="stopped", summary=str(error), repo="?"))
    return shelved


def _shelve(folder: Path) -> Shelved:
    manifest = read_manifest(folder)
    result = read_any(folder) if is_finished(folder) else None
    return Shelved(
        run_id=folder.name,
        kind=manifest.kind,
        state="finished" if result else "at work" if is_at_work(folder) else "stopped",
        summary=_summary(result),
        outcome=None if result is None or isinstance(result, Survey) else result.outcome,
        goals_met=result.goals_met if isinstance(result, Report) else None,
        repo=str(manifest.repo),
    )


def list_all(*, most: int, form: str | None) -> int:
    """List the newest runs, measures and comparisons, newest first."""
    home = load_settings().home
    shelved = list_shelved(home, most)
    if form == "json":
        click.echo(json.dumps([one.model_dump() for one in shelved], indent=1))
        return 0
    for one in shelved:
        summary = one.summary if one.state == "finished" or one.kind == "?" else one.state
        click.echo(f"{one.run_id}  {one.kind:<7}  {summary:<36}  {one.repo}")
    if not shelved:
        click.echo(f"no runs in {home / 'runs'}")
    return 0


def open_page(page: Path) -> None:
    """Open a page in the user's browser; where there is none its path was told already."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser could be opened here", err=True)


def _summary(result: Report | Survey | Comparison | None) -> str:
    if result is None:
        return "unfinished"
    if isinstance(result, Survey):
        return f"{len(result.findings)} findings at {result.commit[:12]}"
    if isinstance(result, Comparison):
        return f"{result.outcome.replace('_', ' ')}"
    return f"{result.outcome.replace('_', ' ')}, {'goals met' if result.goals_met else 'goals not met'}"
