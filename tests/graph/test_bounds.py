"""What bounds a conversation: windows, turns, budgets of run and role; what the agent is told; the same on a resume."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.agent import Agent, AgentFailed, converse
from agents.crew import Crew, Limits
from perfcrew.errors import ContextOverflow
from perfcrew.llm.base import Reply, Request, Text, ToolCall, ToolResult, Usage
from perfcrew.llm.budget import Budget
from perfcrew.llm.journal import Journal
from perfcrew.llm.models import Catalogue
from perfcrew.llm.recording import Recording
from perfcrew.llm.tokens import estimate_tokens
from perfcrew.records.base import Record
from perfcrew.records.budget import Allowance
from perfcrew.records.models import ModelFacts
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

MODEL = "openai-chat/local"
STOP, NEARLY = "Stop here", "Do what matters most"


class Place(Record):
    """Which file."""

    path: str


class Found(Record):
    """The answer."""

    word: str


@tool(Place)
async def look(arguments: Place, _workspace: Workspace) -> ToolOutput:
    """Look into a file."""
    return ToolOutput(content=f"{arguments.path} begins\n" + f"{arguments.path} goes on for long\n" * 200)


AGENT = Agent(role="tester", prompt="tester", tools=(look,), answer=Found, turns=40)
ANSWER = ToolCall(id="a", name="answer", arguments={"word": "x"})


class Model:
    """Looks until it is told to stop, or for so many turns; then answers. Counts tokens as a service would."""

    def __init__(self, looks: int = 100, *, window: int | None = None, deaf: bool = False) -> None:
        self.looks, self.window, self.deaf = looks, window, deaf
        self.asked: list[Request] = []
        self.refused = 0

    async def complete(self, request: Request) -> Reply:
        tokens = round(1.3 * estimate_tokens(request))
        if self.window is not None and tokens + request.max_tokens > self.window:
            self.refused += 1
            raise ContextOverflow("openai: HTTP 400 context_length_exceeded")
        self.asked.append(request)
        told = not self.deaf and STOP in str(request.messages[-1])
        number = len(self.asked)
        call = ToolCall(id=f"c{number}", name="look", arguments={"path": f"{number}.py"})
        done = told or number > self.looks
        usage = Usage(input_tokens=tokens, output_tokens=50)
        return Reply(model=MODEL, blocks=(ANSWER if done else call,), stop="tool", usage=usage)


def crew_of(folder: Path, llm: Any, source: Recording | None = None, **given: Any) -> Crew:
    models = {"strong": MODEL, "quick": MODEL}
    watch: Callable[[Any], None] = lambda _: None  # noqa: E731
    journal = Journal(folder / "journal.jsonl", source)
    budget = given.pop("budget", Budget())
    crew = Crew(cast(Any, models), llm, journal, cast(Workspace, None), budget, watch, Limits(turns=100))
    return replace(crew, **given)


def window_of(tokens: int) -> Catalogue:
    return Catalogue({MODEL: ModelFacts(context=tokens)})


def said(request: Request) -> str:
    return "\n".join(block.text for m in request.messages for block in m.blocks if isinstance(block, Text))


async def test_a_long_conversation_stays_inside_the_window_and_keeps_its_task(tmp_path: Path) -> None:
    llm = Model(looks=36, window=32_000)
    crew = crew_of(tmp_path, llm, catalogue=window_of(32_000))
    brief = "the task\n" * 100
    done = await converse(AGENT, "system", brief, crew, "0/x/tester")
    assert done.answer.word == "x"
    assert llm.refused == 0, "the estimate, corrected by what was counted, keeps below the window"
    assert len(llm.asked) == 37
    for request in llm.asked:
        assert request.messages[0].blocks == (Text(text=brief),)
        assert request.max_tokens == 8000
    cuts = [
        n
        for n, (a, b) in enumerate(zip(llm.asked, llm.asked[1:], strict=False))
        if b.messages[2:3] != a.messages[2:3] or b.messages[: len(a.messages)] != a.messages
    ]
    assert 1 <= len([n for n in cuts if n > 0]) <= 8, "cuts are rare: each invalidates the provider's cache"
    assert [spec.name for spec in llm.asked[0].tools] == ["look", "answer"]
    assert [spec.name for spec in llm.asked[-1].tools] == ["look", "answer", "recall"]


async def test_what_was_cut_comes_back_by_reference(tmp_path: Path) -> None:
    class Recalling(Model):
        async def complete(self, request: Request) -> Reply:
            reply = await super().complete(request)
            recalled = any("recall" in str(m.blocks) and isinstance(m.blocks[0], ToolCall) for m in request.messages)
            if "recall" in [spec.name for spec in request.tools] and not recalled:
                calls = tuple(
                    ToolCall(id=f"r{n}", name="recall", arguments={"reference": given})
                    for n, given in enumerate(("2.0", "99.9"))
                )
                return reply.model_copy(update={"blocks": calls})
            return reply

    llm = Recalling(looks=30)
    await converse(AGENT, "s", "b", crew_of(tmp_path, llm, catalogue=window_of(32_000)), "0/x/tester")
    results = {
        b.call: b for request in llm.asked for m in request.messages for b in m.blocks if isinstance(b, ToolResult)
    }
    whole = await look.function(Place(path="1.py"), cast(Workspace, None))
    given = [
        b.content
        for r in llm.asked
        for m in r.messages
        for b in m.blocks
        if isinstance(b, ToolResult) and b.call == "r0"
    ]
    assert whole.content in given
    assert "there is no '99.9'; there is: 2.0" in results["r1"].content


async def test_a_service_that_finds_it_too_long_gets_a_shorter_one(tmp_path: Path) -> None:
    llm = Model(looks=30, window=40_000)
    done = await converse(AGENT, "s", "b", crew_of(tmp_path, llm), "0/x/tester")
    assert done.answer.word == "x"
    assert 1 <= llm.refused <= 3, "what was refused once is not tried again"


async def test_a_conversation_that_cannot_be_shorter_fails_as_an_agent_not_as_a_run(tmp_path: Path) -> None:
    with pytest.raises(AgentFailed, match="context_length_exceeded"):
        await converse(AGENT, "s", "b" * 200_000, crew_of(tmp_path, Model(window=20_000)), "0/x/tester")


async def test_a_brief_that_fills_the_window_gets_a_best_answer(tmp_path: Path) -> None:
    llm = Model()
    await converse(AGENT, "s", "b" * 90_000, crew_of(tmp_path, llm, catalogue=window_of(32_000)), "0/x/tester")
    assert len(llm.asked) == 1
    assert "tokens of context" in said(llm.asked[0])


async def test_resuming_a_conversation_that_was_cut_asks_the_same(tmp_path: Path) -> None:
    for name, known in (("known", {"catalogue": window_of(32_000)}), ("learned", dict[str, Any]())):
        llm = Model(looks=30, window=None if known else 40_000)
        first = crew_of(tmp_path / name, llm, **known)
        await converse(AGENT, "s", "b", first, "0/x/tester")
        first.journal.close()
        again = Model()
        crew = crew_of(tmp_path / name, again, **known)
        await converse(AGENT, "s", "b", crew, "0/x/tester")
        assert again.asked == []
        assert crew.journal.drift == {}
        replayed = crew_of(tmp_path / f"{name}-replay", again, Recording(first.journal.path, frozen=True), **known)
        await converse(AGENT, "s", "b", replayed, "0/x/tester")
        assert replayed.journal.drift == {}


@pytest.mark.parametrize("roles", [{}, {"tester": Allowance(turns=10)}])
async def test_at_four_fifths_the_agent_is_told_once_and_at_the_end_it_answers(tmp_path: Path, roles: Any) -> None:
    llm = Model()
    budget = Budget(roles=roles) if roles else Budget(turns=10)
    await converse(AGENT, "s", "b", crew_of(tmp_path, llm, budget=budget), "0/x/tester")
    assert len(llm.asked) == 11, "one more turn than the budget has, for the best answer"
    assert [NEARLY in said(request) for request in llm.asked] == [False] * 8 + [True] * 3
    assert said(llm.asked[-1]).count(NEARLY) == 1
    assert [STOP in said(request) for request in llm.asked] == [False] * 10 + [True]
    whose = " by tester" if roles else ""
    assert f"8 of 10 turns used{whose}" in said(llm.asked[8])


async def test_an_agent_is_told_that_its_turns_come_to_an_end(tmp_path: Path) -> None:
    llm = Model()
    await converse(replace(AGENT, turns=10), "s", "b", crew_of(tmp_path, llm), "0/x/tester")
    assert len(llm.asked) == 11
    assert "8 of 10 turns are used" in said(llm.asked[8])
    assert said(llm.asked[-1]).count(NEARLY) == 1


async def test_a_resume_with_a_spent_budget_gives_the_answer_that_was_given(tmp_path: Path) -> None:
    first = crew_of(tmp_path, Model(), budget=Budget(turns=10))
    done = await converse(AGENT, "s", "b", first, "0/x/tester")
    first.journal.close()
    spent = Budget(turns=10)
    for _, reply in first.journal.replies():
        spent.charge(reply, "tester")
    again = Model()
    crew = crew_of(tmp_path, again, budget=spent)
    assert await converse(AGENT, "s", "b", crew, "0/x/tester") == done
    assert again.asked == []
    assert crew.journal.drift == {}


@pytest.mark.parametrize("window", [None, 30_000], ids=["budget", "window"])
async def test_a_live_model_with_recorded_tools_is_bound_as_ever(tmp_path: Path, window: int | None) -> None:
    first = crew_of(tmp_path / "a", Model(looks=12))
    await converse(AGENT, "s", "b", first, "0/x/tester")
    first.journal.close()
    recording = Recording(first.journal.path, frozen=True, replies=False)
    llm = Model(looks=12, window=window)
    crew = crew_of(tmp_path / "b", llm, recording, budget=Budget(turns=100 if window else 5))
    assert (await converse(AGENT, "s", "b", crew, "0/x/tester")).answer.word == "x"
    assert llm.refused if window else len(llm.asked) == 6
    crew.journal.close()


async def test_a_replay_is_not_bound_by_the_budget_of_who_replays_it(tmp_path: Path) -> None:
    first = crew_of(tmp_path / "a", Model(looks=5))
    done = await converse(AGENT, "s", "b", first, "0/x/tester")
    first.journal.close()
    crew = crew_of(tmp_path / "b", Model(), Recording(first.journal.path, frozen=True), budget=Budget(turns=1))
    assert await converse(AGENT, "s", "b", crew, "0/x/tester") == done


_limits = st.builds(
    Allowance,
    turns=st.none() | st.integers(1, 12),
    tokens=st.none() | st.integers(1, 60_000),
)


@settings(max_examples=30, deadline=None)
@given(run=_limits, role=_limits, looks=st.integers(0, 15), deaf=st.booleans())
async def test_no_limit_is_passed_by_more_than_the_grace(
    run: Allowance, role: Allowance, looks: int, deaf: bool
) -> None:
    llm = Model(looks, deaf=deaf)
    budget = Budget(turns=run.turns, tokens=run.tokens, roles={"tester": role}, clock=lambda: 0.0)
    late: list[str] = []

    class Watched(Model):
        async def complete(self, request: Request) -> Reply:
            late.extend(filter(None, [budget.exceeded("tester")]))
            return await llm.complete(request)

    with TemporaryDirectory() as folder:
        crew = crew_of(Path(folder), Watched(), budget=budget)
        try:
            done = await converse(AGENT, "s", "b", crew, "0/x/tester")
            assert done.answer.word == "x"
        except AgentFailed:
            assert deaf
        crew.journal.close()
    assert len(late) <= (2 if deaf else 1)
