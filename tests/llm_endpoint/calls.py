"""Calls of the adapters against the endpoint, for tests."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from perfcrew.errors import LLMError
from perfcrew.llm.base import LLM, Message, Reply, Request, Text, ToolSpec
from perfcrew.llm.connect import connect
from tests.llm_endpoint.server import ScriptedEndpoint
from tests.llm_endpoint.wires import Answer

MODELS = ("anthropic/claude-test", "openai/gpt-test", "openai-chat/local/llama")
READ = ToolSpec(
    name="read_file",
    description="Read a file.",
    parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)
KEY = "sk-canary-0123456789abcdef"
CALLS = [{"name": "read_file", "arguments": {"path": "a.py"}}, {"name": "read_file", "arguments": {"path": "ü/b.py"}}]

each_wire = pytest.mark.parametrize("model", MODELS)
each_way = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


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
async def connected(
    model: str, endpoint: ScriptedEndpoint, timeout: float = 20.0, stream: bool = False
) -> AsyncIterator[LLM]:
    url = endpoint.base_url
    llm = connect(
        model,
        anthropic_api_key=KEY,
        anthropic_base_url=url,
        openai_api_key=KEY,
        openai_base_url=url,
        timeout=timeout,
        stream=stream,
    )
    try:
        yield llm
    finally:
        await llm.aclose()  # type: ignore[attr-defined]


async def ask(model: str, *answers: Answer, stream: bool = False) -> Reply:
    with answering(*answers) as endpoint:
        async with connected(model, endpoint, stream=stream) as llm:
            reply = await llm.complete(asking(model))
        assert endpoint.refused == []
        return reply


async def fail(model: str, answer: Answer, timeout: float = 20.0, stream: bool = False) -> LLMError:
    with answering(answer) as endpoint:
        async with connected(model, endpoint, timeout, stream) as llm:
            with pytest.raises(LLMError) as caught:
                await llm.complete(asking(model))
        assert endpoint.count == 1, "adapters never retry"
    told = str(caught.value)
    assert "\n" not in told
    assert KEY not in told
    assert told.startswith(model.split("/")[0].removesuffix("-chat") + ":")
    return caught.value
