"""Anthropic's Messages wire."""

import time
from typing import Any

import anthropic as sdk

from perfcrew.llm.base import Block, Opaque, Reply, Request, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.blocks import Turn, read_arguments, settle, turns
from perfcrew.llm.faults import odd_body, read_body, refused, unreachable

PROVIDER = "anthropic"
BASE_URL = "https://api.anthropic.com"
STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool",
    "max_tokens": "max_tokens",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}


class Anthropic:
    """Answers requests for `anthropic/NAME` models.

    Args:
        api_key: the key; any text for servers that want none.
        base_url: the service, or a compatible one.
        timeout: seconds for one whole answer. Answers come in one piece, so it has to cover long thinking.
    """

    def __init__(self, api_key: str, base_url: str = BASE_URL, timeout: float = 900.0) -> None:
        self._secret = api_key
        self._url = base_url
        self._timeout = sdk.Timeout(timeout, connect=10.0)
        self._client = sdk.AsyncAnthropic(api_key=api_key, base_url=base_url, timeout=self._timeout, max_retries=0)

    async def complete(self, request: Request) -> Reply:
        """Answer a request.

        Raises:
            LLMError: the service refused, could not be reached, or sent something that is not an answer.
        """
        started = time.perf_counter()
        try:
            raw = await self._client.messages.with_raw_response.create(
                model=bare_name(request.model),
                max_tokens=request.max_tokens,
                messages=[],
                # The SDK's walk over typed messages grows with the history; what it would send is known here.
                extra_body=payload(request),
                # An explicit time limit also lifts the SDK's refusal of long answers in one piece.
                timeout=self._timeout,
            )
        except sdk.APIStatusError as error:
            headers = error.response.headers
            raise refused(
                PROVIDER, error.status_code, headers, error.body, request_id=error.request_id, secret=self._secret
            ) from error
        except sdk.APIConnectionError as error:
            late = isinstance(error, sdk.APITimeoutError)
            raise unreachable(PROVIDER, error, url=self._url, timeout=late, secret=self._secret) from error
        request_id = raw.headers.get("request-id")
        body = read_body(PROVIDER, raw.http_response.content, request_id)
        return read(body, request, request_id, time.perf_counter() - started)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def bare_name(model: str) -> str:
    """A model's name as the service knows it."""
    return model.partition("/")[2] or model


def payload(request: Request) -> dict[str, Any]:
    """The body of a request, but for model and token limit.

    The one cache mark on top moves with the end of the conversation, so each turn reads what the last one wrote.
    """
    body: dict[str, Any] = {
        "messages": [_message(turn) for turn in turns(request.messages)],
        "cache_control": {"type": "ephemeral"},
    }
    if request.system.strip():
        body["system"] = request.system
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    return body


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
    settled, stop = settle(blocks, stop)
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


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
