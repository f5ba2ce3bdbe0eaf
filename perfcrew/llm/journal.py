"""The journal: every model reply and every effect on the world, appended as it arrives, keyed by what was asked.

A run *is* its journal. Resume replays the journal's prefix and goes on live; an eval replays a whole journal; an audit
reads it. Entries are ordered within a *lane* (round, phase, agent, attempt), so that parallel branches can't swap.
JSON Lines, one file a run: a torn last line is recognised and dropped, any editor can read it, and an entry costs one
write and one fsync, where a database would pay for its own journal as well. Secrets are taken out before a line is
written, and what is used is what was written, so that a resumed run sees what the first one saw.
"""

import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter

from perfcrew.errors import PerfcrewError, ReplayDrift, ReplayMiss
from perfcrew.llm.asked import Conversation, Question, Spelt, differing
from perfcrew.llm.base import Reply, Request
from perfcrew.llm.entries import TEXT, Entry, Kind, digest, read_line, to_plain, whole_part, write_line
from perfcrew.llm.recording import Recording, calls_of, list_drift
from perfcrew.redaction import OPEN, Redactor

R = TypeVar("R")
STANDS_FOR = "answered by:"
"""Begins the key of an entry that says which recorded lane answers one of today's."""


class Journal:
    """Append-only memory of one run, with an optional recording behind it.

    Args:
        path: this run's own journal; what it holds already is never asked again.
        source: a recording that answers in place of the model, of the tools, or of both.
        redactor: takes secrets out of what is written and used.
    """

    def __init__(self, path: Path, source: Recording | None = None, redactor: Redactor = OPEN) -> None:
        self.path = path
        self.source = source
        self.redactor = redactor
        self._known: dict[tuple[Kind, str, str], Entry] = {}
        self._conversations: dict[str, Conversation] = defaultdict(Conversation)
        self._file = self._open()
        self._bound: dict[str, str] = {
            key.removeprefix(STANDS_FOR): entry.value
            for (kind, _, key), entry in self._known.items()
            if kind == "run" and key.startswith(STANDS_FOR)
        }
        # Told against the recording also for what an earlier process of this run asked.
        self.drift: dict[str, str] = list_drift(self._known, source, self._in_source) if source else {}
        """Lane and turn to the parts of a request that differ from the recorded one."""

    def _open(self) -> IO[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        # For appending only: nothing that is written can be written over.
        file = self.path.open("a+b", buffering=0)
        file.seek(0)
        content = file.read() or b""
        whole = whole_part(content)
        for line in whole.splitlines():
            entry = read_line(line)
            self._known[entry.place] = entry
        if len(whole) < len(content):
            file.truncate(len(whole))
        if new:
            _sync_folder(self.path.parent)
        return file

    @property
    def renamed(self) -> dict[str, str]:
        """Lanes that are called differently today to the recorded ones that answer them."""
        return {lane: other for lane, other in self._bound.items() if lane != other}

    def close(self) -> None:
        """Close the file. Nothing is lost without it: each entry is on disk before its effect is used."""
        self._file.close()

    def _append(self, *entries: Entry) -> tuple[Entry, ...]:
        """Write entries in one go and give them as they were written, without secrets."""
        written, lines = [], []
        for entry in entries:
            line = write_line(entry)
            redacted = self.redactor.content(line)
            lines.append(redacted)
            written.append(entry if redacted is line else read_line(redacted))
        content = memoryview(b"".join(lines))
        while content:
            content = content[self._file.write(content) or 0 :]
        os.fsync(self._file.fileno())
        for entry in written:
            self._known[entry.place] = entry
        return tuple(written)

    @property
    def live(self) -> bool:
        """Whether a model answers now, and not a recording."""
        return self.source is None or not self.source.replies

    def heard(self, lane: str, key: str) -> bool:
        """Whether an effect can be had, and anybody hears of it: recorded replies don't, unless it lay before them."""
        source = self.source
        if source is None or (self.live and not source.frozen):
            return True
        return source.find("effect", self.recorded_lane(lane), key) is not None

    def has(self, lane: str, key: str, kind: Kind = "effect") -> bool:
        """Whether this run has done something already."""
        return (kind, lane, key) in self._known

    def replies(self) -> Iterator[tuple[str, Reply]]:
        """Every reply that this run has, with its lane."""
        for entry in self._known.values():
            if entry.kind == "reply":
                yield entry.lane, Reply.model_validate(entry.value)

    def effects(self) -> Iterator[tuple[str, Any]]:
        """The result of every effect that this run has, as JSON gives it, with its lane."""
        for entry in self._known.values():
            if entry.kind == "effect":
                yield entry.lane, entry.value

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
            ReplayDrift: a strict recording was asked something else here.
        """
        key, question = f"turn-{turn}", self._conversations[lane].ask(request)
        known = self._known.get(("reply", lane, key))
        recorded = self._recorded(lane, key, turn, request) if self.source else None
        compared = recorded or known
        if compared is not None:
            self._tell_drift(compared, question, request, f"{lane} {key}")
        if known is not None:
            if known.digest != question.digest:
                self._conversations[lane].begin_again()
            return Reply.model_validate(known.value)
        if self.source is not None and self.source.replies:
            if recorded is None:
                raise self._missing(f"the recording has no reply for {lane}, {key}")
            value = recorded.value
        else:
            value = (await self._hidden(ask)).model_dump(mode="json")
        return self._keep(lane, key, question, value)

    def _missing(self, why: str) -> PerfcrewError:
        # A tolerant replay goes on without what that conversation would have given; a strict one ends.
        return ReplayDrift(f"strict replay: {why}") if self.source and self.source.strict else ReplayMiss(why)

    def _keep(self, lane: str, key: str, question: Question, value: Any) -> Reply:
        asked = question.asked
        texts = [(asked.system, question.system), (asked.tools, question.tools)]
        new = [
            Entry(kind="run", lane="", key=f"{TEXT}{name}", value=text)
            for name, text in texts
            if ("run", "", f"{TEXT}{name}") not in self._known
        ]
        entry = Entry(kind="reply", lane=lane, key=key, digest=question.digest, value=value, asked=asked)
        return Reply.model_validate(self._append(*new, entry)[-1].value)

    def _in_source(self, lane: str) -> str:
        return self._bound.get(lane, lane)

    def _recorded(self, lane: str, key: str, turn: int, request: Request) -> Entry | None:
        source = self.source
        assert source is not None
        other = self.recorded_lane(lane)
        if other != lane and source.calls(other, turn) != calls_of(request):
            return None
        return source.find("reply", other, key)

    def recorded_lane(self, lane: str) -> str:
        """The recording's name for a conversation of this run; chosen when it is first needed, and then for good."""
        if self.source is None or lane in self._bound:
            return self._in_source(lane)
        other = self.source.stands_for(lane, self._bound)
        self._bound[lane] = other
        if other != lane:
            self.note(f"{STANDS_FOR}{lane}", other)
        return other

    def _tell_drift(self, compared: Entry, question: Question, request: Request, where: str) -> None:
        parts = differing(compared.digest, question.digest)
        if not parts:
            return
        if self.source is not None and self.source.strict and self.source.replies:
            messages = tuple(message.model_dump(mode="json") for message in request.messages)
            raise self.source.refuse(compared, Spelt(question.system, question.tools, messages), parts, where)
        self.drift[where] = ", ".join(parts)

    async def effect(
        self,
        lane: str,
        key: str,
        kind: type[R] | TypeAdapter[R],
        run: Callable[[], Awaitable[R]],
        *,
        asked: Any = None,
        reapply: bool = False,
        ours: bool = False,
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
            ours: a decision of ours rather than something that the world gave: no recorded tool stands in for it.
        """
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        known = self._known.get(("effect", lane, key))
        frozen = self.source is not None and self.source.frozen and not ours
        if known is None and frozen and self.source is not None:
            known = self.source.find("effect", self.recorded_lane(lane), key)
            if known is None:
                raise ReplayMiss(f"the recording has no result for {lane}, {key}")
            self._append(known.model_copy(update={"lane": lane}))
        if known is None or (reapply and not frozen):
            began = time.monotonic()
            result = await self._hidden(run)
            if known is None:
                took = round(time.monotonic() - began, 3)
                value = to_plain(adapter.dump_python(result))
                entry = Entry(kind="effect", lane=lane, key=key, digest=digest(asked), value=value, seconds=took)
                (written,) = self._append(entry)
                return result if written is entry else adapter.validate_python(written.value)
        return adapter.validate_python(known.value)

    async def _hidden(self, run: Callable[[], Awaitable[R]]) -> R:
        """What something gives; should it fail, its words without secrets."""
        try:
            return await run()
        except PerfcrewError as error:
            error.args = tuple(self.redactor.text(part) if isinstance(part, str) else part for part in error.args)
            raise


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
