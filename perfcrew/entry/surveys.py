"""`perfcrew measure` and `perfcrew compare`: from options to what is printed and written."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from graphs.comparing import CompareOptions, compare_revisions
from graphs.survey import SurveyOptions, take_survey
from perfcrew.entry.drive import run_to_end
from perfcrew.entry.progress import Progress
from perfcrew.entry.shelf import write_survey
from perfcrew.errors import UserError
from perfcrew.event_log import EVENT_LOG
from perfcrew.report.comparison_text import print_comparison, render_comparison
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


def run_compare(given: Mapping[str, Any]) -> int:
    """Compare, show and write; the exit code."""
    settings = load_settings()
    console = console_for(given)
    options = compare_options(given)
    check_writable(given)
    with Progress(console) as progress:
        comparison, _ = run_to_end(compare_revisions(options, settings=settings, watch=progress.watch))
    if given["json_file"] is not None:
        write_text(given["json_file"], comparison.model_dump_json(by_alias=True, indent=1) + "\n")
    if given["markdown_file"] is not None:
        write_text(given["markdown_file"], render_comparison(comparison))
    print_comparison(comparison, console)
    worse = comparison.outcome == "regressed" or (given["strict"] and comparison.outcome == "underpowered")
    return 1 if worse else 0


def compare_options(given: Mapping[str, Any]) -> CompareOptions:
    """What to compare; with `--worktree` a second argument is the path.

    Raises:
        UserError: neither a candidate nor `--worktree`, or both.
    """
    candidate, path = given["candidate"], given["path"]
    if given["worktree"]:
        if candidate is not None and path != Path():
            raise UserError("compare: expected a CANDIDATE or --worktree, got both")
        candidate, path = None, Path(candidate) if candidate is not None else path
    elif candidate is None:
        raise UserError("compare: expected BASE and CANDIDATE, or BASE and --worktree")
    return CompareOptions(
        base=given["base"],
        candidate=candidate,
        repo=path,
        config=given["config"],
        workloads=tuple(given["workloads"]),
        within_s=given["within_s"],
        check_behaviour=given["check_behaviour"],
        goals=given["goals"],
        quick=given["quick"],
    )


def console_for(given: Mapping[str, Any]) -> Console:
    """Where to write for people: standard error where standard output carries a file."""
    taken = any(str(given.get(name)) == "-" for name in ("json_file", "markdown_file"))
    return Console(stderr=taken, quiet=taken and EVENT_LOG.is_open, highlight=False)


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
