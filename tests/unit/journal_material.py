"""Requests, replies and effects for the tests of the journal."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from perfcrew.llm.base import Message, Opaque, Reply, Request, Text, ToolCall, ToolSpec, Usage
from perfcrew.llm.journal import Journal
from perfcrew.llm.recording import Recording
from perfcrew.records.base import Record

LANE = "1/plan/architect"


class Measured(Record):
    value: float
    samples: tuple[float, ...] = ()


def asking(text: str = "go", system: str = "You plan.", tools: tuple[ToolSpec, ...] = ()) -> Request:
    said = Message(role="user", blocks=(Text(text=text),))
    return Request(model="anthropic/x", system=system, messages=(said,), tools=tools)


def replying(text: str) -> Reply:
    thought = Opaque(provider="anthropic", data={"type": "thinking", "thinking": "ü", "signature": "s="})
    call = ToolCall(id="1", name="read_file", arguments={"path": "a", "n": 1.5, "z": None})
    blocks = (thought, Text(text=text), call)
    return Reply(
        model="anthropic/x", blocks=blocks, stop="tool", usage=Usage(input_tokens=3), request_id="r", seconds=0.1
    )


class Live:
    """A model that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: str) -> Callable[[], Awaitable[Reply]]:
        async def ask() -> Reply:
            self.asked.append(text)
            return replying(text)

        return ask


async def never() -> Reply:
    raise AssertionError("asked a model")


async def record(path: Path) -> Recording:
    journal = Journal(path)
    journal.note("label", "an expert")
    await journal.reply(LANE, 0, asking("a"), Live()("a"))
    await journal.effect(LANE, "turn-0.0:measure", Measured, returning(Measured(value=1.0)), asked={"n": 1})
    journal.close()
    return Recording(path, frozen=False)


def returning(value: Measured) -> Callable[[], Awaitable[Measured]]:
    async def run() -> Measured:
        return value

    return run


async def unrun() -> Measured:
    raise AssertionError("ran")
