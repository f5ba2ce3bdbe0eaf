"""The live screen of a run: board, phase, time, tokens, money; plain lines where the terminal can't do more."""

import threading
import time
from collections.abc import Iterator
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


class Screen:
    """Shows events. On a terminal the board stays at the bottom; elsewhere each lasting event is one line.

    Args:
        console: where to.
        expected_s: how long the run will take, in seconds, where an earlier one tells.
    """

    def __init__(self, console: Console, expected_s: float | None = None) -> None:
        self._console = console
        self._expected_s = expected_s
        self._began = time.monotonic()
        self._board: dict[str, Card] = {}
        self._phases: dict[str, float] = {}
        self._doing = ""
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
            return Group(
                Text(""), board, safe(self._doing[: self._console.width - 1], "dim"), Text(status, style="bold")
            )
