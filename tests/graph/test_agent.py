"""The loop that serves every role: what it does with each kind of reply, and what the journal keeps of it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from agents.agent import Agent, AgentFailed, converse
from agents.crew import Absent, Crew, Limits
from perfcrew.errors import ToolError
from perfcrew.llm.base import Block, Message, Reply, Request, Stop, Text, ToolCall, ToolResult, Usage
from perfcrew.llm.budget import Budget
from perfcrew.llm.journal import Journal
from perfcrew.llm.recording import Recording
from perfcrew.records.base import Record
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace


class Word(Record):
    """Arguments of the test tools."""

    word: str


class Verdict(Record):
    """The answer."""

    word: str
    count: int


said: list[str] = []


@tool(Word)
async def look(arguments: Word, workspace: Workspace) -> ToolOutput:
    """Look a word up."""
    if arguments.word == "missing":
        raise ToolError("no such word")
    said.append(f"look {arguments.word}")
    return ToolOutput(content=f"{arguments.word} was seen")


@tool(Word, writes=True)
async def put(arguments: Word, workspace: Workspace) -> ToolOutput:
    """Write a word down."""
    said.append(f"put {arguments.word}")
    return ToolOutput(content="written")


@tool(Word, ordered=True)
async def ask(arguments: Word, workspace: Workspace) -> ToolOutput:
    """Ask in turn; what comes first takes longest."""
    await asyncio.sleep(0.02 if arguments.word == "first" else 0)
    said.append(f"ask {arguments.word}")
    return ToolOutput(content="asked")


AGENT = Agent(role="tester", prompt="tester", tools=(look, put), answer=Verdict, turns=5)


class Scripted:
    """Replies in order, and remembers what it was asked."""

    def __init__(self, *replies: tuple[Block, ...] | Reply) -> None:
        self.replies = [item if isinstance(item, Reply) else _reply(*item) for item in replies]
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.replies[len(self.asked) - 1]


def _reply(*blocks: Block, stop: Stop = "tool") -> Reply:
    return Reply(model="m", blocks=blocks, stop=stop, usage=Usage(input_tokens=10, output_tokens=5))


def _call(name: str, number: int = 1, malformed: str | None = None, **arguments: Any) -> ToolCall:
    return ToolCall(id=f"c{number}", name=name, arguments=arguments, malformed=malformed)


ANSWER = _call("answer", 9, word="x", count=1)


@pytest.fixture(autouse=True)
def _silent() -> None:
    said.clear()


def _crew(tmp_path: Path, llm: Any, source: Recording | None = None, budget: Budget | None = None) -> Crew:
    journal = Journal(tmp_path / "journal.jsonl", source)
    models = {"strong": "anthropic/a", "quick": "anthropic/b"}
    workspace = cast(Workspace, None)
    watch: Callable[[Any], None] = lambda _: None  # noqa: E731
    return Crew(cast(Any, models), llm, journal, workspace, budget or Budget(), watch, Limits())


def _results(message: Message) -> list[ToolResult]:
    return [block for block in message.blocks if isinstance(block, ToolResult)]


async def test_tools_then_answer(tmp_path: Path) -> None:
    llm = Scripted((Text(text="hm"), _call("look", word="a")), (ANSWER,))
    done = await converse(AGENT, "system", "brief", _crew(tmp_path, llm), "0/x/tester")
    assert done.answer == Verdict(word="x", count=1)
    assert [result.content for result in _results(llm.asked[1].messages[-1])] == ["a was seen"]
    assert [spec.name for spec in llm.asked[0].tools] == ["look", "put", "answer"]


async def test_writers_run_in_order_before_readers_of_the_same_reply(tmp_path: Path) -> None:
    calls = (_call("look", 1, word="a"), _call("put", 2, word="b"), _call("put", 3, word="c"))
    llm = Scripted(calls, (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert said == ["put b", "put c", "look a"]
    assert [result.call for result in _results(llm.asked[1].messages[-1])] == ["c1", "c2", "c3"]


async def test_calls_whose_order_matters_run_in_the_order_asked(tmp_path: Path) -> None:
    agent = Agent(role="tester", prompt="tester", tools=(ask,), answer=Verdict)
    llm = Scripted((_call("ask", 1, word="first"), _call("ask", 2, word="second")), (ANSWER,))
    await converse(agent, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert said == ["ask first", "ask second"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (_call("look", word="missing"), "no such word"),
        (_call("look", word=3), "word: Input should be a valid string"),
        (_call("shell", word="a"), "there is no tool shell; there are: look, put, answer"),
        (_call("look", malformed='{"word'), "not a JSON object"),
        (_call("answer", word="x"), "count: Field required"),
        (_call("answer", malformed="{"), "not a JSON object"),
    ],
)
async def test_a_bad_call_goes_back_to_the_model(tmp_path: Path, call: ToolCall, told: str) -> None:
    llm = Scripted((call,), (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    [result] = _results(llm.asked[1].messages[-1])
    assert result.is_error
    assert told in result.content
    assert said == []


@pytest.mark.parametrize("stop", ["max_tokens", "incomplete", "context_window"])
async def test_a_call_that_was_cut_off_is_never_executed(tmp_path: Path, stop: Stop) -> None:
    llm = Scripted(_reply(_call("put", word="half"), stop=stop), (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert said == []
    [result] = [result for message in llm.asked[1].messages for result in _results(message)]
    assert "cut off" in result.content
    assert ("context window is full" in str(llm.asked[1].messages[-1])) is (stop == "context_window")


async def test_a_text_that_was_cut_off_is_said_to_be(tmp_path: Path) -> None:
    llm = Scripted(_reply(Text(text="I thi"), stop="max_tokens"), (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert "cut off" in str(llm.asked[1].messages[-1])


async def test_a_pause_goes_on_where_it_stopped(tmp_path: Path) -> None:
    llm = Scripted(_reply(Text(text="let me"), stop="pause"), (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert [message.role for message in llm.asked[1].messages] == ["user", "assistant"]


async def test_empty_and_wordy_replies_are_nudged(tmp_path: Path) -> None:
    llm = Scripted(_reply(stop="end"), _reply(Text(text="I think"), stop="end"), (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert [message.role for message in llm.asked[1].messages] == ["user", "user"]
    assert [message.role for message in llm.asked[2].messages] == ["user", "user", "assistant", "user"]


async def test_history_only_grows_at_its_end(tmp_path: Path) -> None:
    llm = Scripted((_call("look", word="a"),), (_call("look", word="b"),), (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    for before, after in zip(llm.asked, llm.asked[1:], strict=False):
        assert after.messages[: len(before.messages)] == before.messages


async def test_a_refusal_ends_the_conversation(tmp_path: Path) -> None:
    llm = Scripted(*[_reply(Text(text="no"), stop="refusal")] * 3)
    with pytest.raises(AgentFailed, match="refused"):
        await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")


async def test_a_refusal_that_is_not_meant_is_asked_again_and_forgotten(tmp_path: Path) -> None:
    llm = Scripted(*[_reply(Text(text="no"), stop="refusal")] * 2, (_call("look", word="a"),), (ANSWER,))
    done = await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert done.answer.word == "x"
    assert llm.asked[0] == llm.asked[1] == llm.asked[2]


async def test_replies_that_come_to_nothing_take_no_turns_from_the_agent(tmp_path: Path) -> None:
    stumbles = [
        _reply(stop="end"),
        _reply(Text(text="no"), stop="refusal"),
        _reply(_call("put", word="half"), stop="max_tokens"),
        _reply(_call("look", malformed="{")),
        _reply(_call("shell", word="a")),
    ]
    looks = [(_call("look", word=str(number)),) for number in range(4)]
    llm = Scripted(*stumbles, *looks, (ANSWER,))
    await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert said == [f"look {number}" for number in range(4)]
    assert "Call `answer` now" not in str(llm.asked[-1].messages)


async def test_an_agent_that_only_stumbles_comes_to_an_end(tmp_path: Path) -> None:
    llm = Scripted(*[_reply(_call("shell", word="a"))] * 30)
    with pytest.raises(AgentFailed, match="no valid answer"):
        await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert len(llm.asked) == 5 + 6 + 2


async def test_a_role_may_have_a_model_of_its_own_and_is_heard(tmp_path: Path) -> None:
    heard: list[str] = []

    class Screen:
        def heard(self, text: str) -> None:
            heard.append(text)

        def start_over(self) -> None: ...

    class Talking(Scripted):
        async def complete(self, request: Request, listener: Any = None) -> Reply:
            listener.heard("piece")
            return await super().complete(request)

    llm = Talking((ANSWER,))
    crew = replace(_crew(tmp_path, llm), roles={"tester": "openai/own"}, overhear=lambda role: Screen())
    await converse(AGENT, "s", "b", crew, "l/l/tester")
    assert llm.asked[0].model == "openai/own"
    assert llm.asked[0].answer == "answer"
    assert heard == ["piece"]


async def test_at_the_limit_the_best_answer_is_asked_for(tmp_path: Path) -> None:
    looks = [(_call("look", word=str(number)),) for number in range(5)]
    llm = Scripted(*looks, (ANSWER,))
    done = await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert done.answer.word == "x"
    last = llm.asked[-1].messages[-1].blocks[0]
    assert isinstance(last, Text)
    assert "Call `answer` now" in last.text


async def test_no_answer_even_then_fails(tmp_path: Path) -> None:
    llm = Scripted(*[(_call("look", word="a"),)] * 10)
    with pytest.raises(AgentFailed, match="no valid answer"):
        await converse(AGENT, "s", "b", _crew(tmp_path, llm), "l/l/tester")
    assert len(llm.asked) == 7


async def test_an_exceeded_budget_asks_for_the_answer_at_once(tmp_path: Path) -> None:
    llm = Scripted((_call("look", word="a"),), (ANSWER,))
    budget = Budget(tokens=12)
    done = await converse(AGENT, "s", "b", _crew(tmp_path, llm, budget=budget), "l/l/tester")
    assert done.answer.word == "x"
    assert "of 12 tokens used" in str(llm.asked[1].messages[-1].blocks)


async def test_problems_of_an_answer_go_back(tmp_path: Path) -> None:
    llm = Scripted((ANSWER,), (_call("answer", word="y", count=2),))
    crew = _crew(tmp_path, llm)
    done = await converse(AGENT, "s", "b", crew, "l/l/tester", lambda a: ["too small"] if a.count < 2 else [])
    assert done.answer.count == 2


async def test_resume_asks_nothing_again_and_writes_again(tmp_path: Path) -> None:
    script = ((_call("look", 1, word="a"), _call("put", 2, word="b")), (ANSWER,))
    crew = _crew(tmp_path, Scripted(*script))
    await converse(AGENT, "s", "b", crew, "l/l/tester")
    crew.journal.close()
    said.clear()
    again = _crew(tmp_path, Absent())
    done = await converse(AGENT, "s", "b", again, "l/l/tester")
    assert done.answer.word == "x"
    assert said == ["put b"]
    assert again.journal.drift == {}
    assert again.budget.total().model_calls == 0


async def test_replay_with_live_tools_reports_what_is_stale(tmp_path: Path) -> None:
    recorded = _crew(tmp_path / "a", Scripted((_call("put", word="b"),), (ANSWER,)))
    await converse(AGENT, "s", "b", recorded, "l/l/tester")
    recorded.journal.close()

    @tool(Word, writes=True)
    async def refuses(arguments: Word, workspace: Workspace) -> ToolOutput:
        """Write a word down."""
        raise ToolError("that text does not occur")

    changed = Agent(
        role="tester", prompt="tester", tools=(look, type(refuses)(**{**vars(refuses), "name": "put"})), answer=Verdict
    )
    crew = _crew(tmp_path / "b", Absent(), Recording(tmp_path / "a" / "journal.jsonl", frozen=False))
    done = await converse(changed, "s", "b", crew, "l/l/tester")
    assert done.answer.word == "x"
    assert done.stale == ("stale: put(word='b'): that text does not occur",)
    assert crew.budget.total().model_calls == 2


async def test_frozen_replay_touches_nothing(tmp_path: Path) -> None:
    recorded = _crew(tmp_path / "a", Scripted((_call("put", word="b"),), (ANSWER,)))
    await converse(AGENT, "s", "b", recorded, "l/l/tester")
    recorded.journal.close()
    said.clear()
    crew = _crew(tmp_path / "b", Absent(), Recording(tmp_path / "a" / "journal.jsonl", frozen=True))
    await converse(AGENT, "s", "b", crew, "l/l/tester")
    assert said == []


async def test_a_replayed_answer_at_the_end_of_its_lane_is_taken_with_a_note(tmp_path: Path) -> None:
    recorded = _crew(tmp_path / "a", Scripted((ANSWER,)))
    await converse(AGENT, "s", "b", recorded, "l/l/tester")
    recorded.journal.close()
    crew = _crew(tmp_path / "b", Absent(), Recording(tmp_path / "a" / "journal.jsonl", frozen=False))
    done = await converse(AGENT, "s", "b", crew, "l/l/tester", lambda _: ["that evidence is gone"])
    assert done.answer.word == "x"
    assert done.stale == ("stale answer of tester: that evidence is gone",)
