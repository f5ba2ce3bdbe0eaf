"""The same adapters with respx in the place of the network: the vendors' addresses, and bodies of odd shapes."""

from typing import Any

import httpx
import pytest
import respx

from perfcrew.errors import LLMError
from perfcrew.llm.abilities import Abilities
from perfcrew.llm.base import Message, Reply, Request, Text
from perfcrew.llm.connect import connect

ADDRESSES = {
    "anthropic/claude-opus-5-5": "https://api.anthropic.com/v1/messages",
    "openai/gpt-6.2-sol": "https://api.openai.com/v1/responses",
    "openai-chat/gpt-6.2-sol": "https://api.openai.com/v1/chat/completions",
}
each_wire = pytest.mark.parametrize("model", list(ADDRESSES))


async def ask(model: str) -> Reply:
    llm = connect(model, anthropic_api_key="key-for-anthropic", openai_api_key="key-for-openai")
    request = Request(model=model, system="", messages=(Message(role="user", blocks=(Text(text="hi"),)),))
    try:
        return await llm.complete(request)
    finally:
        await llm.aclose()  # type: ignore[attr-defined]


@each_wire
async def test_the_vendors_own_addresses(wire_mock: respx.MockRouter, model: str) -> None:
    route = wire_mock.post(ADDRESSES[model]).mock(httpx.Response(404, json={"error": {"message": "no such model"}}))
    with pytest.raises(LLMError, match="HTTP 404 no such model") as caught:
        await ask(model)
    assert not caught.value.retryable
    key = "key-for-anthropic" if model.startswith("anthropic") else "key-for-openai"
    assert route.calls.last.request.headers["authorization"] == f"Bearer {key}"


async def test_openai_itself_wants_the_new_name_of_the_limit(wire_mock: respx.MockRouter) -> None:
    model = "openai-chat/gpt-6.2-sol"
    route = wire_mock.post(ADDRESSES[model]).mock(httpx.Response(500, json={}))
    with pytest.raises(LLMError):
        await ask(model)
    assert b"max_completion_tokens" in route.calls.last.request.content


@each_wire
@pytest.mark.parametrize("body", ["[]", "null", "{}", '"text"', "", '{"type": "message"}', '{"status": "completed"}'])
async def test_odd_bodies_are_worth_another_try(wire_mock: respx.MockRouter, model: str, body: str) -> None:
    wire_mock.post(ADDRESSES[model]).mock(
        httpx.Response(200, text=body, headers={"x-request-id": "r", "request-id": "r"})
    )
    with pytest.raises(LLMError, match="unusable answer") as caught:
        await ask(model)
    assert caught.value.retryable
    assert caught.value.request_id == "r"


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("anthropic/claude-opus-5-5", {"content": [{"text": "no type"}], "usage": {}}),
        ("anthropic/claude-opus-5-5", {"content": [{"type": "tool_use", "id": "1"}], "usage": {}}),
        ("anthropic/claude-opus-5-5", {"content": ["text"], "usage": {}}),
        ("openai/gpt-6.2-sol", {"status": "completed", "output": [{"id": "1"}], "usage": {}}),
        ("openai/gpt-6.2-sol", {"status": "completed", "output": [{"type": "function_call"}], "usage": {}}),
        ("openai-chat/gpt-6.2-sol", {"choices": []}),
        ("openai-chat/gpt-6.2-sol", {"choices": [{"message": {"tool_calls": [{"id": "1"}]}}]}),
    ],
)
async def test_odd_blocks_are_worth_another_try(wire_mock: respx.MockRouter, model: str, body: dict[str, Any]) -> None:
    wire_mock.post(ADDRESSES[model]).mock(httpx.Response(200, json=body))
    with pytest.raises(LLMError, match="unusable answer") as caught:
        await ask(model)
    assert caught.value.retryable


async def test_an_answer_without_its_stop_reason_is_incomplete(wire_mock: respx.MockRouter) -> None:
    model = "anthropic/claude-opus-5-5"
    content = [{"type": "tool_use", "id": "1", "name": "x", "input": {"half": "don"}}]
    wire_mock.post(ADDRESSES[model]).mock(httpx.Response(200, json={"content": content, "usage": {}}))
    reply = await ask(model)
    assert reply.stop == "incomplete"
    assert reply.calls[0].malformed == '{"half":"don"}'


async def test_why_anthropic_refused(wire_mock: respx.MockRouter) -> None:
    model = "anthropic/claude-opus-5-5"
    details = {"type": "refusal", "category": "cyber", "explanation": "This looks like an attack."}
    body = {"content": [], "stop_reason": "refusal", "stop_details": details, "usage": {}}
    wire_mock.post(ADDRESSES[model]).mock(httpx.Response(200, json=body))
    reply = await ask(model)
    assert (reply.stop, reply.text) == ("refusal", "This looks like an attack.")


@pytest.mark.parametrize(("code", "retryable"), [("server_error", True), ("invalid_prompt", False)])
async def test_a_failed_response(wire_mock: respx.MockRouter, code: str, retryable: bool) -> None:
    model = "openai/gpt-6.2-sol"
    body = {"status": "failed", "error": {"code": code, "message": "it broke"}, "output": []}
    wire_mock.post(ADDRESSES[model]).mock(httpx.Response(200, json=body))
    with pytest.raises(LLMError, match=f"{code}: it broke") as caught:
        await ask(model)
    assert caught.value.retryable is retryable


async def test_reasoning_that_nothing_stores_is_not_referred_to(wire_mock: respx.MockRouter) -> None:
    from perfcrew.llm.openai_responses import payload
    from perfcrew.llm.tape import Tape

    model = "openai/gpt-6.2-sol"
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
    said = {"type": "message", "content": [{"type": "output_text", "text": "ok"}]}
    body = {"status": "completed", "output": [item, said], "usage": {}}
    wire_mock.post(ADDRESSES[model]).mock(httpx.Response(200, json=body))
    reply = await ask(model)
    assert len(reply.blocks) == 2
    history = (Message(role="assistant", blocks=reply.blocks), Message(role="user", blocks=(Text(text="on"),)))
    sent = payload(Request(model=model, system="", messages=history), Abilities(), Tape())["input"]
    assert [entry["type"] for entry in sent] == ["message", "message"]
