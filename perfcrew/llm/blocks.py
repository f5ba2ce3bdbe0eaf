"""What the wires share: a conversation made fit to be sent, and a model's blocks made safe to act on."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from perfcrew.llm.base import Block, Message, Opaque, Stop, Text, ToolCall, ToolResult, ToolSpec
from perfcrew.llm.strict import relax

CUT_SHORT: frozenset[Stop] = frozenset({"max_tokens", "context_window", "refusal", "incomplete"})
NEVER_RUN = "This call was not run."


class Turn(NamedTuple):
    """Everything that one side says before the other speaks."""

    role: Literal["user", "assistant"]
    blocks: list[Block]


def read_arguments(raw: Any) -> tuple[dict[str, Any], str | None]:
    """The arguments of a tool call as an object, and the raw text when they are not one."""
    if isinstance(raw, dict):
        return raw, None
    if raw is None or raw == "":
        # Compatible servers send an empty string for a tool without arguments.
        return {}, None
    if not isinstance(raw, str):
        return {}, json.dumps(raw, ensure_ascii=False)
    try:
        value = json.loads(raw)
    except ValueError:
        return {}, raw
    return (value, None) if isinstance(value, dict) else ({}, raw)


def settle(blocks: Sequence[Block], stop: Stop, tools: Iterable[ToolSpec] = ()) -> tuple[tuple[Block, ...], Stop]:
    """Blocks and stop reason of a reply that agree with each other.

    A reply that was cut short may end in half a call whose arguments happen to parse: it is marked malformed, so that
    nothing downstream can run it. Some servers say `stop` although they call tools, and the other way round. Optional
    arguments that came as null, as strict schemas want them, are left out.
    """
    schemas = {tool.name: tool.parameters for tool in tools}
    settled = [_relaxed(block, schemas) for block in blocks]
    if stop in CUT_SHORT and settled and isinstance(settled[-1], ToolCall):
        last = settled[-1]
        if last.malformed is None:
            settled[-1] = last.model_copy(update={"arguments": {}, "malformed": compact(last.arguments)})
    calls = any(isinstance(block, ToolCall) for block in settled)
    if stop == "end" and calls:
        stop = "tool"
    elif stop == "tool" and not calls:
        stop = "end"
    return tuple(settled), stop


def _relaxed(block: Block, schemas: Mapping[str, dict[str, Any]]) -> Block:
    if not isinstance(block, ToolCall) or block.name not in schemas:
        return block
    return block.model_copy(update={"arguments": relax(block.arguments, schemas[block.name])})


def compact(value: Any) -> str:
    """JSON without spaces, as models write it, so that provider caches still match."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def turns(messages: Iterable[Message]) -> list[Turn]:
    """The conversation in the form that every service accepts.

    Turns of one role are merged, tool results lead their turn, each call has a result (the services refuse a history
    in which one is missing), and assistant turns that said nothing, such as one that only thought, are left out.
    The outcome for a prefix never depends on what follows it, except for a call's result.
    """
    merged: list[Turn] = []
    for message in messages:
        blocks = [_encodable(block) for block in message.blocks if not isinstance(block, Text) or block.text.strip()]
        if not blocks or (message.role == "assistant" and all(isinstance(block, Opaque) for block in blocks)):
            continue
        if merged and merged[-1].role == message.role:
            merged[-1].blocks.extend(blocks)
        else:
            merged.append(Turn(message.role, blocks))
    asked: list[Block] = []
    for turn in merged:
        if turn.role == "user":
            turn.blocks[:] = _answered(asked, turn.blocks)
        asked = turn.blocks
    return merged


def singly(said: Iterable[Turn]) -> Iterator[Turn]:
    """The conversation as servers know it that take one call a turn: each call followed by its own result."""
    calls: list[ToolCall] = []
    for turn in said:
        if turn.role == "assistant":
            calls = [block for block in turn.blocks if isinstance(block, ToolCall)]
            first = [block for block in turn.blocks if not isinstance(block, ToolCall) or block is calls[0]]
            yield Turn("assistant", first)
            continue
        results = {block.call: block for block in turn.blocks if isinstance(block, ToolResult)}
        for call, following in pairwise(calls):
            yield Turn("user", [results.pop(call.id)])
            yield Turn("assistant", [following])
        yield Turn(
            "user", [block for block in turn.blocks if not isinstance(block, ToolResult) or block.call in results]
        )
        calls = []


def _encodable(block: Block) -> Block:
    """The block without half surrogate pairs, which file contents may hold and no wire can carry."""
    if isinstance(block, Text | ToolResult):
        field = "text" if isinstance(block, Text) else "content"
        said = block.text if isinstance(block, Text) else block.content
        try:
            said.encode()
        except UnicodeEncodeError:
            return block.model_copy(update={field: said.encode(errors="replace").decode()})
    return block


def _answered(before: Sequence[Block], blocks: Sequence[Block]) -> list[Block]:
    results = [block for block in blocks if isinstance(block, ToolResult)]
    given = {result.call for result in results}
    missing = [block.id for block in before if isinstance(block, ToolCall) and block.id not in given]
    results += [ToolResult(call=call, content=NEVER_RUN, is_error=True) for call in missing]
    return [*results, *(block for block in blocks if not isinstance(block, ToolResult))]
