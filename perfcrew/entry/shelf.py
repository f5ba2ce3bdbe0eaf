"""Finished runs: finding, verifying, showing, listing them."""

import sys
from pathlib import Path

import click
from rich.console import Console

from graphs.runs import is_finished, list_runs, read_any, read_manifest, run_folder
from perfcrew.artifacts import Artifacts
from perfcrew.errors import UserError, VerificationError
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
    elif form == "html":
        click.echo(str(write_pages(folder, report)))
    else:
        from perfcrew.report.terminal import print_report

        print_report(report, Console(), write_pages(folder, report))


def _show_survey(survey: Survey, folder: Path, form: str) -> None:
    if form == "md":
        from perfcrew.report.survey_markdown import render_survey

        sys.stdout.write(render_survey(survey))
    elif form == "html":
        click.echo(str(write_survey(folder, survey)))
    else:
        from perfcrew.report.survey_terminal import print_survey

        print_survey(survey, Console(highlight=False), write_survey(folder, survey))


def _show_comparison(comparison: Comparison, form: str) -> None:
    from perfcrew.report.comparison_text import print_comparison, render_comparison

    if form == "html":
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


def list_all() -> int:
    """List the newest runs, measures and comparisons, newest first."""
    home = load_settings().home
    folders = list_runs(home)
    for folder in folders:
        manifest = read_manifest(folder)
        result = read_any(folder) if is_finished(folder) else None
        click.echo(f"{folder.name}  {manifest.kind:<7}  {_summary(result):<36}  {manifest.repo}")
    if not folders:
        click.echo(f"no runs in {home / 'runs'}")
    return 0


def _summary(result: Report | Survey | Comparison | None) -> str:
    if result is None:
        return "unfinished"
    if isinstance(result, Survey):
        return f"{len(result.findings)} findings at {result.commit[:12]}"
    if isinstance(result, Comparison):
        return f"{result.outcome.replace('_', ' ')}"
    return f"{result.outcome.replace('_', ' ')}, {'goals met' if result.goals_met else 'goals not met'}"
