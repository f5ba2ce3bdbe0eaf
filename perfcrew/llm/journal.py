"""The journal: every model reply and every effect on the world, appended as it arrives, keyed by what was asked.

A run *is* its journal. Resume replays the journal's prefix and goes on live; an eval replays a whole journal; an audit
reads it. Entries are ordered within a *lane* (round, phase, agent, attempt), so that parallel branches can't swap.
JSON Lines, one file a run: a torn last line is recognised and dropped, and any editor can read it.
"""

import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

from perfcrew.errors import ReplayMiss
from perfcrew.llm.base import Reply, Request
from perfcrew.records.base import Record

R = TypeVar("R")
Kind = Literal["run", "reply", "effect"]


class Entry(Record):
    """One line of the journal."""

    kind: Kind
    lane: str
    key: str
    digest: str = ""
    """SHA-256 of what was asked: a request's components or an effect's arguments."""
    value: Any = None
    seconds: float | None = None
    """How long it took to get; for audits, never read back."""


def digest(value: Any) -> str:
    """SHA-256 of a JSON value or record, in canonical form; 16 hexadecimal digits are enough inside one run."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; infinities stay what they are, where pydantic's own way makes null of them."""
    return to_jsonable_python(value, inf_nan_mode="constants")


def _line(entry: Entry) -> bytes:
    # The standard library's JSON also carries torn Unicode, which file contents may hold.
    return json.dumps(_plain(entry.model_dump()), separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> Entry:
    return Entry.model_validate(json.loads(line))


def read_entries(path: Path) -> Iterator[Entry]:
    """All whole entries of a journal file; a torn last line is dropped."""
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            yield _read(line)


class Recording:
    """A finished journal that stands in for the model and, when `frozen`, for the tools as well."""

    def __init__(self, path: Path, *, frozen: bool) -> None:
        self.path = path
        self.frozen = frozen
        self.entries = {(entry.kind, entry.lane, entry.key): entry for entry in read_entries(path)}

    def find(self, kind: Kind, lane: str, key: str) -> Entry | None:
        """The entry at a place, if the recording has it."""
        return self.entries.get((kind, lane, key))

    def value(self, key: str) -> Any:
        """A fact about the recorded run, such as its `base` commit; None if it was not noted."""
        entry = self.entries.get(("run", "", key))
        return entry.value if entry else None

    @property
    def label(self) -> str:
        """Who gave the recorded replies."""
        return str(self.value("label") or "unknown")


class Journal:
    """Append-only memory of one run, with an optional recording behind it.

    Args:
        path: this run's own journal; what it holds already is never asked again.
        source: a recording that answers in place of the model (and of the tools when frozen).
    """

    def __init__(self, path: Path, source: Recording | None = None) -> None:
        self.path = path
        self.source = source
        self.drift: dict[str, str] = {}
        """Lane and turn to the parts of a replayed request that differ from the recorded one."""
        self._known: dict[tuple[str, str, str], Entry] = {}
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        end = 0
        if self.path.exists():
            content = self.path.read_bytes()
            end = content.rfind(b"\n") + 1
            for line in content[:end].splitlines():
                entry = _read(line)
                self._known[entry.kind, entry.lane, entry.key] = entry
        file = self.path.open("r+b" if self.path.exists() else "w+b")
        file.truncate(end)
        file.seek(end)
        return file

    def close(self) -> None:
        """Close the file. Nothing is lost without it: each entry is on disk before its effect is used."""
        self._file.close()

    def _append(self, entry: Entry) -> None:
        self._file.write(_line(entry))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._known[entry.kind, entry.lane, entry.key] = entry

    def has(self, lane: str, key: str, kind: Kind = "effect") -> bool:
        """Whether this run has done something already."""
        return (kind, lane, key) in self._known

    def replies(self) -> Iterator[tuple[str, Reply]]:
        """Every reply that this run has, with its lane."""
        for entry in self._known.values():
            if entry.kind == "reply":
                yield entry.lane, Reply.model_validate(entry.value)

    def fact(self, key: str) -> Any:
        """A fact about the run, as `note` recorded it; None if it did not."""
        known = self._known.get(("run", "", key))
        return known.value if known else None

    def note(self, key: str, value: Any) -> None:
        """Record a fact about the run itself, once: a label, a configuration, prompt digests."""
        if ("run", "", key) not in self._known:
            self._append(Entry(kind="run", lane="", key=key, value=value))

    async def reply(self, lane: str, turn: int, request: Request, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """The reply to a request: from this journal, else from the recording, else by asking.

        Raises:
            ReplayMiss: a recording stands in for the model and has no reply at this place.
        """
        key, asked = f"turn-{turn}", self._components(request)
        known = self._known.get(("reply", lane, key))
        # Even on resume the drift is told against the recording: this run's own entries hold what was asked here.
        recorded = self.source.find("reply", lane, key) if self.source is not None else None
        if known is None and self.source is not None:
            if recorded is None:
                raise ReplayMiss(f"the recording has no reply for {lane}, {key}")
            known = Entry(kind="reply", lane=lane, key=key, digest=asked, value=recorded.value)
            self._append(known)
        if known is not None:
            compared = recorded or known
            if compared.digest != asked:
                self.drift[f"{lane} {key}"] = _differing(compared.digest, asked)
            return Reply.model_validate(known.value)
        reply = await ask()
        self._append(Entry(kind="reply", lane=lane, key=key, digest=asked, value=reply.model_dump(mode="json")))
        return reply

    async def effect(
        self,
        lane: str,
        key: str,
        kind: type[R] | TypeAdapter[R],
        run: Callable[[], Awaitable[R]],
        *,
        asked: Any = None,
        reapply: bool = False,
    ) -> R:
        """The result of an effect on the world: from this journal, else from a frozen recording, else by doing it.

        Args:
            lane: where in the run this happens.
            key: what it is; unique within the lane.
            kind: the type of the result, for reading it back.
            run: does it.
            asked: the arguments; their digest is stored for audit.
            reapply: do it again on resume, although its result is known. For cheap local changes, such as an edit in
                a worktree that was reset; what counts stays the known result.
        """
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        known = self._known.get(("effect", lane, key))
        frozen = self.source is not None and self.source.frozen
        if known is None and frozen and self.source is not None:
            known = self.source.find("effect", lane, key)
            if known is None:
                raise ReplayMiss(f"the recording has no result for {lane}, {key}")
            self._append(known)
        if known is None or (reapply and not frozen):
            began = time.monotonic()
            result = await run()
            if known is None:
                took = round(time.monotonic() - began, 3)
                value = _plain(adapter.dump_python(result))
                self._append(Entry(kind="effect", lane=lane, key=key, digest=digest(asked), value=value, seconds=took))
                return result
        return adapter.validate_python(known.value)

    @staticmethod
    def _components(request: Request) -> str:
        parts = {
            "system": request.system,
            "tools": [tool.model_dump(mode="json") for tool in request.tools],
            "history": [message.model_dump(mode="json") for message in request.messages],
        }
        return " ".join(f"{name}={digest(part)}" for name, part in parts.items())


def _differing(recorded: str, asked: str) -> str:
    old = dict(part.split("=", 1) for part in recorded.split() if "=" in part)
    new = dict(part.split("=", 1) for part in asked.split() if "=" in part)
    return ", ".join(name for name in new if old.get(name) != new[name]) or "unreadable digest"
