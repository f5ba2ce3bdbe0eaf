"""OpenAI's Responses wire, stateless: nothing is kept on the server, reasoning travels encrypted."""

from collections.abc import Iterable
from typing import Any

from perfcrew.errors import LLMError
from perfcrew.llm.abilities import Abilities
from perfcrew.llm.base import Block, Opaque, Reply, Request, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.blocks import Turn, compact, read_arguments, settle, singly
from perfcrew.llm.connection import Fold
from perfcrew.llm.faults import odd_body
from perfcrew.llm.openai import BASE_URL, PROVIDER, bare_name, open_connection
from perfcrew.llm.responses_stream import ResponsesFold
from perfcrew.llm.tape import Tape
from perfcrew.llm.wire import Wire

ENCRYPTED = "reasoning.encrypted_content"
_INCOMPLETE: dict[str, Stop] = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}


class OpenAIResponses(Wire):
    """Answers requests for `openai/NAME` models."""

    base_url = BASE_URL
    open = staticmethod(open_connection)
    path = "/responses"
    conversation = "input"

    def payload(self, request: Request, abilities: Abilities, tape: Tape) -> dict[str, Any]:
        """The body of a request."""
        return payload(request, abilities, tape)

    def fold(self) -> Fold:
        """What puts one stream together."""
        return ResponsesFold()

    def read(self, body: dict[str, Any], request: Request, request_id: str | None, seconds: float) -> Reply:
        """The reply in a body."""
        return read(body, request, request_id, seconds)


def payload(request: Request, abilities: Abilities, tape: Tape) -> dict[str, Any]:
    """The body of a request."""

    def translate(said: Iterable[Turn]) -> list[dict[str, Any]]:
        return [item for turn in (said if abilities.parallel else singly(said)) for item in _items(turn)]

    body: dict[str, Any] = {
        "model": bare_name(request.model),
        "input": tape.items(request.messages, translate, abilities.parallel),
        "store": False,
        "max_output_tokens": request.max_tokens,
    }
    if request.system.strip():
        body["instructions"] = request.system
    if request.tools:
        body["tools"] = tape.tools(request.tools, lambda tool: _tool(tool, strict=abilities.strict), abilities.strict)
        if not abilities.parallel and abilities.parallel_switch:
            body["parallel_tool_calls"] = False
    if abilities.encrypted:
        # Models that don't reason, and some compatible servers, refuse to encrypt what they haven't got.
        body["include"] = [ENCRYPTED]
    return body


def read(body: dict[str, Any], request: Request, request_id: str | None, seconds: float) -> Reply:
    """The reply in a response body.

    Raises:
        LLMError: the body lacks what every answer has, or says that the answer failed.
    """
    status, output = body.get("status"), body.get("output")
    if status in ("failed", "cancelled"):
        raise _failed(body.get("error"), str(status), request_id)
    if not isinstance(output, list) or not isinstance(body.get("usage"), dict):
        raise odd_body(PROVIDER, f"no output or no usage in a body of status {status!r}", request_id)
    stop: Stop = "end" if status == "completed" else "incomplete"
    if status == "incomplete":
        reason = (body.get("incomplete_details") or {}).get("reason")
        stop = _INCOMPLETE.get(str(reason), "incomplete")
    blocks: list[Block] = []
    for item in output:
        blocks.extend(_blocks(item, request_id))
    if stop == "end" and any(_refuses(item) for item in output):
        stop = "refusal"
    settled, stop = settle(blocks, stop, request.tools)
    return Reply(
        model=request.model,
        blocks=settled,
        stop=stop,
        usage=_usage(body["usage"]),
        request_id=request_id,
        seconds=seconds,
    )


def _failed(error: Any, status: str, request_id: str | None) -> LLMError:
    error = error if isinstance(error, dict) else {}
    code = str(error.get("code") or status)
    retryable = code in ("server_error", "rate_limit_exceeded", "cancelled", "failed")
    told = f"{PROVIDER}: the response failed, {code}: {str(error.get('message') or '')[:200]}"
    told += f" (request {request_id})" if request_id else ""
    return LLMError(told, retryable=retryable, request_id=request_id)


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("input_tokens_details") or {}
    return Usage(
        input_tokens=int(usage.get("input_tokens") or 0),
        output_tokens=int(usage.get("output_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
        cache_write_tokens=int(details.get("cache_write_tokens") or 0),
    )


def _refuses(item: Any) -> bool:
    parts = item.get("content") if isinstance(item, dict) else None
    return isinstance(parts, list) and any(part.get("type") == "refusal" for part in parts)


def _blocks(item: Any, request_id: str | None) -> list[Block]:
    if not isinstance(item, dict) or "type" not in item:
        raise odd_body(PROVIDER, "an output item without a type", request_id)
    if item["type"] == "message":
        return _said(item)
    if item["type"] == "function_call":
        if not item.get("call_id") or not item.get("name"):
            raise odd_body(PROVIDER, "a tool call without id or name", request_id)
        raw = item.get("arguments")
        arguments, malformed = read_arguments(raw)
        if item.get("status") == "incomplete":
            arguments, malformed = {}, str(raw)
        return [ToolCall(id=item["call_id"], name=item["name"], arguments=arguments, malformed=malformed)]
    return [Opaque(provider=PROVIDER, data=item)]


def _said(item: dict[str, Any]) -> list[Block]:
    parts = item.get("content") or []
    words = [str(part.get("text") or part.get("refusal") or "") for part in parts]
    blocks: list[Block] = [Text(text=text) for text in words if text]
    if item.get("phase") and blocks:
        # Whether a text is commentary or the final answer has to come back with it.
        blocks.insert(0, Opaque(provider=PROVIDER, data={"type": "phase", "phase": item["phase"]}))
    return blocks


def _items(turn: Turn) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    phase: str | None = None
    for block in turn.blocks:
        if isinstance(block, Opaque):
            if block.provider == PROVIDER and block.data.get("type") == "phase":
                phase = block.data["phase"]
            elif block.provider == PROVIDER and _usable(block.data):
                items.append(block.data)
            continue
        item = _item(block, turn.role)
        if phase and isinstance(block, Text):
            item["phase"] = phase
        elif not isinstance(block, Text):
            phase = None
        items.append(item)
    return items


def _usable(data: dict[str, Any]) -> bool:
    """A reasoning item without its content is only a reference, and nothing is stored that it could refer to."""
    return data.get("type") != "reasoning" or bool(data.get("encrypted_content") or data.get("content"))


def _item(block: Text | ToolCall | ToolResult, role: str) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "message", "role": role, "content": block.text}
    if isinstance(block, ToolCall):
        arguments = compact(block.arguments)
        return {"type": "function_call", "call_id": block.id, "name": block.name, "arguments": arguments}
    content = f"ERROR: {block.content}" if block.is_error else block.content
    return {"type": "function_call_output", "call_id": block.call, "output": content}


def _tool(tool: ToolSpec, *, strict: bool) -> dict[str, Any]:
    tight = tool.strict_parameters if strict else None
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tight or tool.parameters,
        # Said either way: without it the service makes every optional argument required by itself.
        "strict": tight is not None,
    }
