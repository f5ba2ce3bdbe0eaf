"""Answers and errors as each wire puts them."""

import json
from typing import Any

from tests.llm_endpoint.view import Api, RequestView

Answer = dict[str, Any]
"""`text`, `tool_calls` ([{name, arguments, id?}]), `thinking` (a text), `stop` (neutral or a wire's own), `usage`
({input, output, cached, written}), `phase`, and `fault` with its own keys. All optional."""
ANTHROPIC_STOPS = {
    "end": "end_turn",
    "tool": "tool_use",
    "max_tokens": "max_tokens",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context_window": "model_context_window_exceeded",
}
CHAT_STOPS = {
    "end": "stop",
    "tool": "tool_calls",
    "max_tokens": "length",
    "context_window": "length",
    "refusal": "content_filter",
}
MALFORMED = '{"path": "a.py", "lines": [1, 2'


def request_id(number: int) -> str:
    return f"req_{number:04d}"


def body(seen: RequestView, answer: Answer) -> dict[str, Any]:
    """The response body of an answer."""
    calls = [
        {"id": call.get("id", f"call_{seen.number}_{index}"), "name": call["name"], "arguments": call["arguments"]}
        for index, call in enumerate(answer.get("tool_calls") or [])
    ]
    stop = answer.get("stop") or ("tool" if calls else "end")
    usage = {"input": 100 * seen.number, "output": 10, "cached": 0, "written": 0, **(answer.get("usage") or {})}
    write = {"anthropic": _anthropic, "responses": _responses, "chat": _chat}[seen.api]
    return write(seen, answer, calls, stop, usage)


def error(api: Api, status: int, kind: str, message: str) -> dict[str, Any]:
    """The body of an error."""
    if api == "anthropic":
        return {"type": "error", "error": {"type": kind, "message": message}}
    return {"error": {"message": message, "type": kind, "param": None, "code": kind if status == 400 else None}}


def _wire_arguments(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _anthropic(seen: RequestView, answer: Answer, calls: list[Any], stop: str, usage: dict[str, int]) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if answer.get("thinking"):
        signature = f"signature-{seen.number}"
        content.append({"type": "thinking", "thinking": answer["thinking"], "signature": signature})
    if answer.get("text"):
        content.append({"type": "text", "text": answer["text"], "citations": None})
    content += [{"type": "tool_use", "id": c["id"], "name": c["name"], "input": c["arguments"]} for c in calls]
    return {
        "id": f"msg_{seen.number}",
        "type": "message",
        "role": "assistant",
        "model": seen.model,
        "content": content,
        "stop_reason": ANTHROPIC_STOPS.get(stop, stop),
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage["input"] - usage["cached"] - usage["written"],
            "output_tokens": usage["output"],
            "cache_read_input_tokens": usage["cached"],
            "cache_creation_input_tokens": usage["written"],
        },
    }


def _responses(seen: RequestView, answer: Answer, calls: list[Any], stop: str, usage: dict[str, int]) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    cut = stop in ("max_tokens", "context_window", "pause")
    if answer.get("thinking"):
        sealed = f"sealed-{seen.number}-{answer['thinking']}"
        output.append({"type": "reasoning", "id": f"rs_{seen.number}", "summary": [], "encrypted_content": sealed})
    if answer.get("text"):
        kind = "refusal" if stop == "refusal" else "output_text"
        part = {"type": kind, "refusal" if stop == "refusal" else "text": answer["text"]}
        message = {"type": "message", "id": f"m_{seen.number}", "role": "assistant", "status": "completed"}
        phase = {"phase": answer["phase"]} if answer.get("phase") else {}
        output.append({**message, **phase, "content": [part]})
    for call in calls:
        item = {"type": "function_call", "id": f"fc_{call['id']}", "call_id": call["id"], "name": call["name"]}
        status = "incomplete" if cut and call is calls[-1] else "completed"
        output.append({**item, "arguments": _wire_arguments(call["arguments"]), "status": status})
    return {
        "id": f"resp_{seen.number}",
        "object": "response",
        "model": seen.model,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens" if stop == "max_tokens" else "other"} if cut else None,
        "error": None,
        "output": output,
        "usage": {
            "input_tokens": usage["input"],
            "input_tokens_details": {"cached_tokens": usage["cached"], "cache_write_tokens": usage["written"]},
            "output_tokens": usage["output"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["input"] + usage["output"],
        },
    }


def _chat(seen: RequestView, answer: Answer, calls: list[Any], stop: str, usage: dict[str, int]) -> dict[str, Any]:
    refusal = answer.get("text") if stop == "refusal" else None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refusal else answer.get("text"),
        "refusal": refusal,
    }
    if calls:
        message["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": _wire_arguments(call["arguments"])},
            }
            for call in calls
        ]
    return {
        "id": f"chatcmpl-{seen.number}",
        "object": "chat.completion",
        "model": seen.model,
        "choices": [{"index": 0, "message": message, "finish_reason": CHAT_STOPS.get(stop, stop)}],
        "usage": {
            "prompt_tokens": usage["input"],
            "completion_tokens": usage["output"],
            "total_tokens": usage["input"] + usage["output"],
            "prompt_tokens_details": {"cached_tokens": usage["cached"], "cache_write_tokens": usage["written"]},
        },
    }
