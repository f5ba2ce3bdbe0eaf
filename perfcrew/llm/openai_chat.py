"""OpenAI's Chat Completions wire, which vLLM, Ollama, LM Studio and others speak."""

import time
from typing import Any

from perfcrew.errors import LLMError
from perfcrew.llm.base import Block, Reply, Request, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.blocks import Turn, compact, read_arguments, settle, turns
from perfcrew.llm.faults import odd_body
from perfcrew.llm.openai import BASE_URL, PROVIDER, Connection, bare_name

STOPS: dict[str, Stop] = {
    "stop": "end",
    "tool_calls": "tool",
    "function_call": "tool",
    "length": "max_tokens",
    "content_filter": "refusal",
}


class OpenAIChat:
    """Answers requests for `openai-chat/NAME` models.

    Args:
        api_key: the key; any text for servers that want none.
        base_url: the service, up to and including `/v1`.
        timeout: seconds for one whole answer.
    """

    def __init__(self, api_key: str, base_url: str = BASE_URL, timeout: float = 900.0) -> None:
        self._connection = Connection(api_key, base_url, timeout)
        # OpenAI refuses the old name on its newer models, and many compatible servers ignore the new one.
        self._limit = "max_completion_tokens" if self._connection.is_openai else "max_tokens"

    async def complete(self, request: Request) -> Reply:
        """Answer a request.

        Raises:
            LLMError: the service refused, could not be reached, or sent something that is not an answer.
        """
        started = time.perf_counter()
        try:
            body, request_id = await self._post(request)
        except LLMError as error:
            if error.retryable or self._limit not in str(error):
                raise
            self._limit = {"max_tokens": "max_completion_tokens"}.get(self._limit, "max_tokens")
            body, request_id = await self._post(request)
        return read(body, request, request_id, time.perf_counter() - started)

    async def _post(self, request: Request) -> tuple[dict[str, Any], str | None]:
        body = {**payload(request), self._limit: request.max_tokens}
        create = self._connection.client.chat.completions.with_raw_response.create
        return await self._connection.send(lambda: create(model=bare_name(request.model), messages=[], extra_body=body))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()


def payload(request: Request) -> dict[str, Any]:
    """The body of a request, but for model and token limit."""
    messages = [{"role": "system", "content": request.system}] if request.system.strip() else []
    body: dict[str, Any] = {
        "messages": messages + [message for turn in turns(request.messages) for message in _messages(turn)]
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
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
    settled, stop = settle(blocks, stop)
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


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
