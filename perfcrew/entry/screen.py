"""The live screen of a run: board, phase, time, tokens, money; plain lines where the terminal can't do more."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from perfcrew.records.events import Event
from perfcrew.records.work import Card
from perfcrew.report.terminal import safe

_STYLES = {"DONE": "green", "IN_PROGRESS": "bold yellow", "IN_REVIEW": "yellow", "DROPPED": "red", "BLOCKED": "red"}
_LASTING = ("phase_started", "phase_finished", "measured", "note", "warning")
_MOST_CARDS = 16
_MOST_HEARD = 400
"""Characters of what a role says that are kept; a line shows its end."""


class Screen:
    """Shows events. On a terminal the board stays at the bottom; elsewhere each lasting event is one line.

    Args:
        console: where to.
        expected_s: how long the run will take, in seconds, where an earlier one tells.
        board: the cards that there are already.
    """

    def __init__(
        self, console: Console, expected_s: float | None = None, board: Mapping[str, Card] | None = None
    ) -> None:
        self._console = console
        self._expected_s = expected_s
        self._began = time.monotonic()
        self._board: dict[str, Card] = dict(board or {})
        self._phases: dict[str, float] = {}
        self._doing = ""
        self._heard: dict[str, str] = {}
        self._tokens: float = 0.0
        self._usd: float | None = None
        self._lock = threading.Lock()
        lively = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, get_renderable=self._render, transient=True) if lively else None

    def __enter__(self) -> "Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[Console]:
        """The console alone, for a question to a person."""
        if self._live:
            self._live.stop()
        try:
            yield self._console
        finally:
            if self._live:
                self._live.start()

    def overhear(self, role: str) -> "Ear":
        """Shows the end of what a role says, while it says it."""
        return Ear(self, role)

    def hear(self, role: str, text: str | None) -> None:
        """Another piece of a role's words; None: it begins anew."""
        with self._lock:
            self._heard[role] = "" if text is None else (self._heard.get(role, "") + text)[-_MOST_HEARD:]

    def watch(self, event: Event) -> None:
        """Show an event."""
        with self._lock:
            self._note(event)
        if event.kind in _LASTING:
            self._console.print(self._line(event))
        elif event.kind == "card" and self._live is None and event.card is not None:
            self._console.print(self._stamp().append(safe(f"{event.card.status:<12} {event.card.title}")))

    def _note(self, event: Event) -> None:
        if event.kind == "card" and event.card is not None:
            self._board[event.card.id] = event.card
        elif event.kind == "phase_started":
            self._phases[event.phase] = time.monotonic()
        elif event.kind == "phase_finished":
            self._phases.pop(event.phase, None)
        elif event.kind in ("turn", "tool"):
            self._doing = f"{event.role}: {event.text}"
            self._heard.pop(event.role, None)
        self._tokens = event.figures.get("tokens", self._tokens)
        self._usd = event.figures.get("usd", self._usd)

    def _stamp(self) -> Text:
        seconds = int(time.monotonic() - self._began)
        return Text(f"{seconds // 60:3d}:{seconds % 60:02d}  ", style="dim")

    def _line(self, event: Event) -> Text:
        line = self._stamp()
        if event.kind == "phase_started":
            return line.append(safe(f"{event.phase}: {event.text}", "bold"))
        if event.kind == "phase_finished":
            return line.append(safe(f"{event.phase}: done in {event.figures.get('seconds', 0.0):.0f} s", "dim"))
        style = "yellow" if event.kind == "warning" else ""
        mark = "warning: " if event.kind == "warning" else ""
        return line.append(safe(f"  {mark}{event.text}", style))

    def _render(self) -> RenderableType:
        with self._lock:
            board = Table(box=None, padding=(0, 1), show_header=False)
            for card in list(self._board.values())[-_MOST_CARDS:]:
                board.add_row(
                    Text(card.status, style=_STYLES.get(card.status, "dim")), Text(card.role), safe(card.title)
                )
            seconds = time.monotonic() - self._began
            expected = f" of about {self._expected_s / 60:.0f} min" if self._expected_s else ""
            running = ", ".join(self._phases) or "starting"
            money = "price unknown" if self._usd is None else f"${self._usd:.2f}"
            status = f"{seconds / 60:.1f} min{expected} · {running} · {self._tokens:,.0f} tokens · {money}"
            room = self._console.width - 1
            spoken = [f"{role}: {text}" for role, text in self._heard.items() if text.strip()]
            heard = [safe(" ".join(line.split())[-room:], "dim italic") for line in spoken]
            return Group(Text(""), board, safe(self._doing[:room], "dim"), *heard, Text(status, style="bold"))


class Ear:
    """Hears one reply of a role for a screen."""

    def __init__(self, screen: Screen, role: str) -> None:
        self._screen, self._role = screen, role

    def heard(self, text: str) -> None:
        """Another piece of the text came."""
        self._screen.hear(self._role, text)

    def start_over(self) -> None:
        """What was heard does not count."""
        self._screen.hear(self._role, None)
