"""Servers that lack something: it is learned from their refusal, once, and the request goes through without it."""

from collections.abc import Callable

import pytest

from perfcrew.errors import LLMError
from perfcrew.llm.abilities import Abilities
from perfcrew.llm.base import Message, Reply, Request, ToolResult
from perfcrew.llm.connect import connect
from perfcrew.llm.models import Catalogue
from perfcrew.records.models import ModelFacts
from tests.llm_endpoint import Answer, RequestView, ScriptedEndpoint
from tests.llm_endpoint.calls import CALLS, asking, connected, each_wire, grown

Lacks = Callable[[RequestView], bool]


def refusing(
    lacks: Lacks, message: str, status: int = 400, then: Answer | None = None
) -> Callable[[RequestView], Answer]:
    def script(request: RequestView) -> Answer:
        if lacks(request):
            return {"fault": "http", "status": status, "message": message}
        return then or {"text": "ok"}

    return script


def is_strict(request: RequestView) -> bool:
    return '"strict": true' in request.raw


def marks(request: RequestView) -> bool:
    return "cache_control" in request.raw


async def twice(model: str, endpoint: ScriptedEndpoint, stream: bool = False) -> list[Reply]:
    async with connected(model, endpoint, stream=stream) as llm:
        request = asking(model, answer="read_file")
        return [await llm.complete(request), await llm.complete(request)]


@each_wire
@pytest.mark.parametrize(
    "message",
    [
        "Invalid schema for function 'read_file': strict is not supported",
        "tools.0.strict: Extra inputs are not permitted",
    ],
)
async def test_no_strict_schemas(model: str, message: str) -> None:
    with ScriptedEndpoint(refusing(is_strict, message)) as endpoint:
        assert [reply.text for reply in await twice(model, endpoint)] == ["ok", "ok"]
        assert [is_strict(request) for request in endpoint.requests] == [True, False, False]


async def test_no_cache_marks() -> None:
    with ScriptedEndpoint(refusing(marks, "cache_control: Extra inputs are not permitted")) as endpoint:
        await twice("anthropic/local", endpoint)
        assert [marks(request) for request in endpoint.requests] == [True, False, False]


@each_wire
async def test_no_streams(model: str) -> None:
    lacks: Lacks = lambda request: bool(request.body.get("stream"))  # noqa: E731
    with ScriptedEndpoint(refusing(lacks, "Streaming is not supported by this server")) as endpoint:
        await twice(model, endpoint, stream=True)
        assert [lacks(request) for request in endpoint.requests] == [True, False, False]


async def test_no_count_of_tokens_in_streams() -> None:
    lacks: Lacks = lambda request: "stream_options" in request.body  # noqa: E731
    with ScriptedEndpoint(refusing(lacks, "Unrecognized request argument: stream_options")) as endpoint:
        [first, _] = await twice("openai-chat/local", endpoint, stream=True)
        assert first.text == "ok"
        assert [lacks(request) for request in endpoint.requests] == [True, False, False]


@each_wire
@pytest.mark.parametrize("status", [400, 500])
async def test_no_calls_side_by_side(model: str, status: int) -> None:
    """As the chat templates of several open models put it; they fail on a history that holds two calls in one turn."""

    def lacks(request: RequestView) -> bool:
        return any(len(turn.calls) > 1 for turn in request.messages)

    message = "This model only supports single tool-calls at once!"
    with ScriptedEndpoint(refusing(lacks, message, status)) as endpoint:
        async with connected(model, endpoint) as llm:
            request = asking(model)
            asked = Message(role="assistant", blocks=two_calls(request).blocks)
            results = tuple(ToolResult(call=f"c{n}", content=f"result {n}") for n in range(2))
            reply = await llm.complete(
                request.model_copy(
                    update={"messages": (*request.messages, asked, Message(role="user", blocks=results))}
                )
            )
        assert reply.text == "ok"
        assert endpoint.refused == []
        first, second = endpoint.requests
        assert lacks(first) and not lacks(second)
        said = [
            [call.id for call in turn.calls] + [result.content for result in turn.results] for turn in second.messages
        ]
        assert said == [[], ["c0"], ["result 0"], ["c1"], ["result 1"]]
        forbidden = {"anthropic": "tool_choice"}.get(second.api, "parallel_tool_calls")
        assert forbidden in second.body and forbidden not in first.body


def two_calls(request: Request) -> Reply:
    from perfcrew.llm.base import ToolCall

    calls = tuple(ToolCall(id=f"c{n}", name=call["name"], arguments=call["arguments"]) for n, call in enumerate(CALLS))
    return Reply(model=request.model, blocks=calls, stop="tool")


async def test_a_server_that_lacks_nearly_everything_still_works() -> None:
    """Three refusals, each learned once: strict schemas, two calls in a turn, and the word that forbids them."""

    def script(request: RequestView) -> Answer:
        if is_strict(request):
            return {"fault": "bad_request", "message": "json_schema is not supported"}
        if "parallel_tool_calls" in request.body:
            return {"fault": "bad_request", "message": "Unsupported parameter: 'parallel_tool_calls'"}
        if any(len(turn.calls) > 1 for turn in request.messages):
            return {"fault": "bad_request", "message": "multiple tool calls are not supported"}
        return {"tool_calls": CALLS} if len(request.messages) == 1 else {"text": "done"}

    with ScriptedEndpoint(script) as endpoint:
        async with connected("openai-chat/local", endpoint) as llm:
            request = asking("openai-chat/local")
            reply = await llm.complete(request)
            results = tuple(ToolResult(call=call.id, content="?") for call in reply.calls)
            request = grown(request, reply, Message(role="user", blocks=results))
            assert (await llm.complete(request)).text == "done"
            assert (await llm.complete(request)).text == "done"
        assert endpoint.refused == []
        assert endpoint.count == 6


async def test_what_the_table_denies_is_never_asked_for() -> None:
    own = Catalogue({"openai-chat/local": ModelFacts(strict=False, parallel=False)})
    with ScriptedEndpoint(lambda request: {"text": "ok"}) as endpoint:
        llm = connect("openai-chat/local", openai_base_url=endpoint.base_url, catalogue=own)
        await llm.complete(asking("openai-chat/local"))
        await llm.aclose()  # type: ignore[attr-defined]
        assert not is_strict(endpoint.requests[0])
        assert endpoint.bodies[0]["parallel_tool_calls"] is False


async def test_a_thinking_model_is_asked_to_think() -> None:
    own = Catalogue({"anthropic/claude-test": ModelFacts(thinking=True)})
    with ScriptedEndpoint(lambda request: {"text": "ok"}) as endpoint:
        llm = connect("anthropic/claude-test", anthropic_base_url=endpoint.base_url, catalogue=own)
        await llm.complete(asking("anthropic/claude-test"))
        await llm.aclose()  # type: ignore[attr-defined]
        assert endpoint.bodies[0]["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    "told",
    [
        "openai: HTTP 401 invalid strict key",
        "openai: HTTP 500 stream closed",
        "openai: HTTP 429 too many parallel tool calls",
        "openai: HTTP 400 messages: wrong shape",
        "openai: HTTP 400 upstream broke",
        "openai: HTTP 400 thinking is odd",
    ],
)
def test_other_failures_teach_nothing(told: str) -> None:
    abilities = Abilities()
    assert not abilities.learn(LLMError(told))
    assert abilities == Abilities()


def test_learning_comes_to_an_end() -> None:
    abilities, words = Abilities(thinking=True), "encrypted thinking cache_control stream_options parallel_tool_calls"
    told = LLMError(f"x: HTTP 400 {words} single tool-calls strict max_tokens max_completion_tokens not stream")
    assert sum(abilities.learn(told) for _ in range(50)) == 9
