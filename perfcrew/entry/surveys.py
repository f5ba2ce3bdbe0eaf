"""`perfcrew measure` and `perfcrew compare`: from options to what is printed and written."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from graphs.survey import SurveyOptions, take_survey
from perfcrew.artifacts import Artifacts
from perfcrew.entry.drive import run_to_end
from perfcrew.entry.progress import Progress
from perfcrew.errors import UserError
from perfcrew.records.survey import Survey
from perfcrew.report.survey_html import render_survey_page
from perfcrew.report.survey_markdown import render_survey
from perfcrew.report.survey_terminal import print_survey
from perfcrew.settings import load_settings


def run_measure(given: Mapping[str, Any]) -> int:
    """Measure, show and write; the exit code."""
    settings = load_settings()
    console = console_for(given)
    options = SurveyOptions(
        repo=given["path"],
        config=given["config"],
        workloads=tuple(given["workloads"]),
        only=tuple(given["only"]),
        quick=given["quick"],
    )
    check_writable(given)
    with Progress(console) as progress:
        survey, folder = run_to_end(take_survey(options, settings=settings, watch=progress.watch))
    page = write_survey(folder, survey)
    if given["html_file"] is not None:
        write_text(given["html_file"], page.read_text(encoding="utf-8"))
    if given["json_file"] is not None:
        write_text(given["json_file"], survey.model_dump_json(by_alias=True, indent=1) + "\n")
    if given["markdown_file"] is not None:
        write_text(given["markdown_file"], render_survey(survey))
    print_survey(survey, console, given["html_file"] or page)
    return 0


def write_survey(folder: Path, survey: Survey) -> Path:
    """Write the survey as a page and as Markdown beside its JSON; the page's path."""
    page = folder / "measure.html"
    page.write_text(render_survey_page(survey, Artifacts(folder / "artifacts")), encoding="utf-8")
    (folder / "measure.md").write_text(render_survey(survey), encoding="utf-8")
    return page


def console_for(given: Mapping[str, Any]) -> Console:
    """Where to write for people: standard error where standard output carries a file."""
    taken = any(str(given.get(name)) == "-" for name in ("json_file", "markdown_file"))
    return Console(stderr=taken, highlight=False)


def check_writable(given: Mapping[str, Any]) -> None:
    """Find out before minutes of measuring that a file can't be written.

    Raises:
        UserError: its folder does not exist, or two outputs want standard output.
    """
    files = [given[name] for name in ("json_file", "html_file", "markdown_file") if given.get(name) is not None]
    for file in files:
        if str(file) != "-" and not file.parent.is_dir():
            raise UserError(f"{file}: can't be written: there is no folder {file.parent}")
    if sum(str(file) == "-" for file in files) > 1:
        raise UserError("--json - and --markdown -: only one of them can go to standard output")


def write_text(file: Path, text: str) -> None:
    """Write to a file, or to standard output for `-`.

    Raises:
        UserError: the file can't be written.
    """
    if str(file) == "-":
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: can't be written: {error.strerror}") from None
