"""Anthropic's Messages wire."""

from collections.abc import Iterable
from typing import Any

import anthropic as sdk

from perfcrew.llm.abilities import Abilities
from perfcrew.llm.base import Block, Opaque, Reply, Request, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.blocks import Turn, read_arguments, settle, singly
from perfcrew.llm.connection import Connection, Fold
from perfcrew.llm.faults import odd_body
from perfcrew.llm.messages_stream import MessagesFold
from perfcrew.llm.tape import Tape
from perfcrew.llm.wire import Wire

PROVIDER = "anthropic"
STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool",
    "max_tokens": "max_tokens",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}


class Anthropic(Wire):
    """Answers requests for `anthropic/NAME` models."""

    base_url = "https://api.anthropic.com"
    path = "/v1/messages"
    conversation = "messages"

    @staticmethod
    def open(api_key: str, base_url: str, timeout: float) -> Connection:
        """A client of the service."""
        limits = sdk.Timeout(timeout, connect=10.0)
        client = sdk.AsyncAnthropic(api_key=api_key, base_url=base_url, timeout=limits, max_retries=0)
        return Connection(PROVIDER, sdk, client, url=base_url, secret=api_key, timeout=timeout, id_header="request-id")

    def payload(self, request: Request, abilities: Abilities, tape: Tape) -> dict[str, Any]:
        """The body of a request."""
        return payload(request, abilities, tape)

    def fold(self) -> Fold:
        """What puts one stream together."""
        return MessagesFold()

    def read(self, body: dict[str, Any], request: Request, request_id: str | None, seconds: float) -> Reply:
        """The reply in a body."""
        return read(body, request, request_id, seconds)


def bare_name(model: str) -> str:
    """A model's name as the service knows it."""
    return model.partition("/")[2] or model


def payload(request: Request, abilities: Abilities, tape: Tape) -> dict[str, Any]:
    """The body of a request.

    Four cache marks, as many as there may be: on the tools and the system prompt, which conversations of one role
    share; and on the last two turns of ours, so that each turn reads what the last one wrote even when it adds more
    blocks than the service looks back over.
    """

    def translate(said: Iterable[Turn]) -> list[dict[str, Any]]:
        return [_message(turn) for turn in (said if abilities.parallel else singly(said))]

    def offer(tool: ToolSpec) -> dict[str, Any]:
        return _tool(tool, strict=abilities.strict and tool.name == request.answer)

    body: dict[str, Any] = {
        "model": bare_name(request.model),
        "max_tokens": request.max_tokens,
        "messages": tape.items(request.messages, translate, abilities.parallel),
    }
    if request.system.strip():
        body["system"] = [{"type": "text", "text": request.system}]
    if request.tools:
        body["tools"] = tape.tools(request.tools, offer, (abilities.strict, request.answer))
        if not abilities.parallel and abilities.parallel_switch:
            body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    if abilities.thinking:
        body["thinking"] = {"type": "adaptive"}
    if abilities.cache_marks:
        _mark(body)
    return body


def _mark(body: dict[str, Any]) -> None:
    said = body["messages"]
    ours = [number for number, message in enumerate(said) if message["role"] == "user"]
    for number in ours[-2:]:
        # Copies: what the tape gives is sent again without marks.
        said[number] = {**said[number], "content": list(said[number]["content"])}
    for blocks in (body.get("tools"), body.get("system"), *(said[number]["content"] for number in ours[-2:])):
        if blocks:
            blocks[-1] = {**blocks[-1], "cache_control": {"type": "ephemeral"}}


def read(body: dict[str, Any], request: Request, request_id: str | None, seconds: float) -> Reply:
    """The reply in a response body.

    Raises:
        LLMError: the body lacks what every answer has; retryable.
    """
    content, usage = body.get("content"), body.get("usage")
    if not isinstance(content, list) or not isinstance(usage, dict):
        raise odd_body(PROVIDER, f"no content or no usage in a body of type {body.get('type')!r}", request_id)
    stop: Stop = STOPS.get(str(body.get("stop_reason")), "incomplete")
    blocks = [block for item in content if (block := _block(item, request_id)) is not None]
    explanation = (body.get("stop_details") or {}).get("explanation")
    if stop == "refusal" and explanation and not any(isinstance(block, Text) for block in blocks):
        blocks.append(Text(text=str(explanation)))
    settled, stop = settle(blocks, stop, request.tools)
    return Reply(
        model=request.model,
        blocks=settled,
        stop=stop,
        usage=_usage(usage),
        request_id=request_id,
        seconds=seconds,
    )


def _usage(usage: dict[str, Any]) -> Usage:
    cached = int(usage.get("cache_read_input_tokens") or 0)
    written = int(usage.get("cache_creation_input_tokens") or 0)
    return Usage(
        # On this wire `input_tokens` counts only what no cache had a part in.
        input_tokens=int(usage.get("input_tokens") or 0) + cached + written,
        output_tokens=int(usage.get("output_tokens") or 0),
        cached_tokens=cached,
        cache_write_tokens=written,
    )


def _block(item: Any, request_id: str | None) -> Block | None:
    if not isinstance(item, dict) or "type" not in item:
        raise odd_body(PROVIDER, "a content block without a type", request_id)
    if item["type"] == "text":
        text = str(item.get("text") or "")
        return Text(text=text) if text else None
    if item["type"] == "tool_use":
        if not item.get("id") or not item.get("name"):
            raise odd_body(PROVIDER, "a tool call without id or name", request_id)
        arguments, malformed = read_arguments(item.get("input"))
        return ToolCall(id=item["id"], name=item["name"], arguments=arguments, malformed=malformed)
    return Opaque(provider=PROVIDER, data=item)


def _message(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role, "content": [item for block in turn.blocks if (item := _sent(block)) is not None]}


def _sent(block: Block) -> dict[str, Any] | None:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    if isinstance(block, ToolCall):
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": block.arguments}
    if isinstance(block, ToolResult):
        result = {"type": "tool_result", "tool_use_id": block.call, "content": block.content}
        return {**result, "is_error": True} if block.is_error else result
    return block.data if block.provider == PROVIDER else None


def _tool(tool: ToolSpec, *, strict: bool) -> dict[str, Any]:
    # The service compiles a grammar of each strict tool and bounds their number: only the answer is worth one.
    tight = tool.closed_parameters if strict else None
    plain = {"name": tool.name, "description": tool.description, "input_schema": tight or tool.parameters}
    return {**plain, "strict": True} if tight else plain
