"""`perfcrew run` and `perfcrew demo`: the whole recipe."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape

from evals.case import find_case, make_repository
from graphs.engine import RunOptions, run
from graphs.runs import read_manifest, run_folder
from perfcrew.entry.context import read_context
from perfcrew.entry.drive import ask_in, console_for, drive, expect_seconds, finish, run_to_end, settings_of
from perfcrew.entry.screen import Screen
from perfcrew.entry.shelf import find_run
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.llm.recording import Recording
from perfcrew.records.work import RecipeRequest
from perfcrew.settings import Settings
from tools.target import load_target
from tools.target_checks import find_warnings

DEMO_SECONDS = 420.0
"""How long the demo takes on two cores, where this machine has not run it yet."""


def run_recipe(given: Mapping[str, Any]) -> int:
    """Run the recipe on the user's application, or go on with a run; the exit code."""
    settings = settings_of(given)
    options = options_of(given, settings)
    console = console_for(given["json_file"])
    if not options.run_id:
        for line in find_warnings(load_target(options.repo, options.config)[0]):
            console.print(f"[yellow]note:[/yellow] {escape(line)}")
    if options.replay:
        console.print(f"Replies come from a recording ({escape(label_of(options.replay))}); {_tools_of(options)}.")
    return _play(options, settings, given)


def _tools_of(options: RunOptions) -> str:
    return "so do the tools' results" if options.frozen else "tools are live"


def options_of(given: Mapping[str, Any], settings: Settings) -> RunOptions:
    """The engine's options from a command's.

    Raises:
        UserError: no such run, or a context file that can't be used.
    """
    if given.get("resume"):
        run_id = find_run(given["resume"]).name
        manifest = read_manifest(run_folder(settings.home, run_id))
        return RunOptions(repo=manifest.repo, config=manifest.config, request=manifest.request, run_id=run_id)
    replay = _existing(given.get("replay"))
    for name in ("strict", "recorded_tools"):
        if given.get(name) and replay is None:
            raise UserError(f"--{name.replace('_', '-')} belongs to --replay RECORDING")
    return RunOptions(
        repo=given["path"],
        config=given["config"],
        request=request_of(given),
        replay=replay,
        frozen=bool(given.get("recorded_tools")),
        strict=bool(given.get("strict")),
        answered_by=given.get("answered_by") or "",
        quick=bool(given.get("quick")),
    )


def request_of(given: Mapping[str, Any]) -> RecipeRequest:
    """The request: the context file's, with the command's options on top."""
    request = read_context(given["context"]) if given.get("context") else RecipeRequest()
    if given.get("issue"):
        request = request.model_copy(update={"context": request.context.model_copy(update={"issue": given["issue"]})})
    return request.model_copy(
        update={
            "variation": given.get("variation") or "full",
            "security": bool(given.get("security")),
            "approve": bool(given.get("approve")),
        }
    )


def label_of(recording: Path) -> str:
    """Who gave a recording's replies."""
    return Recording(recording, frozen=False).label


def _existing(path: Path | None) -> Path | None:
    if path is None:
        return None
    if not path.is_file():
        raise UserError(f"{path}: no such recording")
    try:
        recorded = Recording(path, frozen=False).lanes()
    except PerfcrewError as error:
        raise UserError(str(error)) from None
    if not recorded:
        raise UserError(f"{path}: not a recording: no model answers in it; --record FILE writes one")
    return path


def _play(options: RunOptions, settings: Settings, given: Mapping[str, Any], expected_s: float | None = None) -> int:
    console = console_for(given["json_file"])
    screen = Screen(console, expect_seconds(settings, options.repo) or expected_s)
    approve = ask_in(screen) if options.request.approve and sys.stdin.isatty() else None
    report, folder = drive(
        lambda watch: run(options, settings=settings, watch=watch, approve=approve), options, settings, screen
    )
    return finish(report, folder, console, given)


def run_demo(given: Mapping[str, Any]) -> int:
    """Run the recipe on a bundled application in a scratch repository; the exit code."""
    case = find_case(given["name"])
    settings = settings_of(given)
    console = console_for(given["json_file"])
    if not given["live"] and not case.recording.is_file():
        raise UserError(f"case {case.name} has no recording yet; with a model of your own: perfcrew demo --live")
    scratch = given["keep"] or Path(tempfile.mkdtemp(prefix="perfcrew-demo-"))
    try:
        repo = run_to_end(make_repository(case, scratch))
        request = read_context(case.context) if case.context.is_file() else RecipeRequest()
        console.print(f"Copied the {case.name} application to a scratch git repository: {escape(str(repo))}")
        if not given["live"]:
            console.print(
                f"[bold]Replies come from a recording[/bold], given by {escape(label_of(case.recording))}. "
                "Load, profiles, patches, duels and tests are live."
            )
        options = RunOptions(
            repo=repo,
            config=case.config,
            request=request,
            replay=None if given["live"] else case.recording,
            answered_by=given["answered_by"],
            quick=given["quick"],
        )
        return _play(options, settings, given, DEMO_SECONDS)
    finally:
        if not given["keep"]:
            shutil.rmtree(scratch, ignore_errors=True)
