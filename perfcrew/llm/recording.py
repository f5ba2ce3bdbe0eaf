"""A finished journal that stands in for the model, for the tools, or for both."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perfcrew.errors import ReplayDrift
from perfcrew.llm.asked import Spelt, differing, spell_out
from perfcrew.llm.base import Reply, Request, ToolCall
from perfcrew.llm.differences import tell_differences
from perfcrew.llm.entries import TEXT, Entry, Kind, read_entries


class Recording:
    """The entries of a finished run, found by their place.

    Args:
        path: its journal.
        frozen: tool results come from it too.
        strict: whatever is asked today must be what was asked then; otherwise the differences are only told, and a
            conversation that is called differently today is found by role, turn and the sequence of its tool calls.
        replies: it stands in for the model; otherwise a model is asked, and only tool results come from here.
    """

    def __init__(self, path: Path, *, frozen: bool, strict: bool = False, replies: bool = True) -> None:
        self.path = path
        self.frozen = frozen
        self.strict = strict
        self.replies = replies
        self.entries = {entry.place: entry for entry in read_entries(path)}

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

    def lanes(self) -> list[str]:
        """The conversations, in the order in which they began."""
        return list(dict.fromkeys(entry.lane for entry in self.entries.values() if entry.kind == "reply"))

    def stands_for(self, lane: str, taken: Mapping[str, str]) -> str:
        """The recorded conversation for one of today's.

        The one of that name; else, unless strict, the first that nobody else has whose round, phase, role and attempt
        are the same, such as a coder's for a plan step that has another id today.

        Args:
            lane: today's.
            taken: today's lanes to the recorded ones that answer them.
        """
        lanes = self.lanes()
        if lane in lanes or self.strict:
            return lane
        free = (other for other in lanes if other not in taken.values() and _kind_of(other) == _kind_of(lane))
        return next(free, lane)

    def calls(self, lane: str, turns: int) -> list[str]:
        """The sequence of tools that the recorded replies before a turn call."""
        found = (self.find("reply", lane, f"turn-{turn}") for turn in range(turns))
        replies = (Reply.model_validate(entry.value) for entry in found if entry is not None)
        return [call.name for reply in replies for call in reply.calls]

    def compare(self, entry: Entry, asked: str) -> tuple[str, ...]:
        """Which parts of a request differ from the recorded one."""
        return differing(entry.digest, asked)

    def refuse(self, entry: Entry, asked: Spelt, parts: tuple[str, ...], where: str) -> ReplayDrift:
        """The error of a strict replay: what differs, as a readable diff."""
        told = tell_differences(self._question(entry), asked, parts)
        return ReplayDrift(f"strict replay: {where} is not asked what was recorded\n{told}")

    def _question(self, entry: Entry) -> Spelt:
        turn = int(entry.key.removeprefix("turn-"))
        found = (self.find("reply", entry.lane, f"turn-{number}") for number in range(turn + 1))
        return spell_out((one for one in found if one is not None), self._text)[-1]

    def _text(self, digest: str) -> Any:
        return self.value(f"{TEXT}{digest}")


def _kind_of(lane: str) -> tuple[str, ...]:
    """Round, phase and role, and where there are steps the attempt: `0/implementation/coder/STEP/1`."""
    parts = lane.split("/")
    # A step's id may hold slashes itself.
    return (*parts[:3], parts[-1]) if len(parts) > 3 else tuple(parts)


def calls_of(request: Request) -> list[str]:
    """The sequence of tools that a request's history calls."""
    blocks = (block for message in request.messages for block in message.blocks)
    return [block.name for block in blocks if isinstance(block, ToolCall)]


def list_drift(
    run: Mapping[tuple[Kind, str, str], Entry], recording: Recording, bound: Callable[[str], str]
) -> dict[str, str]:
    """Where what a run asked differs from what the recording was asked: lane and turn to the parts that differ."""
    drift = {}
    for entry in run.values():
        if entry.kind != "reply":
            continue
        recorded = recording.find("reply", bound(entry.lane), entry.key)
        if recorded is not None and (parts := recording.compare(recorded, entry.digest)):
            drift[f"{entry.lane} {entry.key}"] = ", ".join(parts)
    return drift
