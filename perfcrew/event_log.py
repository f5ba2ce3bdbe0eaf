"""`--log-json`: everything that a command tells whoever watches, one JSON object a line on standard error."""

import io
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from perfcrew.records.events import Event


class EventLog:
    """The log of this process; closed until a command line opens it."""

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._before: TextIO | None = None

    @property
    def is_open(self) -> bool:
        """Whether standard error belongs to the log."""
        return self._stream is not None

    def open(self) -> None:
        """Write from now on. Whatever else is written to standard error becomes a line of the log, kind `output`."""
        if self._stream is None:
            self._stream = self._before = sys.stderr
            sys.stderr = _Lines(self)

    def close(self) -> None:
        """Write no more, and give standard error back."""
        if self._before is not None:
            sys.stderr = self._before
        self._stream = self._before = None

    def write(self, level: str, kind: str, text: str, **more: Any) -> None:
        """Write a line: `time` (RFC 3339, UTC), `level`, `kind`, `text` and what else is known."""
        if self._stream is None:
            return
        known = {name: value for name, value in more.items() if value not in ("", None, {})}
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "level": level, "kind": kind, "text": text, **known}, ensure_ascii=False)
        self._stream.write(line + "\n")
        self._stream.flush()

    def listen(self, watch: "Callable[[Event], None]", run_id: str) -> "Callable[[Event], None]":
        """The same audience, with the log beside it."""
        if self._stream is None:
            return watch

        def hear(event: "Event") -> None:
            card: Mapping[str, Any] | None = event.card.model_dump(mode="json") if event.card else None
            self.write(
                "warning" if event.kind == "warning" else "info", event.kind, event.text, run_id=run_id,
                phase=event.phase, role=event.role, figures=event.figures, card=card,
            )  # fmt: skip
            watch(event)

        return hear


class _Lines(io.TextIOBase):
    """Stands where standard error was: people's text, line by line."""

    def __init__(self, log: EventLog) -> None:
        self._log, self._rest = log, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._log.write("info", "output", line)
        return len(text)


EVENT_LOG = EventLog()
