"""What goes wrong on the three wires: nothing of it is run, and only what may pass is worth another try."""

from typing import Any

import pytest

from perfcrew.errors import LLMError
from perfcrew.llm.base import Message, ToolCall, ToolResult
from tests.llm_endpoint import Answer, RequestView, ScriptedEndpoint
from tests.llm_endpoint.calls import CALLS, answering, ask, asking, connected, each_way, each_wire, fail, grown


@each_way
@each_wire
async def test_a_refusal(model: str, stream: bool) -> None:
    reply = await ask(model, {"fault": "refusal"}, stream=stream)
    assert (reply.stop, reply.text) == ("refusal", "I can't help with that.")


@each_way
@each_wire
async def test_a_call_cut_off_by_the_limit_cannot_be_run(model: str, stream: bool) -> None:
    reply = await ask(model, {"fault": "max_tokens", "text": "abcdef", "tool_calls": CALLS}, stream=stream)
    assert reply.stop == "max_tokens"
    whole, cut = reply.calls
    assert (whole.malformed, whole.arguments) == (None, {"path": "a.py"})
    assert cut.malformed is not None
    assert cut.arguments == {}


@each_way
@each_wire
async def test_a_cut_call_whose_arguments_parse_cannot_be_run_either(model: str, stream: bool) -> None:
    reply = await ask(model, {"stop": "max_tokens", "tool_calls": CALLS[:1]}, stream=stream)
    assert reply.stop == "max_tokens"
    assert (reply.calls[0].malformed or "").replace(" ", "") == '{"path":"a.py"}'


@each_way
@each_wire
async def test_malformed_arguments(model: str, stream: bool) -> None:
    with answering({"fault": "malformed_args", "tool_calls": CALLS}, {"text": "ok"}) as endpoint:
        async with connected(model, endpoint, stream=stream) as llm:
            request = asking(model)
            reply = await llm.complete(request)
            broken, good = reply.calls
            assert broken.malformed == '{"path": "a.py", "lines": [1, 2'
            assert good.malformed is None
            results = tuple(ToolResult(call=call.id, content="?") for call in reply.calls)
            await llm.complete(grown(request, reply, Message(role="user", blocks=results)))
        assert endpoint.refused == [], "a broken call can be sent back"


@each_way
@each_wire
@pytest.mark.parametrize("arguments", [[1, 2], "3", '["a"]', "null"])
async def test_arguments_that_are_no_object(model: str, stream: bool, arguments: Any) -> None:
    reply = await ask(model, {"tool_calls": [{"name": "read_file", "arguments": arguments}]}, stream=stream)
    assert reply.calls[0].arguments == {}
    assert reply.calls[0].malformed


@pytest.mark.parametrize(
    ("model", "stop", "expected"),
    [
        ("anthropic/x", "stop_sequence", "end"),
        ("anthropic/x", "pause", "pause"),
        ("anthropic/x", "context_window", "context_window"),
        ("anthropic/x", "never_heard_of", "incomplete"),
        ("openai/x", "pause", "incomplete"),
        ("openai-chat/x", "context_window", "max_tokens"),
        ("openai-chat/x", "refusal", "refusal"),
        ("openai-chat/x", "function_call", "end"),
        ("openai-chat/x", "never_heard_of", "incomplete"),
    ],
)
@each_way
async def test_stop_reasons(model: str, stop: str, expected: str, stream: bool) -> None:
    assert (await ask(model, {"text": "so far", "stop": stop}, stream=stream)).stop == expected


async def test_stop_that_denies_its_calls() -> None:
    reply = await ask("openai-chat/x", {"stop": "end", "tool_calls": CALLS})
    assert reply.stop == "tool"


@each_way
@each_wire
@pytest.mark.parametrize(
    ("answer", "retryable", "words"),
    [
        ({"fault": "rate_limit", "retry_after": 7}, True, "429"),
        ({"fault": "spend_limit"}, False, "429"),
        ({"fault": "server_error"}, True, "HTTP 500"),
        ({"fault": "overloaded"}, True, "overloaded"),
        ({"fault": "html"}, True, "HTTP 502 an HTML page: 502 Bad Gateway"),
        ({"fault": "html", "status": 200}, True, "not JSON"),
        ({"fault": "bad_request", "message": "messages: wrong\nshape"}, False, "HTTP 400"),
        ({"fault": "unauthorized"}, False, "HTTP 401"),
        ({"fault": "truncate", "text": "long " * 100}, True, "unusable answer"),
        ({"fault": "truncate", "tool_calls": CALLS}, True, "unusable answer"),
        ({"fault": "reset", "text": "long " * 100}, True, "connection"),
        ({"fault": "stream_error", "tool_calls": CALLS}, True, "_error"),
    ],
    ids=lambda value: f"{value['fault']}-{value.get('status', '')}" if isinstance(value, dict) else None,
)
async def test_faults(model: str, answer: Answer, retryable: bool, words: str, stream: bool) -> None:
    error = await fail(model, answer, stream=stream)
    assert error.retryable is retryable
    assert words in str(error)
    if answer["fault"] == "rate_limit":
        assert error.retry_after == 7.0
    assert error.request_id in ("req_0001", None)
    if answer["fault"] != "reset" or stream:
        assert error.request_id == "req_0001"
        assert "(request req_0001)" in str(error)


@each_way
@each_wire
@pytest.mark.parametrize("fault", ["slow", "drip"])
async def test_an_answer_that_takes_too_long(model: str, fault: str, stream: bool) -> None:
    """Signs of life, which reset a read timeout, do not make an answer last for ever."""
    error = await fail(model, {"fault": fault, "seconds": 20, "text": "x"}, timeout=0.3, stream=stream)
    assert error.retryable
    assert "timed out" in str(error)
    assert "CancelledError" not in str(error)


@each_way
@each_wire
async def test_an_answer_that_takes_its_time_is_taken(model: str, stream: bool) -> None:
    assert (await ask(model, {"fault": "slow", "seconds": 0.2, "text": "late"}, stream=stream)).text == "late"


@each_way
@each_wire
async def test_an_empty_answer(model: str, stream: bool) -> None:
    reply = await ask(model, {"fault": "empty"}, stream=stream)
    assert (reply.blocks, reply.stop) == ((), "end")


@each_way
@each_wire
async def test_calls_that_are_not_as_asked_come_through_for_the_agent_to_judge(model: str, stream: bool) -> None:
    unknown = await ask(model, {"fault": "unknown_tool", "tool_calls": CALLS}, stream=stream)
    assert [call.name for call in unknown.calls] == ["read_file_pro", "read_file"]
    wrong = await ask(model, {"fault": "wrong_type_args", "tool_calls": CALLS}, stream=stream)
    assert wrong.calls[0].arguments == {"path": {"not": "this type"}}
    assert wrong.calls[0].malformed is None


@each_way
@each_wire
async def test_nobody_there(model: str, stream: bool) -> None:
    with answering({"text": "x"}) as endpoint:
        pass
    async with connected(model, endpoint, stream=stream) as llm:
        with pytest.raises(LLMError) as caught:
            await llm.complete(asking(model))
    assert caught.value.retryable
    assert endpoint.base_url in str(caught.value)


async def test_chat_learns_which_name_the_limit_has() -> None:
    def script(request: RequestView) -> Answer:
        if "max_tokens" in request.body:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return {"fault": "bad_request", "message": message}
        return {"text": "ok"}

    with ScriptedEndpoint(script) as endpoint:
        async with connected("openai-chat/gpt", endpoint) as llm:
            assert (await llm.complete(asking("openai-chat/gpt"))).text == "ok"
            assert (await llm.complete(asking("openai-chat/gpt"))).text == "ok"
        assert [("max_completion_tokens" in body) for body in endpoint.bodies] == [False, True, True]


async def test_responses_learns_that_nothing_can_be_encrypted() -> None:
    def script(request: RequestView) -> Answer:
        if "include" in request.body:
            return {"fault": "bad_request", "message": "Encrypted content is not supported with this model."}
        return {"text": "ok"}

    with ScriptedEndpoint(script) as endpoint:
        async with connected("openai/plain", endpoint) as llm:
            assert (await llm.complete(asking("openai/plain"))).text == "ok"
            assert (await llm.complete(asking("openai/plain"))).text == "ok"
        assert endpoint.count == 3


def test_a_malformed_call_has_no_arguments_to_run() -> None:
    assert ToolCall(id="1", name="x", malformed="{").arguments == {}
