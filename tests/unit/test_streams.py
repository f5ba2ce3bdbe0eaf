"""Streams: what a listener hears, what the reply is, and servers that stream in ways of their own."""

from typing import Any

import httpx
import pytest
import respx

from perfcrew.errors import LLMError
from perfcrew.llm.base import Reply, Usage
from perfcrew.llm.chat_stream import ChatFold
from perfcrew.llm.connect import connect
from perfcrew.llm.limits import Limited
from perfcrew.llm.responses_stream import ResponsesFold
from tests.llm_endpoint.calls import CALLS, answering, ask, asking, connected, each_wire


class Screen:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.text, self.pieces, self.restarts = "", 0, 0

    def heard(self, text: str) -> None:
        self.text += text
        self.pieces += 1

    def start_over(self) -> None:
        self.text = ""
        self.restarts += 1


@each_wire
async def test_a_listener_hears_the_text_piece_by_piece(model: str) -> None:
    told = "A rather long answer, in many pieces."
    with answering({"thinking": "hidden", "text": told, "tool_calls": CALLS}) as endpoint:
        async with connected(model, endpoint) as llm:
            screen = Screen()
            reply = await llm.complete(asking(model), screen)
    assert (screen.text, reply.text) == (told, told)
    assert screen.pieces > 3
    assert endpoint.bodies[0]["stream"] is True


@each_wire
async def test_a_listener_is_told_when_an_answer_starts_over(model: str) -> None:
    async def soon(seconds: float) -> None: ...

    with answering({"fault": "truncate", "text": "half of it" * 9}, {"text": "whole"}) as endpoint:
        async with connected(model, endpoint) as llm:
            screen = Screen()
            reply = await Limited(llm, sleep=soon).complete(asking(model), screen)
    assert (reply.text, screen.text, screen.restarts) == ("whole", "whole", 1)


@each_wire
async def test_both_ways_give_the_same_reply(model: str) -> None:
    answer = {"thinking": "so", "text": "Reading.", "tool_calls": CALLS, "usage": {"cached": 40, "written": 20}}
    plain, streamed = await ask(model, answer), await ask(model, answer, stream=True)
    assert plain.model_copy(update={"seconds": 0}) == streamed.model_copy(update={"seconds": 0})


@each_wire
async def test_a_server_that_does_not_stream_when_asked_to(wire_mock: respx.MockRouter, model: str) -> None:
    bodies: dict[str, Any] = {
        "anthropic": {"content": [{"type": "text", "text": "plain"}], "stop_reason": "end_turn", "usage": {}},
        "openai": {
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "plain"}]}],
            "usage": {},
        },
        "openai-chat": {"choices": [{"message": {"content": "plain"}, "finish_reason": "stop"}]},
    }
    wire_mock.post(host="127.0.0.1").mock(httpx.Response(200, json=bodies[model.split("/")[0]]))
    assert (await mocked(model)).text == "plain"


async def mocked(model: str) -> Reply:
    url = "http://127.0.0.1:9"
    llm = connect(model, anthropic_base_url=url, openai_base_url=url, stream=True)
    try:
        return await llm.complete(asking(model))
    finally:
        await llm.aclose()  # type: ignore[attr-defined]


@each_wire
@pytest.mark.parametrize(
    "content", ["", "data: {not json\n\n", "data: [DONE]\n\n", ": ping\n\n", 'data: {"type": "x"}\n\n']
)
async def test_streams_that_hold_no_answer(wire_mock: respx.MockRouter, model: str, content: str) -> None:
    headers = {"content-type": "text/event-stream"}
    wire_mock.post(host="127.0.0.1").mock(httpx.Response(200, text=content, headers=headers))
    with pytest.raises(LLMError, match="unusable answer") as caught:
        await mocked(model)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        ({"type": "overloaded_error", "message": "busy"}, True),
        ({"type": "invalid_request_error", "message": "wrong"}, False),
        ({"type": "billing_error", "message": "no money"}, False),
        ({"message": "CUDA out of memory", "code": 500}, True),
    ],
)
async def test_an_error_event_is_told_apart(
    wire_mock: respx.MockRouter, error: dict[str, Any], retryable: bool
) -> None:
    import json

    text = f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n"
    headers = {"content-type": "text/event-stream", "request-id": "r1"}
    wire_mock.post(host="127.0.0.1").mock(httpx.Response(200, text=text, headers=headers))
    with pytest.raises(LLMError, match=rf"{error['message']} \(request r1\)") as caught:
        await mocked("anthropic/x")
    assert caught.value.retryable is retryable


def chunk(calls: list[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"tool_calls": calls}, "finish_reason": finish}]}


@pytest.mark.parametrize("index", [0, None])
def test_servers_that_send_whole_calls_under_one_index(index: int | None) -> None:
    fold = ChatFold()
    for name in ("a", "b"):
        fold.take(chunk([{"index": index, "id": name, "function": {"name": name, "arguments": "{}"}}], "tool_calls"))
    fold.end()
    body = fold.body()
    assert body is not None
    assert [call["id"] for call in body["choices"][0]["message"]["tool_calls"]] == ["a", "b"]


def test_a_completion_without_count_or_end_mark_is_not_whole() -> None:
    fold = ChatFold()
    fold.take({"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]})
    assert fold.body() is None
    fold.take({"choices": [], "usage": {"prompt_tokens": 1}})
    assert fold.body() is not None


def test_items_that_the_last_event_leaves_out() -> None:
    fold = ResponsesFold()
    fold.take({"type": "response.output_item.done", "item": {"type": "message"}})
    fold.take({"type": "response.completed", "response": {"status": "completed", "output": []}})
    assert fold.body() == {"status": "completed", "output": [{"type": "message"}]}


async def test_anthropics_counts_of_the_end_are_totals() -> None:
    usage = {"input": 900, "output": 77, "cached": 500, "written": 300}
    reply = await ask("anthropic/x", {"text": "a", "usage": usage}, stream=True)
    assert reply.usage == Usage(input_tokens=900, output_tokens=77, cached_tokens=500, cache_write_tokens=300)
