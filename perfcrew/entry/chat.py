"""`perfcrew chat`: reads what is said, carries it out, and outlives every mistake and every Ctrl-C."""

import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from perfcrew.entry.commands import parse_commands
from perfcrew.entry.mistakes import confess
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.report.terminal import safe
from perfcrew.settings import load_settings

if TYPE_CHECKING:
    from perfcrew.entry.desk import Desk

DESK = "perfcrew.entry.desk"
"""Takes seconds to import, which pass while the user types."""


class Reader(Protocol):
    """Where what is said comes from."""

    def read(self) -> str:
        """The next thing that is said, of one line or several.

        Raises:
            EOFError: there is nothing more.
            KeyboardInterrupt: it was broken off.
        """
        ...


class Chat:
    """One talk at a terminal."""

    def __init__(self, given: Mapping[str, Any], console: Console) -> None:
        self._given, self._console = given, console
        self._desk: Desk | None = None

    @property
    def run_id(self) -> str:
        """The run that commands work on; empty before the first."""
        return (self._desk.run_id or "") if self._desk else str(self._given.get("resume") or "")

    @property
    def proposal(self) -> str:
        """The command that the guide proposed last."""
        return self._desk.proposal if self._desk else ""

    def hold(self, reader: Reader) -> None:
        """Read and carry out until the user leaves."""
        idle = False
        while True:
            try:
                said = reader.read()
            except EOFError:
                return
            except KeyboardInterrupt:
                if idle:
                    self._console.print("(/quit or Ctrl-D leaves)", style="dim")
                idle = True
                continue
            idle = False
            if said.strip() and not self.take(said):
                return

    def take(self, said: str) -> bool:
        """Carry out what was said; False where the user leaves."""
        try:
            commands = parse_commands(said, "", free=True)
            if self._desk is None:
                self._desk = import_module(DESK).Desk(self._given, self._console, stops=True, talks=True)
            return self._desk.carry_out(commands)
        except UserError as error:
            self._tell(error)
        except (PerfcrewError, KeyboardInterrupt) as error:
            self._tell(error)
            if self.run_id:
                self._console.print(safe(f"run {self.run_id} is kept; /resume goes on, /status says where it stands"))
        except Exception as error:  # noqa: BLE001  a bug ends a command, not the talk
            self._console.print(safe(confess(error), "red"))
        return True

    def _tell(self, error: BaseException) -> None:
        for line in (str(error) or "stopped").splitlines():
            self._console.print(safe(line, "yellow"), soft_wrap=True)


def run_chat(given: Mapping[str, Any]) -> int:
    """Talk until the user leaves; the exit code."""
    settings = load_settings()
    if not given["path"].is_dir():
        raise UserError(f"{given['path']}: no such folder; expected the application's repository")
    console = Console(highlight=False)
    talk = Chat(given, console)
    reader: Reader
    if given["plain"] or console.is_dumb_terminal or not (sys.stdin.isatty() and console.is_terminal):
        from perfcrew.entry.plain_lines import PlainLines

        reader = PlainLines(sys.stdin.fileno(), console if sys.stdin.isatty() else None)
    else:
        from perfcrew.entry.prompting import Prompting

        reader = Prompting(settings.home, given["path"], lambda: talk.run_id, lambda: talk.proposal)
    threading.Thread(target=import_module, args=(DESK,), daemon=True).start()
    talk.hold(reader)
    if talk.run_id:
        console.print(safe(f"Go on with: perfcrew chat --resume {talk.run_id}"), soft_wrap=True)
    return 0
