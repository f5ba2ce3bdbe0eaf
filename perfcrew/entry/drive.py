"""One run from options to exit code: the live screen, the report's files, what to say when it stops half way."""

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

from graphs.engine import Approval, RunOptions
from graphs.runs import finished_runs, run_folder
from perfcrew.entry.screen import Screen
from perfcrew.entry.shelf import write_pages
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.event_log import EVENT_LOG
from perfcrew.records.events import Event
from perfcrew.records.models import ROLES
from perfcrew.records.report import Report
from perfcrew.records.work import Plan
from perfcrew.report.terminal import print_report
from perfcrew.settings import Settings, load_settings

T = TypeVar("T")
Work = Callable[[Callable[[Event], None]], Coroutine[Any, Any, Report]]
MODELS = ("model", "model_quick", *(f"model_{role.replace('-', '_')}" for role in ROLES))
_OVERRIDES = (*MODELS, "budget_usd", "budget_minutes", "budget_tokens", "budget_turns")


class Stopped(PerfcrewError):
    """The user or the system stopped the run."""


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings, with a command's options on top."""
    roles = [_read_role(text) for text in given.get("role_budgets") or ()]
    return load_settings(**{name: given.get(name) for name in _OVERRIDES}, role_budgets=dict(roles) or None)


def _read_role(text: str) -> tuple[str, dict[str, str]]:
    role, colon, limits = text.partition(":")
    pairs = [part.partition("=") for part in limits.split(",")]
    if not colon or not all(name and value for name, _, value in pairs):
        raise UserError(f"--role-budget {text!r}: expected ROLE:LIMIT=N, such as coder:usd=5,turns=60")
    return role, {name.strip(): value.strip() for name, _, value in pairs}


def exit_code(report: Report) -> int:
    """0 goals met; 1 an honest run that did not reach the goals; 3 could not complete."""
    if report.outcome == "incomplete":
        return 3
    return 0 if report.goals_met else 1


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C and SIGTERM cancel it, so that it ends its own processes first.

    Raises:
        Stopped: it was cancelled.
    """

    async def guarded() -> T:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(guarded())
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Stopped("stopped") from None


def drive(
    work: Work, options: RunOptions, settings: Settings, screen: Screen, go_on: str = "perfcrew run --resume {}"
) -> tuple[Report, Path]:
    """Run and show progress; the report and the run's folder. A failure carries the way to go on as a note."""
    before = run_names(settings)
    try:
        with screen:
            report = run_to_end(work(screen.watch))
    except Exception as error:
        new = sorted(run_names(settings) - before)
        run_id = options.run_id or (new[0] if len(new) == 1 else None)
        if run_id and not (isinstance(error, UserError) or run_id in str(error)):
            error.add_note(f"go on with: {go_on.format(run_id)}")
        raise
    return report, run_folder(settings.home, report.run_id)


def run_names(settings: Settings) -> set[str]:
    """The ids of all runs on this machine."""
    return {path.name for path in (settings.home / "runs").glob("*")}


def console_for(json_file: Path | None) -> Console:
    """Where to write for people: standard error where standard output carries the JSON."""
    taken = json_file is not None and str(json_file) == "-"
    return Console(stderr=taken, quiet=taken and EVENT_LOG.is_open, highlight=False)


def expect_seconds(settings: Settings, repo: Path) -> float | None:
    """How long the last finished run on this repository took."""
    with suppress(UserError, OSError):
        for manifest, report in finished_runs(settings.home):
            if report is not None and manifest.repo == repo.resolve():
                return report.wall_seconds
    return None


def finish(report: Report, folder: Path, console: Console, given: Mapping[str, Any]) -> int:
    """Write what was asked for, print the summary; the exit code."""
    page = write_pages(folder, report)
    if given.get("record"):
        shutil.copyfile(folder / "journal.jsonl", given["record"])
    write_json(report, given.get("json_file"))
    print_report(report, console, page)
    console.print(f"Report: {escape(str(page))}  (verify it: perfcrew verify {report.run_id})", soft_wrap=True)
    return exit_code(report)


def write_json(report: Report, json_file: Path | None) -> None:
    """Write the report's JSON, to a file or standard output.

    Raises:
        UserError: the file can't be written.
    """
    if json_file is None:
        return
    text = report.model_dump_json(by_alias=True, indent=1) + "\n"
    if str(json_file) == "-":
        print(text, end="")
        return
    try:
        json_file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{json_file}: can't be written: {error.strerror}") from None


def ask_in(screen: Screen) -> Callable[[Plan], Awaitable[Approval]]:
    """Asks a person at the terminal about a plan."""

    async def approve(plan: Plan) -> Approval:
        with screen.paused() as console:
            console.print(f"\n[bold]Plan:[/bold] {escape(plan.summary)}")
            for number, step in enumerate(plan.steps, 1):
                console.print(
                    f"{number}. {escape(step.title)}  ({step.metric} x{step.predicted_ratio:g}, "
                    f"effort {step.effort}, risk {step.risk})"
                )
            console.print("Implement this plan? [y/N], or a note to decline with: ", end="", markup=False)
            try:
                answer = (await asyncio.to_thread(input)).strip()
            except EOFError:
                answer = ""
        approved = answer.lower() in ("y", "yes")
        return Approval(approved=approved, note="" if approved or answer.lower() in ("n", "no") else answer)

    return approve
