"""Growing conversations in a wire's form, where each turn is translated and encoded once, not again on each request."""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfcrew.llm.base import Message, Opaque, Text, ToolSpec
from perfcrew.llm.blocks import Turn, turns

Item = dict[str, Any]
MOST_CONVERSATIONS = 16
"""Kept at once; a run has few side by side, and one that was put aside is only translated again."""


def encode(value: Any) -> bytes:
    """JSON as the vendors' SDKs send it. Half surrogate pairs, which no wire can carry, become question marks."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="replace")


@dataclass
class _Reel:
    """The part of a conversation that nothing to come can change."""

    messages: tuple[Message, ...] = ()
    form: Any = None
    items: list[Item] = field(default_factory=list)


class Tape:
    """A memory of what was sent, for one wire.

    The items that it gives are shared between requests: who wants one to be different replaces it by a copy.
    """

    def __init__(self) -> None:
        self._reels: OrderedDict[int, _Reel] = OrderedDict()
        self._encoded: dict[int, tuple[Item, bytes]] = {}
        self._tools: tuple[tuple[ToolSpec, ...], Any, list[Item]] | None = None

    def items(
        self, messages: tuple[Message, ...], translate: Callable[[Sequence[Turn]], Iterable[Item]], form: Any = None
    ) -> list[Item]:
        """A conversation in the wire's form, in a list of its own.

        Args:
            messages: the conversation.
            translate: turns to items; what it makes of a turn must not depend on other turns.
            form: whatever else the translation depends on.
        """
        if not messages:
            return []
        reel = self._reels.pop(id(messages[0]), None)
        if reel is None or reel.form != form or messages[: len(reel.messages)] != reel.messages:
            self._forget(reel)
            reel = _Reel(form=form)
        done = len(reel.messages)
        if (end := _settled(messages, done)) > done:
            added = list(translate(turns(messages[done:end])))
            for item in added:
                self._encoded[id(item)] = (item, encode(item))
            reel.items += added
            reel.messages = messages[:end]
        if reel.messages:
            self._reels[id(messages[0])] = reel
            if len(self._reels) > MOST_CONVERSATIONS:
                self._forget(self._reels.popitem(last=False)[1])
        return [*reel.items, *translate(turns(messages[len(reel.messages) :]))]

    def tools(self, tools: tuple[ToolSpec, ...], translate: Callable[[ToolSpec], Item], form: Any = None) -> list[Item]:
        """Tools in the wire's form, in a list of its own; made again when they or the form differ from the last."""
        if self._tools is None or self._tools[0] != tools or self._tools[1] != form:
            self._tools = (tools, form, [translate(tool) for tool in tools])
        return list(self._tools[2])

    def encode(self, body: dict[str, Any], conversation: str) -> bytes:
        """The body as JSON, where what lies under the key `conversation` came from `items`."""
        head = {key: value for key, value in body.items() if key != conversation}
        pieces = [self._piece(item) for item in body[conversation]]
        listed = encode(conversation) + b":[" + b",".join(pieces) + b"]"
        return encode(head)[:-1] + (b"," if head else b"") + listed + b"}"

    def _piece(self, item: Item) -> bytes:
        known = self._encoded.get(id(item))
        return known[1] if known else encode(item)

    def _forget(self, reel: _Reel | None) -> None:
        for item in reel.items if reel else ():
            del self._encoded[id(item)]


def _settled(messages: Sequence[Message], start: int) -> int:
    """Where the last turn begins that later messages can still change: everything before it stays as it is.

    That is an assistant's message which says something after a user's which does: nothing merges across that border,
    and the results of all earlier calls are there.
    """
    for end in range(len(messages) - 1, start, -1):
        before, after = messages[end - 1], messages[end]
        if (before.role, after.role) == ("user", "assistant") and _says(before) and _says(after):
            return end
    return start


def _says(message: Message) -> bool:
    """Whether a message makes a turn: see `turns`."""
    blocks = [block for block in message.blocks if not isinstance(block, Text) or block.text.strip()]
    return bool(blocks) and not (message.role == "assistant" and all(isinstance(block, Opaque) for block in blocks))
