"""OpenAI's Chat Completions wire, which vLLM, Ollama, LM Studio and others speak."""

from collections.abc import Iterable
from typing import Any

from perfcrew.llm.abilities import LIMITS, Abilities
from perfcrew.llm.base import Block, Reply, Request, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.blocks import Turn, compact, read_arguments, settle, singly
from perfcrew.llm.chat_stream import ChatFold
from perfcrew.llm.connection import Fold
from perfcrew.llm.faults import odd_body
from perfcrew.llm.openai import BASE_URL, PROVIDER, bare_name, is_openai, open_connection
from perfcrew.llm.tape import Tape
from perfcrew.llm.wire import Wire

STOPS: dict[str, Stop] = {
    "stop": "end",
    "tool_calls": "tool",
    "function_call": "tool",
    "length": "max_tokens",
    "content_filter": "refusal",
}


class OpenAIChat(Wire):
    """Answers requests for `openai-chat/NAME` models."""

    base_url = BASE_URL
    open = staticmethod(open_connection)
    path = "/chat/completions"
    conversation = "messages"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if is_openai(self._connection):
            self._abilities.limit = LIMITS[1]

    def payload(self, request: Request, abilities: Abilities, tape: Tape) -> dict[str, Any]:
        """The body of a request."""
        return payload(request, abilities, tape)

    def streamed(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body that asks for the same answer in pieces, with a count of tokens at their end."""
        counted = {"stream_options": {"include_usage": True}} if self._abilities.stream_usage else {}
        return {**super().streamed(body), **counted}

    def fold(self) -> Fold:
        """What puts one stream together."""
        return ChatFold()

    def read(self, body: dict[str, Any], request: Request, request_id: str | None, seconds: float) -> Reply:
        """The reply in a body."""
        return read(body, request, request_id, seconds)


def payload(request: Request, abilities: Abilities, tape: Tape) -> dict[str, Any]:
    """The body of a request."""

    def translate(said: Iterable[Turn]) -> list[dict[str, Any]]:
        return [message for turn in (said if abilities.parallel else singly(said)) for message in _messages(turn)]

    system = [{"role": "system", "content": request.system}] if request.system.strip() else []
    body: dict[str, Any] = {
        "model": bare_name(request.model),
        abilities.limit: request.max_tokens,
        "messages": [*system, *tape.items(request.messages, translate, abilities.parallel)],
    }
    if request.tools:
        body["tools"] = tape.tools(request.tools, lambda tool: _tool(tool, strict=abilities.strict), abilities.strict)
        if not abilities.parallel and abilities.parallel_switch:
            body["parallel_tool_calls"] = False
    return body


def read(body: dict[str, Any], request: Request, request_id: str | None, seconds: float) -> Reply:
    """The reply in a response body.

    Raises:
        LLMError: the body lacks what every answer has; retryable.
    """
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise odd_body(PROVIDER, "no message in the body", request_id)
    stop: Stop = STOPS.get(str(choice.get("finish_reason")), "incomplete")
    blocks: list[Block] = [Text(text=text) for key in ("content", "refusal") if (text := message.get(key))]
    for index, call in enumerate(message.get("tool_calls") or []):
        # Some servers give calls no id; one of our own has to be unique within the conversation.
        blocks.append(_call(call, f"call-{len(request.messages)}-{index}", request_id))
    if message.get("refusal") and stop == "end":
        stop = "refusal"
    settled, stop = settle(blocks, stop, request.tools)
    return Reply(
        model=request.model,
        blocks=settled,
        stop=stop,
        usage=_usage(body.get("usage") or {}),
        request_id=request_id,
        seconds=seconds,
    )


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=int(usage.get("prompt_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
        cache_write_tokens=int(details.get("cache_write_tokens") or 0),
    )


def _call(call: Any, fallback_id: str, request_id: str | None) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not function.get("name"):
        raise odd_body(PROVIDER, "a tool call without a function", request_id)
    arguments, malformed = read_arguments(function.get("arguments"))
    return ToolCall(id=call.get("id") or fallback_id, name=function["name"], arguments=arguments, malformed=malformed)


def _messages(turn: Turn) -> list[dict[str, Any]]:
    results = [_result(block) for block in turn.blocks if isinstance(block, ToolResult)]
    text = "\n\n".join(block.text for block in turn.blocks if isinstance(block, Text))
    calls = [_sent(block) for block in turn.blocks if isinstance(block, ToolCall)]
    if turn.role == "user":
        return [*results, {"role": "user", "content": text}] if text else results
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    return [{**message, "tool_calls": calls} if calls else message]


def _result(block: ToolResult) -> dict[str, Any]:
    content = f"ERROR: {block.content}" if block.is_error else block.content
    return {"role": "tool", "tool_call_id": block.call, "content": content}


def _sent(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": compact(call.arguments)}}


def _tool(tool: ToolSpec, *, strict: bool) -> dict[str, Any]:
    tight = tool.strict_parameters if strict else None
    function = {"name": tool.name, "description": tool.description, "parameters": tight or tool.parameters}
    return {"type": "function", "function": {**function, "strict": True} if tight else function}
