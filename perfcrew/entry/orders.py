"""`perfcrew exec`: slash commands, one after the other, on shared state."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfcrew.entry.commands import Command, parse_commands
from perfcrew.entry.desk import Desk
from perfcrew.entry.drive import console_for, finish, write_json
from perfcrew.errors import UserError


def run_script(given: Mapping[str, Any]) -> int:
    """Carry out commands from the command line or a file; the exit code.

    0 where a measuring or planning script was carried out; a script that compares a changed version with the base ends
    with the recipe's codes.
    """
    commands = parse_commands(*_read(given))
    console = console_for(given["json_file"])
    desk = Desk(given, console, stops=_waits(commands))
    desk.carry_out(commands)
    report = desk.report
    if report is None:
        _write_last(desk, given)
        return 0
    if report.changes or desk.whole:
        return finish(report, desk.folder(), console, given)
    write_json(report, given["json_file"])
    console.print(f'Go on with: perfcrew exec --resume {report.run_id} "/agent:…"', markup=False)
    return 0


def _waits(commands: list[Command]) -> bool:
    """Whether the recipe stops at its plan: where the script goes on to approve it."""
    names = [command.name for command in commands]
    return "recipe" in names and "approve" in names[names.index("recipe") :]


def _write_last(desk: Desk, given: Mapping[str, Any]) -> None:
    """Nothing was worked on: the JSON is the report of the run that was looked at."""
    if given["json_file"] is not None:
        write_json(desk.last_report(), given["json_file"])


def _read(given: Mapping[str, Any]) -> tuple[str, str]:
    """The text and the name that mistakes in it are reported under."""
    text, script = given["text"], given["script"]
    if text is None and script is None and given.get("resume"):
        return "/resume", "command"
    if (text is None) == (script is None):
        raise UserError("exec: expected either the commands or -f FILE; - reads them from standard input")
    if text == "-" or str(script) == "-":
        return sys.stdin.read(), "standard input"
    if script is None:
        return str(text), "command"
    try:
        return Path(script).read_text(encoding="utf-8"), str(script)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{script}: can't be read: {error}") from None
