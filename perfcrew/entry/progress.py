"""Progress of a measurement: a line with the elapsed time for each step that ended, and what is under way."""

import time
from types import TracebackType

from rich.console import Console
from rich.status import Status

from perfcrew.records.events import Event
from perfcrew.report.terminal import safe


class Progress:
    """Shows events. On a terminal what is under way stands below; elsewhere there are only the lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        lively = console.is_terminal and not console.is_dumb_terminal
        self._status = Status("", console=console) if lively else None

    def __enter__(self) -> "Progress":
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def watch(self, event: Event) -> None:
        """Show an event."""
        if event.kind == "tool":
            if self._status:
                self._status.update(safe(event.text, "dim"))
            return
        seconds = int(time.monotonic() - self._began)
        line = safe(f"{seconds // 60:3d}:{seconds % 60:02d}  ", "dim")
        first = event.text.splitlines()[0] if event.text else ""
        warning = event.kind == "warning"
        self._console.print(
            line.append(safe(f"not measured: {first}" if warning else first, "yellow" if warning else ""))
        )
