"""What a model is asked, for the journal: digests and new messages, at a cost that does not grow with the history.

A conversation only ever grows at its end, so its digest goes on from that of the request before, and the journal keeps
each message once. Where a conversation was cut in the middle, both begin again at the first message that differs.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from perfcrew.llm.base import Message, Request, ToolSpec
from perfcrew.llm.entries import Asked, Entry, digest

PARTS = ("system", "tools", "history")
"""What a request consists of, in the order in which differences are told."""


class Question(NamedTuple):
    """A request as the journal keeps it."""

    digest: str
    asked: Asked
    system: str
    tools: tuple[dict[str, Any], ...]


class _Said(NamedTuple):
    message: Message
    hashed: "hashlib._Hash"
    """Of all messages up to this one, as a JSON list that is not closed."""


class Conversation:
    """The requests of one lane, one after the other."""

    def __init__(self) -> None:
        self._system = ("", digest(""))
        self._tools: tuple[tuple[ToolSpec, ...], tuple[dict[str, Any], ...], str] = ((), (), digest([]))
        self._said: list[_Said] = []
        self._whole = True
        """The next question is written with its whole history: what stands in the journal is not what was asked."""

    def ask(self, request: Request) -> Question:
        """Take the lane's next request."""
        if request.system is not self._system[0]:
            self._system = request.system, digest(request.system)
        if request.tools is not self._tools[0]:
            plain = tuple(tool.model_dump(mode="json") for tool in request.tools)
            self._tools = request.tools, plain, digest(plain)
        kept = self._shared(request.messages)
        del self._said[kept:]
        new = tuple(self._add(message) for message in request.messages[kept:])
        history = self._said[-1].hashed.copy() if self._said else hashlib.sha256(b"[")
        history.update(b"]")
        if self._whole and kept:
            kept, new = 0, tuple(message.model_dump(mode="json") for message in request.messages)
        self._whole = False
        asked = Asked(system=self._system[1], tools=self._tools[2], kept=kept, messages=new)
        told = f"system={asked.system} tools={asked.tools} history={history.hexdigest()[:16]}"
        return Question(told, asked, request.system, self._tools[1])

    def begin_again(self) -> None:
        """Write the next question whole, because the journal holds another history of this lane."""
        self._whole = True

    def _shared(self, messages: Sequence[Message]) -> int:
        shared = 0
        for said, message in zip(self._said, messages, strict=False):
            if said.message is not message and said.message != message:
                break
            shared += 1
        return shared

    def _add(self, message: Message) -> dict[str, Any]:
        plain = message.model_dump(mode="json")
        hashed = self._said[-1].hashed.copy() if self._said else hashlib.sha256(b"[")
        text = json.dumps(plain, sort_keys=True, default=str)
        hashed.update((f", {text}" if self._said else text).encode())
        self._said.append(_Said(message, hashed))
        return plain


def differing(recorded: str, asked: str) -> tuple[str, ...]:
    """Which of `PARTS` differ between two digests of requests."""
    old = dict(part.split("=", 1) for part in recorded.split() if "=" in part)
    new = dict(part.split("=", 1) for part in asked.split() if "=" in part)
    return tuple(name for name in PARTS if name in new and old.get(name) != new[name])


class Spelt(NamedTuple):
    """A question with all that was asked, as read back from a journal. None where the journal has but a digest."""

    system: str | None
    tools: tuple[dict[str, Any], ...] | None
    messages: tuple[dict[str, Any], ...] | None


def spell_out(replies: Iterable[Entry], text: Callable[[str], Any]) -> list[Spelt]:
    """The questions behind a lane's replies, in the order of turns.

    Args:
        replies: entries of one lane, in order.
        text: the value of a `text:DIGEST` entry by its digest, or None.
    """
    spelt: list[Spelt] = []
    messages: tuple[dict[str, Any], ...] | None = ()
    for entry in replies:
        asked = entry.asked
        if asked is None:
            messages = None
            spelt.append(Spelt(None, None, None))
            continue
        if asked.kept == 0:
            messages = asked.messages
        elif messages is not None:
            messages = (*messages[: asked.kept], *asked.messages)
        system, tools = text(asked.system), text(asked.tools)
        spelt.append(Spelt(system, None if tools is None else tuple(tools), messages))
    return spelt
