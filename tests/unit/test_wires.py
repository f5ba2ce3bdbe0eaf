"""The three adapters through the vendors' own SDKs against the scripted endpoint."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from perfcrew.errors import LLMError
from perfcrew.llm.base import LLM, Message, Opaque, Reply, Request, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.connect import connect
from tests.llm_endpoint import Answer, RequestView, ScriptedEndpoint

MODELS = ("anthropic/claude-test", "openai/gpt-test", "openai-chat/local/llama")
READ = ToolSpec(
    name="read_file",
    description="Read a file.",
    parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)
KEY = "sk-canary-0123456789abcdef"
CALLS = [{"name": "read_file", "arguments": {"path": "a.py"}}, {"name": "read_file", "arguments": {"path": "ü/b.py"}}]

each_wire = pytest.mark.parametrize("model", MODELS)


def said(text: str) -> Message:
    return Message(role="user", blocks=(Text(text=text),))


def asking(model: str, *messages: Message, **given: Any) -> Request:
    return Request(model=model, system="You measure.", messages=messages or (said("go"),), tools=(READ,), **given)


def grown(request: Request, reply: Reply, *messages: Message) -> Request:
    answered = Message(role="assistant", blocks=reply.blocks)
    return request.model_copy(update={"messages": (*request.messages, answered, *messages)})


@contextmanager
def answering(*answers: Answer) -> Iterator[ScriptedEndpoint]:
    """An endpoint that gives these answers in turn, and the last one for ever."""
    with ScriptedEndpoint(lambda request: answers[min(request.number, len(answers)) - 1]) as endpoint:
        yield endpoint


@asynccontextmanager
async def connected(model: str, endpoint: ScriptedEndpoint, timeout: float = 20.0) -> AsyncIterator[LLM]:
    url = endpoint.base_url
    llm = connect(
        model,
        anthropic_api_key=KEY,
        anthropic_base_url=url,
        openai_api_key=KEY,
        openai_base_url=url,
        timeout=timeout,
    )
    try:
        yield llm
    finally:
        await llm.aclose()  # type: ignore[attr-defined]


async def ask(model: str, *answers: Answer) -> Reply:
    with answering(*answers) as endpoint:
        async with connected(model, endpoint) as llm:
            reply = await llm.complete(asking(model))
        assert endpoint.refused == []
        return reply


async def fail(model: str, answer: Answer, timeout: float = 20.0) -> LLMError:
    with answering(answer) as endpoint:
        async with connected(model, endpoint, timeout) as llm:
            with pytest.raises(LLMError) as caught:
                await llm.complete(asking(model))
        assert endpoint.count == 1, "adapters never retry"
    told = str(caught.value)
    assert "\n" not in told
    assert KEY not in told
    assert told.startswith(model.split("/")[0].removesuffix("-chat") + ":")
    return caught.value


@each_wire
async def test_a_text_answer(model: str) -> None:
    reply = await ask(model, {"text": "Fine.", "usage": {"input": 900, "output": 7, "cached": 500, "written": 300}})
    assert reply.model == model
    assert reply.blocks == (Text(text="Fine."),)
    assert reply.stop == "end"
    assert reply.usage == Usage(input_tokens=900, output_tokens=7, cached_tokens=500, cache_write_tokens=300)
    assert reply.request_id == "req_0001"
    assert reply.seconds > 0


@each_wire
async def test_what_is_sent(model: str) -> None:
    with answering({"text": "ok"}) as endpoint:
        async with connected(model, endpoint) as llm:
            await llm.complete(asking(model, max_tokens=77))
        seen = endpoint.requests[0]
        assert (seen.model, seen.system, seen.tools) == (model.partition("/")[2], "You measure.", ["read_file"])
        assert [(turn.role, turn.text) for turn in seen.messages] == [("user", "go")]
        limit = {"anthropic": "max_tokens", "responses": "max_output_tokens", "chat": "max_tokens"}[seen.api]
        assert seen.body[limit] == 77
        assert not {"temperature", "top_p", "top_k", "stream"} & set(seen.body)
        assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"


@each_wire
async def test_calls_side_by_side_and_their_results(model: str) -> None:
    with answering({"text": "Reading.", "tool_calls": CALLS}, {"text": "Done."}) as endpoint:
        async with connected(model, endpoint) as llm:
            request = asking(model)
            reply = await llm.complete(request)
            assert reply.stop == "tool"
            assert [call.arguments for call in reply.calls] == [{"path": "a.py"}, {"path": "ü/b.py"}]
            first, second = (
                Message(role="user", blocks=(ToolResult(call=call.id, content=text, is_error=text == "no"),))
                for call, text in zip(reply.calls, ("yes", "no"), strict=True)
            )
            final = await llm.complete(grown(request, reply, first, said("Budget: 80 % used."), second))
        assert final.text == "Done."
        assert endpoint.refused == []
        user, assistant, results = endpoint.requests[1].messages
        assert (user.role, assistant.role, results.role) == ("user", "assistant", "user")
        assert assistant.text == "Reading."
        assert [call.arguments for call in assistant.calls] == [{"path": "a.py"}, {"path": "ü/b.py"}]
        assert [result.call for result in results.results] == [call.id for call in reply.calls]
        assert [result.content for result in results.results] == [
            "yes",
            "no" if model.startswith("anthropic") else "ERROR: no",
        ]
        assert [result.is_error for result in results.results] == [False, True]
        assert results.text == "Budget: 80 % used."


@pytest.mark.parametrize("model", MODELS[:2])
async def test_thinking_comes_back_word_for_word(model: str) -> None:
    with answering({"thinking": "hmm", "text": "a", "tool_calls": CALLS[:1]}, {"text": "b"}) as endpoint:
        async with connected(model, endpoint) as llm:
            request = asking(model)
            reply = await llm.complete(request)
            opaque = reply.blocks[0]
            assert isinstance(opaque, Opaque)
            # What the journal would give back after a crash.
            reply = Reply.model_validate_json(reply.model_dump_json())
            await llm.complete(grown(request, reply, said("and?")))
        thought = endpoint.requests[1].messages[1].thinking
        if model.startswith("anthropic"):
            assert thought == [{"type": "thinking", "thinking": "hmm", "signature": "signature-1"}]
        else:
            assert thought == [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed-1-hmm"}]
        assert endpoint.requests[1].messages[2].results[0].is_error, "a call without a result got one"


@each_wire
async def test_blocks_of_another_provider_stay_here(model: str) -> None:
    foreign = Message(role="assistant", blocks=(Opaque(provider="other", data={"type": "x"}), Text(text="before")))
    with answering({"text": "ok"}) as endpoint:
        async with connected(model, endpoint) as llm:
            await llm.complete(asking(model, said("go"), foreign, said("on")))
        assert endpoint.requests[0].messages[1].thinking == []
        assert endpoint.requests[0].messages[1].text == "before"


@each_wire
async def test_an_empty_answer_is_an_answer_and_leaves_no_trace(model: str) -> None:
    with answering({"fault": "empty"}, {"text": "ok"}) as endpoint:
        async with connected(model, endpoint) as llm:
            request = asking(model)
            reply = await llm.complete(request)
            assert (reply.blocks, reply.stop, reply.usage.output_tokens) == ((), "end", 10)
            await llm.complete(grown(request, reply, said("Please answer.")))
        assert endpoint.refused == []
        assert "Please answer." in endpoint.requests[1].last_text


@each_wire
async def test_a_refusal(model: str) -> None:
    reply = await ask(model, {"fault": "refusal"})
    assert (reply.stop, reply.text) == ("refusal", "I can't help with that.")


@each_wire
async def test_a_call_cut_off_by_the_limit_cannot_be_run(model: str) -> None:
    reply = await ask(model, {"fault": "max_tokens", "text": "abcdef", "tool_calls": CALLS})
    assert reply.stop == "max_tokens"
    whole, cut = reply.calls
    assert (whole.malformed, whole.arguments) == (None, {"path": "a.py"})
    assert cut.malformed is not None
    assert cut.arguments == {}


@each_wire
async def test_a_cut_call_whose_arguments_parse_cannot_be_run_either(model: str) -> None:
    reply = await ask(model, {"stop": "max_tokens", "tool_calls": CALLS[:1]})
    assert reply.stop == "max_tokens"
    assert (reply.calls[0].malformed or "").replace(" ", "") == '{"path":"a.py"}'


@each_wire
async def test_malformed_arguments(model: str) -> None:
    with answering({"fault": "malformed_args", "tool_calls": CALLS}, {"text": "ok"}) as endpoint:
        async with connected(model, endpoint) as llm:
            request = asking(model)
            reply = await llm.complete(request)
            broken, good = reply.calls
            assert broken.malformed == '{"path": "a.py", "lines": [1, 2'
            assert good.malformed is None
            results = tuple(ToolResult(call=call.id, content="?") for call in reply.calls)
            await llm.complete(grown(request, reply, Message(role="user", blocks=results)))
        assert endpoint.refused == [], "a broken call can be sent back"


@each_wire
@pytest.mark.parametrize("arguments", [[1, 2], "3", '["a"]', "null"])
async def test_arguments_that_are_no_object(model: str, arguments: Any) -> None:
    reply = await ask(model, {"tool_calls": [{"name": "read_file", "arguments": arguments}]})
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
async def test_stop_reasons(model: str, stop: str, expected: str) -> None:
    assert (await ask(model, {"text": "so far", "stop": stop})).stop == expected


async def test_stop_that_denies_its_calls() -> None:
    reply = await ask("openai-chat/x", {"stop": "end", "tool_calls": CALLS})
    assert reply.stop == "tool"


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
        ({"fault": "truncate", "text": "long " * 100}, True, "cut off"),
        ({"fault": "reset", "text": "long " * 100}, True, "connection"),
    ],
    ids=lambda value: f"{value['fault']}-{value.get('status', '')}" if isinstance(value, dict) else None,
)
async def test_faults(model: str, answer: Answer, retryable: bool, words: str) -> None:
    error = await fail(model, answer)
    assert error.retryable is retryable
    assert words in str(error)
    if answer["fault"] == "rate_limit":
        assert error.retry_after == 7.0
    if answer["fault"] != "reset":
        assert error.request_id == "req_0001"


@each_wire
async def test_an_answer_that_takes_too_long(model: str) -> None:
    error = await fail(model, {"fault": "slow", "seconds": 20}, timeout=0.05)
    assert error.retryable
    assert "timed out" in str(error)


@each_wire
async def test_nobody_there(model: str) -> None:
    with answering({"text": "x"}) as endpoint:
        pass
    async with connected(model, endpoint) as llm:
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


async def test_the_phase_of_a_text_comes_back_with_it() -> None:
    answers = ({"text": "I look first.", "phase": "commentary", "tool_calls": CALLS[:1]}, {"text": "ok"})
    with answering(*answers) as endpoint:
        async with connected("openai/x", endpoint) as llm:
            request = asking("openai/x")
            reply = await llm.complete(request)
            await llm.complete(grown(request, reply, said("go on")))
        said_before = [item for item in endpoint.bodies[1]["input"] if item.get("role") == "assistant"]
        assert said_before == [
            {"type": "message", "role": "assistant", "content": "I look first.", "phase": "commentary"}
        ]


async def test_calls_without_ids_get_ids_that_differ_over_the_conversation() -> None:
    calls = [{**call, "id": None} for call in CALLS]
    with answering({"tool_calls": calls}) as endpoint:
        async with connected("openai-chat/x", endpoint) as llm:
            request = asking("openai-chat/x")
            first = await llm.complete(request)
            second = await llm.complete(grown(request, first, said("again")))
        assert len({call.id for call in (*first.calls, *second.calls)}) == 4


@each_wire
async def test_torn_unicode_travels_neither_way(model: str) -> None:
    with answering({"text": "half \ud83d a pair, whole \U0001f600"}) as endpoint:
        async with connected(model, endpoint) as llm:
            request = asking(model, said("bytes \udcff of a file"))
            reply = await llm.complete(request)
        assert reply.text == "half ? a pair, whole \U0001f600"
        assert endpoint.requests[0].last_text == "bytes ? of a file"


def test_a_malformed_call_has_no_arguments_to_run() -> None:
    assert ToolCall(id="1", name="x", malformed="{").arguments == {}
