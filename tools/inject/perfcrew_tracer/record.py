"""One request as it is traced, and the file that it goes to."""

# pathlib would be one more module that the target did not ask for.
# ruff: noqa: PTH103, PTH118, PTH123, PTH206

from __future__ import annotations

import contextvars
import hashlib
import itertools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .fingerprint import fingerprint, statement_id

MAX_STATEMENTS = 5000
"""Statements kept of one request; more are counted."""
MAX_SAMPLES = 3
"""Texts with parameters written of one fingerprint in each process."""
MAX_TEXT = 20_000
MAX_KNOWN = 2000
_FOREIGN = ("site-packages", "dist-packages", ".venv", "venv", "node_modules", "perfcrew_tracer")
_NO_QUERIES = ("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
"""Settings of a connection and bounds of transactions: they ask nothing of the data."""
_ANONYMOUS = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>")

current: contextvars.ContextVar[RequestTrace | None] = contextvars.ContextVar("perfcrew_request", default=None)
in_flight: set[RequestTrace] = set()


class _Place:
    folder = ""
    root = ""
    file: Any = None
    pid = 0
    opening: Callable[[], Any] | None = None
    closing: Callable[[Any], dict[str, Any]] | None = None


_lock = threading.RLock()
_texts: dict[str, str] = {}
_samples: dict[str, int] = {}
_numbers = itertools.count()
_inside: dict[str, str | None] = {}
_short: dict[str, str] = {}
_LIBRARY = re.compile(r"^.*(?:/(?:site|dist)-packages|/lib/python3(?:\.\d+)?)/")


def start(folder: str, root: str) -> None:
    """Say where traces go and whose source lines count."""
    _Place.folder = folder
    _Place.root = os.path.realpath(root) + os.sep
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_parent)


def _forget_parent() -> None:
    # A forked worker inherits a lock that another thread may hold, and requests that are not its own.
    global _lock
    _lock = threading.RLock()
    in_flight.clear()


def measure_with(opening: Callable[[], Any], closing: Callable[[Any], dict[str, Any]]) -> None:
    """Measure something of each request: what `closing` makes of what `opening` gave goes into its line."""
    _Place.opening, _Place.closing = staticmethod(opening), staticmethod(closing)


def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a hook of ours; what it raises never reaches the target."""
    try:
        return function(*arguments)
    except Exception:  # noqa: BLE001  a lost trace line is better than a broken target
        return None


class StatementTrace:
    """One statement of a request: `ms` is the time in the driver, execution and fetching."""

    __slots__ = ("at", "id", "ms", "params", "request", "rows", "site", "via")

    def __init__(self, request: RequestTrace, identifier: str, params: str, site: str, via: str) -> None:
        self.request = request
        self.id = identifier
        self.params = params
        self.site = site
        self.via = via
        self.at = (time.perf_counter() - request.started) * 1000
        self.ms = 0.0
        self.rows: int | None = None

    def spent(self, seconds: float, rows: int | None = None) -> None:
        """Add time in the driver, and rows that came with it."""
        self.ms += seconds * 1000
        if rows is not None and rows >= 0:
            self.rows = (self.rows or 0) + rows

    def line(self) -> dict[str, Any]:
        """The statement as it is written."""
        return {
            "id": self.id, "at": round(self.at, 3), "ms": round(self.ms, 4), "rows": self.rows,
            "params": self.params, "site": self.site, "via": self.via,
        }  # fmt: skip


class RequestTrace:
    """One request from its arrival to the last byte of its response."""

    def __init__(self, method: str, path: str, query: str) -> None:
        self.method, self.path, self.query = method, path, query
        self.route: str | None = None
        self.status = 500
        self.bytes = 0
        self.started = time.perf_counter()
        self.ms: float | None = None
        self.statements: list[StatementTrace] = []
        self.dropped = 0
        self.background = 0
        self.written = False
        self.number = next(_numbers)
        in_flight.add(self)
        self.opened = guarded(_Place.opening) if _Place.opening else None

    def end(self) -> None:
        """The response is out; what follows is background work."""
        if self.ms is None:
            self.ms = (time.perf_counter() - self.started) * 1000

    def write(self) -> None:
        """End the request and write its line, once."""
        measured = guarded(_Place.closing, self.opened) if _Place.closing and not self.written else None
        self.end()
        in_flight.discard(self)
        if self.written:
            return
        self.written = True
        write_line({
            "kind": "request", "method": self.method, "path": self.path, "query": self.query, "route": self.route,
            "status": self.status, "ms": round(self.ms or 0.0, 3), "bytes": self.bytes, "dropped": self.dropped,
            "number": self.number, "ended": time.time(), "background": self.background,
            "statements": [statement.line() for statement in self.statements], **(measured or {}),
        })  # fmt: skip


def note_blocked(request: RequestTrace, site: str, milliseconds: float) -> None:
    """Write that a line of the target's held the event loop during a request."""
    write_line({"kind": "blocked", "number": request.number, "site": site, "ms": round(milliseconds, 1)})


def note_statement(sql: Any, params: Any, many: bool = False) -> StatementTrace | None:
    """Begin a statement of the current request; None outside of one, and after its response is out."""
    request = current.get()
    if request is None:
        return None
    if request.ms is not None:
        request.background += 1
        return None
    if len(request.statements) >= MAX_STATEMENTS:
        request.dropped += 1
        return None
    text = sql if isinstance(sql, str) else str(sql)
    if text.lstrip()[:9].upper().startswith(_NO_QUERIES):
        return None
    known = _texts.get(text)
    if known is None:
        known = fingerprint(text)
        if len(_texts) < MAX_KNOWN:
            _texts[text] = known
    identifier = statement_id(known)
    shown = plain(params[0] if many and isinstance(params, (list, tuple)) and params else params)
    if _samples.get(identifier, 0) < MAX_SAMPLES:
        _samples[identifier] = _samples.get(identifier, 0) + 1
        write_line({"kind": "statement", "id": identifier, "fingerprint": known[:MAX_TEXT], "sql": text[:MAX_TEXT],
                "params": shown, "many": many})  # fmt: skip
    asked = text + json.dumps(shown, sort_keys=True)
    digest = hashlib.sha256(asked.encode("utf-8", "replace")).hexdigest()[:8]
    site, via = find_site(sys._getframe(1))
    statement = StatementTrace(request, identifier, digest, site, via)
    request.statements.append(statement)
    return statement


def find_site(frame: FrameType | None) -> tuple[str, str]:
    """The innermost line inside the target as `path:line function`, and up to two that called it."""
    found: list[tuple[str, int, str]] = []
    waiting = _waiting_parents()
    while frame is not None and len(found) < 3:
        path = _own_path(frame.f_code.co_filename)
        if path is not None:
            name = frame.f_code.co_name
            if found and found[-1][2] in _ANONYMOUS and found[-1][0] == path:
                # A comprehension's line, with the name of the function that it stands in.
                found[-1] = (path, found[-1][1], name)
            else:
                found.append((path, frame.f_lineno, name))
        frame = frame.f_back or next(waiting, None)
    places = [f"{path}:{line} {name}" for path, line, name in found]
    return (places[0], " < ".join(places[1:])) if places else ("", "")


def _waiting_parents() -> Iterator[FrameType]:
    # Async SQLAlchemy runs its sync core in a greenlet: the coroutine that called it waits in the parent.
    module = sys.modules.get("greenlet")
    parent = module.getcurrent().parent if module is not None else None
    while parent is not None:
        if parent.gr_frame is not None:
            yield parent.gr_frame
        parent = parent.parent


def _own_path(filename: str) -> str | None:
    if filename not in _inside:
        full = os.path.realpath(filename)
        inside = full.startswith(_Place.root) and not filename.startswith("<")
        relative = full[len(_Place.root) :] if inside else ""
        foreign = any(part in _FOREIGN for part in relative.split(os.sep))
        _inside[filename] = relative if inside and not foreign else None
    return _inside[filename]


def find_short(filename: str) -> tuple[str, bool]:
    """A file's path without what differs from machine to machine, and whether it is the target's."""
    own = _own_path(filename)
    if own is not None:
        return own, True
    short = _short.get(filename)
    if short is None:
        short = _short[filename] = _LIBRARY.sub("", filename)
    return short, False


def plain(value: Any, depth: int = 0) -> Any:
    """A parameter as JSON: what JSON lacks is tagged, as `{"datetime": "…"}`, so that it can be bound again."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if len(value) <= 500 else {"cut": value[:100]}
    if isinstance(value, (list, tuple)) and depth < 3:
        return [plain(item, depth + 1) for item in value[:500]]
    if isinstance(value, dict) and depth < 3:
        return {str(key): plain(item, depth + 1) for key, item in list(value.items())[:500]}
    kind = type(value).__name__
    if kind in ("datetime", "date", "time"):
        return {kind: value.isoformat()}
    if kind in ("Decimal", "UUID"):
        return {kind: str(value)}
    return {"other": kind}


def write_line(line: dict[str, Any]) -> None:
    """Append one line to this process's file."""
    text = json.dumps(line, separators=(",", ":"), default=repr) + "\n"
    with _lock:
        if _Place.pid != os.getpid():
            # A forked worker must not share its parent's file position.
            _Place.pid = os.getpid()
            os.makedirs(_Place.folder, exist_ok=True)
            _Place.file = open(os.path.join(_Place.folder, f"{_Place.pid}.jsonl"), "a", encoding="utf-8")  # noqa: SIM115  held open
        _Place.file.write(text)
        _Place.file.flush()
