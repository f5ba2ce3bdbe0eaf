"""The three adapters through the vendors' own SDKs against the scripted endpoint."""

from itertools import pairwise
from typing import Any

import pytest

from perfcrew.llm.base import Message, Opaque, Reply, Text, ToolResult, Usage
from tests.llm_endpoint.calls import (
    CALLS,
    KEY,
    MODELS,
    answering,
    ask,
    asking,
    connected,
    each_way,
    each_wire,
    grown,
    said,
)


@each_way
@each_wire
async def test_a_text_answer(model: str, stream: bool) -> None:
    usage = {"input": 900, "output": 7, "cached": 500, "written": 300}
    reply = await ask(model, {"text": "Fine.", "usage": usage}, stream=stream)
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


@each_way
@each_wire
async def test_calls_side_by_side_and_their_results(model: str, stream: bool) -> None:
    with answering({"text": "Reading.", "tool_calls": CALLS}, {"text": "Done."}) as endpoint:
        async with connected(model, endpoint, stream=stream) as llm:
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


@each_way
@pytest.mark.parametrize("model", MODELS[:2])
async def test_thinking_comes_back_word_for_word(model: str, stream: bool) -> None:
    with answering({"thinking": "hmm hmm hmm", "text": "a", "tool_calls": CALLS[:1]}, {"text": "b"}) as endpoint:
        async with connected(model, endpoint, stream=stream) as llm:
            request = asking(model)
            reply = await llm.complete(request)
            opaque = reply.blocks[0]
            assert isinstance(opaque, Opaque)
            # What the journal would give back after a crash.
            reply = Reply.model_validate_json(reply.model_dump_json())
            await llm.complete(grown(request, reply, said("and?")))
        thought = endpoint.requests[1].messages[1].thinking
        if model.startswith("anthropic"):
            assert thought == [{"type": "thinking", "thinking": "hmm hmm hmm", "signature": "signature-1"}]
        else:
            assert thought == [
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed-1-hmm hmm hmm"}
            ]
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


@each_way
@each_wire
async def test_torn_unicode_travels_neither_way(model: str, stream: bool) -> None:
    with answering({"text": "half \ud83d a pair, whole \U0001f600"}) as endpoint:
        async with connected(model, endpoint, stream=stream) as llm:
            request = asking(model, said("bytes \udcff of a file"))
            reply = await llm.complete(request)
        assert reply.text == "half ? a pair, whole \U0001f600"
        assert endpoint.requests[0].last_text == "bytes ? of a file"


async def test_the_cache_is_marked_four_times_and_each_turn_reads_what_the_last_one_wrote() -> None:
    model = "anthropic/x"
    with answering({"tool_calls": CALLS[:1]}) as endpoint:
        async with connected(model, endpoint) as llm:
            request = asking(model)
            for _ in range(3):
                reply = await llm.complete(request)
                result = ToolResult(call=reply.calls[0].id, content="seen")
                request = grown(request, reply, Message(role="user", blocks=(result,)))
        assert endpoint.refused == []
        marked = [[place for place in spots(body) if place[1]] for body in endpoint.bodies]
    assert [len(places) for places in marked] == [3, 4, 4]
    for before, after in pairwise(marked):
        assert before[-1][0] in [place for place, _ in after], "what was written last is read next"
    assert {"tools/0", "system/0"} <= {place for place, _ in marked[-1]}


def spots(body: dict[str, Any]) -> list[tuple[str, bool]]:
    """Every block that may be marked, and whether it is."""
    content = {f"messages/{n}": message["content"] for n, message in enumerate(body["messages"])}
    places = {"tools": body["tools"], "system": body["system"], **content}
    return [
        (f"{name}/{n}", "cache_control" in block) for name, blocks in places.items() for n, block in enumerate(blocks)
    ]
