"""A plain body as the stream of events that each wire makes of it."""

import json
from collections.abc import Iterator
from typing import Any

from tests.llm_endpoint.view import Api

Event = tuple[str | None, Any]
"""Name of the event, where the wire has names, and its data."""
PIECES = 7
"""Characters of one piece of a text."""


def events(api: Api, body: dict[str, Any], *, counted: bool = True) -> list[Event]:
    """The events of an answer; `counted`: with tokens at the end, which Chat Completions only gives when asked."""
    made = {"anthropic": _anthropic, "responses": _responses, "chat": _chat}[api](body)
    named = [(name, {**data, "type": name} if name else data) for name, data in made]
    return [event for event in named if counted or api != "chat" or event[1] == "[DONE]" or event[1]["choices"]]


def broken(api: Api) -> Event:
    """An error inside a stream that has begun."""
    if api == "anthropic":
        return "error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    if api == "responses":
        error = {"code": "server_error", "message": "The server had an error"}
        return "response.failed", {"type": "response.failed", "response": {"status": "failed", "error": error}}
    return None, {"error": {"message": "The server had an error", "type": "server_error", "code": None}}


def encode(event: Event) -> bytes:
    name, data = event
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECES):
        yield text[start : start + PIECES]


def _anthropic(body: dict[str, Any]) -> Iterator[Event]:
    first = {**body["usage"], "output_tokens": 1}
    yield "message_start", {"message": {**body, "content": [], "stop_reason": None, "usage": first}}
    yield "ping", {}
    for index, block in enumerate(body["content"]):
        empty, deltas = _parts(block)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    ended = {key: value for key, value in body.items() if key.startswith("stop_")}
    yield "message_delta", {"delta": ended, "usage": {"output_tokens": body["usage"]["output_tokens"]}}
    yield "message_stop", {}


def _parts(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
        return {**block, "thinking": "", "signature": ""}, [
            *deltas,
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    given = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
    return {**block, "input": {}}, [
        {"type": "input_json_delta", "partial_json": piece} for piece in ("", *_pieces(given))
    ]


def _responses(body: dict[str, Any]) -> Iterator[Event]:
    yield "response.created", {"response": {**body, "status": "in_progress", "output": [], "usage": None}}
    for index, item in enumerate(body["output"]):
        yield "response.output_item.added", {"output_index": index, "item": {**item, "status": "in_progress"}}
        for part in item.get("content") or []:
            kind = "refusal" if part["type"] == "refusal" else "output_text"
            for piece in _pieces(part.get("text") or part.get("refusal") or ""):
                yield f"response.{kind}.delta", {"output_index": index, "delta": piece}
        for piece in _pieces(item.get("arguments") or ""):
            yield "response.function_call_arguments.delta", {"output_index": index, "delta": piece}
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield f"response.{body['status']}", {"response": body}


def _chat(body: dict[str, Any]) -> Iterator[Event]:
    [choice] = body["choices"]
    message = choice["message"]
    yield _chunk({"role": "assistant", "content": ""})
    for name in ("content", "refusal"):
        for piece in _pieces(message.get(name) or ""):
            yield _chunk({name: piece})
    for index, call in enumerate(message.get("tool_calls") or []):
        said = call["function"]
        head = {"index": index, "id": call["id"], "type": "function", "function": {"name": said["name"]}}
        yield _chunk({"tool_calls": [head]})
        for piece in _pieces(said["arguments"]):
            yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _chunk({}, choice["finish_reason"])
    yield None, {"choices": [], "usage": body["usage"]}
    yield None, "[DONE]"


def _chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
    return None, {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}
