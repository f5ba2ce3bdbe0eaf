"""`perfcrew exec`: slash commands, one after the other, on shared state."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from graphs.session import Done, Order, run_orders
from perfcrew.entry.commands import Command, parse_commands
from perfcrew.entry.drive import console_for, drive, expect_seconds, finish, settings_of, write_json
from perfcrew.entry.recipes import options_of, run_recipe
from perfcrew.entry.screen import Screen
from perfcrew.errors import UserError
from perfcrew.report.figures import name_metric, show_figure, show_ratio
from perfcrew.report.summary import describe_interval, rank_findings
from perfcrew.report.terminal import safe


def run_script(given: Mapping[str, Any]) -> int:
    """Carry out commands from the command line or a file; the exit code.

    0 where a measuring or planning script was carried out; a script that compares a changed version with the base ends
    with the recipe's codes.
    """
    commands = parse_commands(*_read(given))
    if any(command.role is None for command in commands):
        return _run_recipe(commands, given)
    settings = settings_of(given)
    options = options_of({**given, "context": None, "variation": "full"}, settings)
    console = console_for(given["json_file"])
    screen = Screen(console, expect_seconds(settings, options.repo) if len(commands) > 1 else None)
    orders = [Order(command.role, command.said, command.phase) for command in commands if command.role is not None]
    report, folder = drive(
        lambda watch: run_orders(
            options, orders, settings=settings, watch=watch, told=lambda done: tell_done(done, console)
        ),
        options,
        settings,
        screen,
    )
    if report.changes:
        return finish(report, folder, console, given)
    write_json(report, given["json_file"])
    console.print(f'Go on with: perfcrew exec --resume {report.run_id} "/agent:…"', markup=False)
    return 0


def _read(given: Mapping[str, Any]) -> tuple[str, str]:
    """The text and the name that mistakes in it are reported under."""
    text, script = given["text"], given["script"]
    if (text is None) == (script is None):
        raise UserError("exec: expected either the commands or -f FILE; - reads them from standard input")
    if text == "-":
        return sys.stdin.read(), "standard input"
    if script is None:
        return str(text), "command"
    try:
        return Path(script).read_text(encoding="utf-8"), str(script)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{script}: can't be read: {error}") from None


def _run_recipe(commands: list[Command], given: Mapping[str, Any]) -> int:
    """`/recipe [variation] words…` stands alone: it is all phases at once."""
    if len(commands) > 1:
        raise UserError("exec: /recipe runs all phases; expected it alone, got other commands beside it")
    command = commands[0]
    return run_recipe(
        {
            **given,
            "variation": command.variation,
            "context": None,
            "security": False,
            "approve": False,
            "issue": command.said,
        }
    )


def tell_done(done: Done, console: Console) -> None:
    """Print what a phase came to, in a few lines."""
    state, report = done.state, done.report
    console.print(safe(f"\n/agent:{done.order.role}", "bold"))
    match done.order.role:
        case "performance" if any(change.kept for change in report.changes):
            lines = [
                f"{name_metric(row.name)} of {row.workload}: {show_figure(row.name, row.base)} → "
                f"{show_figure(row.name, row.candidate)}, {show_ratio(row.ratio)} better ({describe_interval(row)})"
                for row in report.metrics
            ]
        case "performance":
            lines = [finding.claim for finding in rank_findings(report)]
        case "memory-sync":
            lines = [state["snapshot"].summary] if state["snapshot"] else []
        case "architect":
            plan = state["plans"][-1] if state["plans"] else None
            lines = [f"{step.title} ({step.metric} ×{step.predicted_ratio:g})" for step in plan.steps] if plan else []
        case "coder":
            lines = [f"{'kept' if row.kept else 'dropped'}: {row.title}: {row.reason}" for row in report.changes]
        case role:
            lines = [review.summary for review in report.reviews if review.role == role]
    for line in lines or ["nothing to report"]:
        console.print(safe(f"  {line}"))
