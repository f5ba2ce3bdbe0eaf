"""Faults: an answer spoiled in the way of real services.

| fault | what the client sees | keys |
| --- | --- | --- |
| rate_limit | 429 with retry-after | retry_after (1) |
| spend_limit | 429 that says money is used up | |
| server_error | 500 | |
| overloaded | 529 on Anthropic's wire, 503 on the others | retry_after |
| bad_request | 400 | message |
| http | any status | status, message |
| unauthorized | 401 that quotes the key | |
| html | 502 with an HTML page, or another status | status |
| reset | the connection is reset in mid-body | |
| truncate | the body ends early, but cleanly | |
| stream_error | an error event in the middle of a stream; without a stream, overloaded | |
| drip | signs of life, but never an answer | |
| slow | the answer comes after a while | seconds (1) |
| malformed_args | the first call's arguments are not JSON | |
| unknown_tool | the first call names a tool that is not there | |
| wrong_type_args | the first argument of the first call has another type | |
| max_tokens | stopped by the limit: half the text, the last call's arguments cut | |
| empty | no content | |
| refusal | a refusal | |
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from tests.llm_endpoint.streams import Event
from tests.llm_endpoint.view import Api, RequestView
from tests.llm_endpoint.wires import MALFORMED, Answer, error

PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


@dataclass
class Sent:
    """What goes over the wire."""

    status: int
    body: dict[str, Any] | str | list[Event]
    """A body, a page, or the events of a stream."""
    headers: dict[str, str] = field(default_factory=dict)
    cut: str = ""
    """`truncate`, `reset`, `stream_error` or `drip`: how the body ends in the middle."""
    delay: float = 0.0
    """Seconds before anything is sent."""
    api: Api = "anthropic"


def spoil(answer: Answer) -> Answer:
    """An answer after a fault that changes what it says."""
    fault, answer = answer.get("fault"), copy.deepcopy(answer)
    calls = answer.get("tool_calls") or []
    if fault == "malformed_args":
        for call in calls[:1]:
            call["arguments"] = MALFORMED
    elif fault == "unknown_tool" and calls:
        calls[0]["name"] += "_pro"
    elif fault == "wrong_type_args":
        for call in calls[:1]:
            name = next(iter(call["arguments"]), None)
            call["arguments"] = {**call["arguments"], name: {"not": "this type"}} if name else ["not an object"]
    elif fault == "max_tokens":
        answer["stop"] = "max_tokens"
        answer["text"] = (answer.get("text") or "")[: len(answer.get("text") or "") // 2]
        if calls:
            # What a service gives of a call that it could not finish: an object on one wire, a torn text otherwise.
            whole = answer.get("api") == "anthropic" and not answer.get("stream")
            calls[-1]["arguments"] = {} if whole else MALFORMED
    elif fault == "empty":
        answer.update(text="", tool_calls=[], thinking="")
    elif fault == "refusal":
        answer.update(text="I can't help with that.", tool_calls=[], stop="refusal")
    return answer


def failure(seen: RequestView, answer: Answer, key: str) -> Sent | None:
    """What is sent in place of an answer, for the faults that leave nothing of it."""
    anthropic = seen.api == "anthropic"
    wait = {"retry-after": str(answer["retry_after"])} if "retry_after" in answer else {}
    fault = answer.get("fault")
    if fault == "stream_error" and not seen.body.get("stream"):
        fault = "overloaded"
    match fault:
        case "rate_limit":
            body = error(seen.api, 429, "rate_limit_error", "too many requests")
            return Sent(429, body, wait or {"retry-after": "1"})
        case "spend_limit":
            if anthropic:
                body = error(seen.api, 429, "rate_limit_error", "the spend limit is reached")
                body["error"]["details"] = {"error_code": "enforced_spend_limit_reached"}
            else:
                body = error(seen.api, 429, "insufficient_quota", "You exceeded your current quota")
                body["error"]["code"] = "insufficient_quota"
            return Sent(429, body)
        case "server_error":
            return Sent(500, error(seen.api, 500, "api_error", "internal server error"))
        case "overloaded":
            return Sent(529 if anthropic else 503, error(seen.api, 529, "overloaded_error", "overloaded"), wait)
        case "bad_request" | "http":
            status, message = answer.get("status", 400), answer.get("message", "this is wrong")
            return Sent(status, error(seen.api, status, "invalid_request_error", message))
        case "unauthorized":
            return Sent(401, error(seen.api, 401, "authentication_error", f"invalid key: {key}"))
        case "html":
            return Sent(answer.get("status", 502), PAGE)
    return None
