"""Long conversations made shorter: the oldest tool results shrink to their beginnings first, what was asked never does.

Cutting changes the middle of a history, so the provider's prompt cache is of no use behind the cut. So it is done
rarely and in large steps: not before the window is nearly full, and then down to half of it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from perfcrew.llm.base import Block, Message, Opaque, ToolCall, ToolResult

BEGINNING = 300
"""Characters that stay of a result."""
LEAST = 900
"""Characters below which cutting is not worth a reference."""
RECENT = 4
"""Newest messages, that is two turns, that are only touched when nothing else helps."""

Weigh = Callable[[Message], float]


class Shrunk(NamedTuple):
    """A shorter conversation."""

    messages: list[Message]
    cut: dict[str, str]
    """What was cut, whole, by reference."""
    freed: float
    """Tokens."""


def shrink(messages: Sequence[Message], weigh: Weigh, *, wanted: float, needed: float) -> Shrunk:
    """Cut a conversation until enough is freed or nothing is left to cut.

    In this order: results older than `RECENT`, long arguments of calls as old, and the newest results. Texts stay word
    for word: the task, the plan, what the agent said. Thinking goes as soon as anything is cut, because services refuse
    it after a history that it was not thought about.

    Args:
        messages: the conversation.
        weigh: tokens of a message.
        wanted: tokens to free as long as only old parts are touched.
        needed: tokens to free even at the cost of the newest results.
    """
    shrunk = Shrunk(list(messages), {}, 0.0)
    old = range(max(1, len(messages) - RECENT))
    new = range(len(old), len(messages))
    for indexes, cut, enough in ((old, _cut_results, wanted), (old, _cut_calls, wanted), (new, _cut_results, needed)):
        for index in indexes:
            if shrunk.freed >= enough:
                break
            shrunk = _replace(shrunk, index, cut, weigh)
    return _without_thinking(shrunk, weigh) if shrunk.freed > 0 else shrunk


def _replace(shrunk: Shrunk, index: int, cut: Callable[[Message, int], Iterator[Any]], weigh: Weigh) -> Shrunk:
    message, blocks, known = shrunk.messages[index], list[Block](), dict(shrunk.cut)
    for block, reference, whole in cut(message, index):
        blocks.append(block)
        if reference:
            known[reference] = whole
    if len(known) == len(shrunk.cut):
        return shrunk
    return _freed(shrunk, index, blocks, known, weigh)


def _freed(shrunk: Shrunk, index: int, blocks: Sequence[Block], cut: dict[str, str], weigh: Weigh) -> Shrunk:
    message = shrunk.messages[index]
    shorter = message.model_copy(update={"blocks": tuple(blocks)})
    messages = [*shrunk.messages[:index], shorter, *shrunk.messages[index + 1 :]]
    return Shrunk(messages, cut, shrunk.freed + weigh(message) - weigh(shorter))


def _cut_results(message: Message, index: int) -> Iterator[tuple[Block, str, str]]:
    for number, block in enumerate(message.blocks):
        if isinstance(block, ToolResult) and len(block.content) > LEAST:
            reference = f"{index}.{number}"
            yield block.model_copy(update={"content": _beginning(block.content, reference)}), reference, block.content
        else:
            yield block, "", ""


def _cut_calls(message: Message, index: int) -> Iterator[tuple[Block, str, str]]:
    for number, block in enumerate(message.blocks):
        long = block.arguments.items() if isinstance(block, ToolCall) else ()
        found = {name: value for name, value in long if isinstance(value, str) and len(value) > LEAST}
        if not found or not isinstance(block, ToolCall):
            yield block, "", ""
            continue
        reference = f"{index}.{number}"
        shorter = {name: _beginning(value, reference) for name, value in found.items()}
        whole = "\n\n".join(f"{name}:\n{value}" for name, value in found.items())
        yield block.model_copy(update={"arguments": {**block.arguments, **shorter}}), reference, whole


def _beginning(text: str, reference: str) -> str:
    kept = text[:BEGINNING]
    if "\n" in kept[BEGINNING // 2 :]:
        kept = kept[: kept.rindex("\n")]
    return f'{kept}\n[cut: the whole {len(text):,} characters are kept; `recall` gives them: reference "{reference}"]'


def _without_thinking(shrunk: Shrunk, weigh: Weigh) -> Shrunk:
    for index, message in enumerate(shrunk.messages):
        blocks = [block for block in message.blocks if not _thinks(block)]
        if len(blocks) < len(message.blocks):
            shrunk = _freed(shrunk, index, blocks, shrunk.cut, weigh)
    return shrunk


def _thinks(block: Block) -> bool:
    # A phase only says what kind of text follows it.
    return isinstance(block, Opaque) and block.data.get("type") != "phase"
