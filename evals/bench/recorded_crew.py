"""A recorded crew behind a real wire: a model that says what it said when recorded, and tools frozen as they were.

The model is stateless like a real one: what it says next follows from the history that it is sent. Whatever the wire
spoilt of its last reply it says once more, under new ids.
"""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter

from perfcrew.errors import ReplayMiss
from perfcrew.llm.base import Reply, Request, Text, ToolCall
from perfcrew.llm.entries import Entry, Kind, digest
from perfcrew.llm.journal import Journal
from perfcrew.llm.recording import Recording
from tests.llm_endpoint import Answer, RequestView

R = TypeVar("R")
AGAIN = "-again-"
"""Stands between the recorded id of a call and how often it was said before."""


class Place(NamedTuple):
    """Of a call in a recorded conversation."""

    turn: int
    number: int


class Speaker:
    """Answers requests as the recorded model did.

    Args:
        recording: whose replies.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.spoilt: set[str] = set()
        """Ids of calls that went out spoilt: they were not carried out and have to be said again."""
        self._lanes: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def meet(self, lane: str, request: Request) -> None:
        """Learn by its system prompt and its brief which conversation will come."""
        brief = next(block.text for block in request.messages[0].blocks if isinstance(block, Text))
        with self._lock:
            known = self._lanes.setdefault((request.system, brief), lane)
        if known != lane:
            raise ReplayMiss(f"{known} and {lane} begin alike")

    def lane_of(self, seen: RequestView) -> str:
        """The conversation that a request belongs to."""
        said = seen.messages[0].text
        with self._lock:
            fitting = [key for key in self._lanes if key[0] == seen.system and said.startswith(key[1])]
            return self._lanes[max(fitting, key=lambda key: len(key[1]))]

    def replies(self, lane: str) -> list[Reply]:
        """The recorded replies of a conversation, in order."""
        found: list[Reply] = []
        while entry := self.recording.find("reply", lane, f"turn-{len(found)}"):
            found.append(Reply.model_validate(entry.value))
        return found

    def place(self, lane: str, call: str) -> Place | None:
        """Where the call of that id stood when recorded."""
        for turn, reply in enumerate(self.replies(lane)):
            for number, one in enumerate(reply.calls):
                if one.id == _recorded_id(call):
                    return Place(turn, number)
        return None

    def answer(self, seen: RequestView) -> Answer:
        """What is said next."""
        said = [call.id for turn in seen.messages for call in turn.calls]
        done = {_recorded_id(call) for call in said if call not in self.spoilt}
        for reply in self.replies(self.lane_of(seen)):
            open_calls = [call for call in reply.calls if call.id not in done]
            if open_calls:
                return _spoken(reply, open_calls, [_recorded_id(call) for call in said])
        raise LookupError(f"nothing was recorded after {said}")


def _recorded_id(call: str) -> str:
    return call.partition(AGAIN)[0]


def _spoken(reply: Reply, calls: list[ToolCall], said: list[str]) -> Answer:
    usage = reply.usage
    return {
        "text": reply.text if len(calls) == len(reply.calls) else "Once more.",
        "tool_calls": [
            {
                "id": f"{call.id}{AGAIN}{said.count(call.id)}" if call.id in said else call.id,
                "name": call.name,
                "arguments": call.arguments,
            }
            for call in calls
        ],
        "usage": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.cached_tokens,
            "written": usage.cache_write_tokens,
        },
    }


class Shifted(Recording):
    """A recording that is asked by today's turns, of which faults make more than there were."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, frozen=False, replies=False)
        self.then: dict[tuple[str, int], int] = {}
        """Lane and turn of today to the recorded turn that was said there."""

    def find(self, kind: Kind, lane: str, key: str) -> Entry | None:
        """What was recorded after what was said in the turn before; results of tools are `FrozenTools`'s to give."""
        if kind != "reply":
            return None
        turn = int(key.removeprefix("turn-"))
        return super().find(kind, lane, f"turn-{self.then.get((lane, turn - 1), turn - 1) + 1}")


class FrozenTools(Journal):
    """The journal of a run that asks a speaker and takes the results of tools from its recording.

    A call that differs from the recorded one, as a spoilt one does, is carried out for real, and refused by the tool.
    """

    def __init__(self, path: Path, speaker: Speaker) -> None:
        self._shifted = Shifted(speaker.recording.path)
        super().__init__(path, self._shifted)
        self._speaker = speaker
        self._places: dict[tuple[str, str], Place] = {}

    async def reply(self, lane: str, turn: int, request: Request, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """The reply to a request; remembers which recorded calls it holds."""
        self._speaker.meet(lane, request)
        reply = await super().reply(lane, turn, request, ask)
        for number, call in enumerate(reply.calls):
            if place := self._speaker.place(lane, call.id):
                self._places[lane, f"turn-{turn}.{number}"] = place
                self._shifted.then[lane, turn] = place.turn
        return reply

    def heard(self, lane: str, key: str) -> bool:
        """Whether an effect can be had: what was recorded."""
        return self._speaker.recording.find("effect", lane, key) is not None

    async def effect(
        self,
        lane: str,
        key: str,
        kind: type[R] | TypeAdapter[R],
        run: Callable[[], Awaitable[R]],
        *,
        asked: Any = None,
        reapply: bool = False,  # noqa: ARG002 - nothing is applied to a frozen world
        ours: bool = False,
    ) -> R:
        """The recorded result of an effect."""
        if ours:
            return await super().effect(lane, key, kind, run, asked=asked, ours=True)
        spot, _, tool = key.partition(":")
        place = self._places.get((lane, spot))
        then = f"turn-{place.turn}.{place.number}:{tool}" if place else key
        entry = self._speaker.recording.find("effect", lane, then)
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)

        async def give() -> R:
            if entry is None:
                raise ReplayMiss(f"the recording has no result for {lane}, {then}")
            return adapter.validate_python(entry.value)

        spoilt = place is not None and entry is not None and entry.digest != digest(asked)
        return await super().effect(lane, key, kind, run if spoilt else give, asked=asked)
