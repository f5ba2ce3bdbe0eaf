"""A request as a script sees it: the same for each wire."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

Api = Literal["anthropic", "responses", "chat"]
PATHS: dict[str, Api] = {
    "/v1/messages": "anthropic",
    "/v1/responses": "responses",
    "/v1/chat/completions": "chat",
}


class BadRequestError(Exception):
    """What a real service would refuse with a 400."""


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Result:
    call: str
    content: str
    is_error: bool = False


@dataclass
class Turn:
    role: str
    text: str = ""
    calls: list[Call] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    thinking: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class RequestView:
    number: int
    """Counts all requests of the endpoint, from 1."""
    api: Api
    model: str
    system: str
    messages: list[Turn]
    tools: list[str]
    body: dict[str, Any]

    @property
    def raw(self) -> str:
        """The body as text."""
        return json.dumps(self.body)

    @property
    def last_text(self) -> str:
        """What was said last: the text of the last turn, or else its last tool result."""
        last = self.messages[-1]
        return last.text or (last.results[-1].content if last.results else "")


def view(number: int, api: Api, body: dict[str, Any]) -> RequestView:
    """Read a request as strictly as the services do.

    Raises:
        BadRequestError: a service would refuse it.
    """
    if "temperature" in body or "top_p" in body:
        raise BadRequestError("sampling parameters are not supported")
    read = {"anthropic": _anthropic, "responses": _responses, "chat": _chat}[api]
    seen = read(number, body)
    if not seen.messages or not seen.model:
        raise BadRequestError("model and messages are required")
    _check_calls(seen.messages)
    return seen


def _check_calls(messages: list[Turn]) -> None:
    open_calls: list[str] = []
    for turn in messages:
        given = [result.call for result in turn.results]
        if sorted(given) != sorted(open_calls):
            raise BadRequestError(f"calls {open_calls} were answered by results for {given}")
        open_calls = [call.id for call in turn.calls]
    if open_calls:
        raise BadRequestError(f"calls without results: {open_calls}")


def _anthropic(number: int, body: dict[str, Any]) -> RequestView:
    if not body.get("max_tokens"):
        raise BadRequestError("max_tokens: field required")
    marks = json.dumps(body).count('"cache_control"')
    if marks > 4:
        raise BadRequestError(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
    turns: list[Turn] = []
    for message in body.get("messages") or []:
        if turns and turns[-1].role == message["role"]:
            raise BadRequestError("roles must alternate")
        turns.append(_anthropic_turn(message))
    tools = [tool["name"] for tool in body.get("tools") or [] if tool["input_schema"]["type"] == "object"]
    system = "\n".join(block["text"] for block in body.get("system") or [])
    return RequestView(number, "anthropic", body.get("model", ""), system, turns, tools, body)


def _anthropic_turn(message: dict[str, Any]) -> Turn:
    turn, texts = Turn(message["role"]), []
    if not message["content"]:
        raise BadRequestError("messages must have non-empty content")
    for block in message["content"]:
        kind = block["type"]
        if kind == "text":
            if not block["text"].strip():
                raise BadRequestError("text content blocks must contain non-whitespace text")
            texts.append(block["text"])
        elif kind == "tool_use":
            if not isinstance(block["input"], dict):
                raise BadRequestError("tool_use.input: input should be an object")
            turn.calls.append(Call(block["id"], block["name"], block["input"]))
        elif kind == "tool_result":
            if texts:
                raise BadRequestError("tool_result blocks must come first")
            turn.results.append(Result(block["tool_use_id"], block["content"], block.get("is_error", False)))
        else:
            turn.thinking.append(block)
    turn.text = "\n".join(texts)
    return turn


def _responses(number: int, body: dict[str, Any]) -> RequestView:
    if body.get("store") is not False:
        raise BadRequestError("this endpoint stores nothing: store must be false")
    turns: list[Turn] = []
    for item in body.get("input") or []:
        kind = item.get("type", "message")
        role = item["role"] if kind == "message" else "user" if kind == "function_call_output" else "assistant"
        if not turns or turns[-1].role != role:
            turns.append(Turn(role))
        turn = turns[-1]
        if kind == "message":
            turn.text = "\n".join(part for part in (turn.text, item["content"]) if part)
        elif kind == "function_call":
            turn.calls.append(Call(item["call_id"], item["name"], json.loads(item["arguments"])))
        elif kind == "function_call_output":
            turn.results.append(Result(item["call_id"], item["output"], item["output"].startswith("ERROR: ")))
        else:
            turn.thinking.append(item)
    tools = [tool["name"] for tool in body.get("tools") or [] if tool["type"] == "function"]
    return RequestView(number, "responses", body.get("model", ""), body.get("instructions", ""), turns, tools, body)


def _chat(number: int, body: dict[str, Any]) -> RequestView:
    system, turns = "", list[Turn]()
    for message in body.get("messages") or []:
        role, text = message["role"], message.get("content") or ""
        if role == "system":
            system = text
            continue
        side = "assistant" if role == "assistant" else "user"
        if not turns or turns[-1].role != side:
            turns.append(Turn(side))
        if role == "tool":
            turns[-1].results.append(Result(message["tool_call_id"], text, text.startswith("ERROR: ")))
            continue
        turns[-1].text = "\n".join(part for part in (turns[-1].text, text) if part)
        for call in message.get("tool_calls") or []:
            arguments = json.loads(call["function"]["arguments"])
            turns[-1].calls.append(Call(call["id"], call["function"]["name"], arguments))
    tools = [tool["function"]["name"] for tool in body.get("tools") or []]
    return RequestView(number, "chat", body.get("model", ""), system, turns, tools, body)
