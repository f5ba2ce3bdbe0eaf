"""The one loop that serves every role: ask, run tool calls, until the typed answer arrives."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Generic, TypeVar

from pydantic import ValidationError

from agents.bounds import Bounds, recollect, record
from agents.calls import run_call
from agents.crew import Crew
from agents.spans import agent_span, call_span, note_reply
from agents.window import RECALL, Window
from perfcrew.errors import BudgetExhausted, ContextOverflow, PerfcrewError
from perfcrew.llm.accounts import place_of
from perfcrew.llm.base import Message, Reply, Text, ToolCall, ToolResult, ToolSpec
from perfcrew.llm.blocks import CUT_SHORT
from perfcrew.llm.choice import Tier
from perfcrew.records.base import Record, Role
from perfcrew.records.evidence import Evidence
from tools.tool import Tool, ToolOutput, explain

A = TypeVar("A", bound=Record)
ANSWER = "answer"
STUMBLES = 6
"""Turns beyond its limit that an agent gets for replies that came to nothing: refused, empty, cut off, only errors."""
REFUSALS = 3
"""After so many refusals in a row the model means it; services refuse harmless performance work at times."""


class AgentFailed(PerfcrewError):
    """An agent ended without an answer."""


@dataclass(frozen=True)
class Agent(Generic[A]):
    """A role as a value."""

    role: Role
    prompt: str
    """Name of the prompt file: the system prompt of every conversation in this role and phase."""
    tools: tuple[Tool, ...]
    answer: type[A]
    tier: Tier = "quick"
    turns: int = 24


@dataclass(frozen=True)
class Answered(Generic[A]):
    """How a conversation ended."""

    answer: A
    evidence: tuple[Evidence, ...]
    stale: tuple[str, ...] = ()
    """Recorded tool calls that succeeded when recorded and don't apply any more."""
    said: str = ""
    """What the model said as text when it answered, or had said just before."""


@dataclass
class _Conversation(Generic[A]):
    agent: Agent[A]
    crew: Crew
    lane: str
    check: Callable[[A], Sequence[str]]
    messages: list[Message]
    window: Window
    evidence: list[Evidence] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    stumbles: int = 0
    refusals: int = 0
    said: str = ""
    crowded: bool = False
    """The service says that the conversation fills the model's window."""

    def stumble(self) -> None:
        self.stumbles = min(STUMBLES, self.stumbles + 1)

    def say(self, text: str) -> None:
        self.messages.append(Message(role="user", blocks=(Text(text=text),)))


async def converse(
    agent: Agent[A], system: str, brief: str, crew: Crew, lane: str, check: Callable[[A], Sequence[str]] = lambda _: ()
) -> Answered[A]:
    """Hold one conversation and return the typed answer.

    Args:
        agent: who is asked.
        system: the rendered system prompt.
        brief: what the role may see, as text.
        crew: journal, models, workspace, budget.
        lane: place of the conversation in the run: `round/phase/role`, then step and attempt where there are several.
        check: problems of an answer beyond its type; they go back to the model.

    Raises:
        AgentFailed: no answer within the limits, or the model refused.
        LLMError, ReplayMiss: no reply to be had.
    """
    with agent_span(agent.role, crew.model_of(agent.role, agent.tier), lane):
        return await _converse(agent, system, brief, crew, lane, check)


async def _converse(
    agent: Agent[A], system: str, brief: str, crew: Crew, lane: str, check: Callable[[A], Sequence[str]]
) -> Answered[A]:
    brief = crew.journal.redactor.text(brief)
    specs = (*(tool.spec for tool in agent.tools), answer_spec(agent.answer))
    window = Window(crew, crew.model_of(agent.role, agent.tier), system, specs, ANSWER)
    talk = _Conversation(agent, crew, lane, check, [Message(role="user", blocks=(Text(text=brief),))], window)
    limit = min(agent.turns, crew.limits.turns)
    bounds = Bounds(crew, agent.role, lane, limit, ANSWER)
    for turn in count():
        full = window.fit(talk.messages) or (_make_room(talk) if talk.crowded else None)
        if said := await bounds.before(turn, talk.stumbles, full):
            talk.say(said)
        if bounds.over(turn, talk.stumbles):
            break
        began, answered_before = time.monotonic(), crew.journal.has(lane, f"turn-{turn}", "reply")
        reply = await _ask(talk, turn)
        if not answered_before:
            crew.budget.charge(reply, *place_of(lane))
        crew.tell("turn", reply.text.strip().split("\n")[0][:160], role=agent.role, figures=_spent(crew, turn))
        answer = await _take(talk, turn, reply)
        crew.budget.spend(0.0 if answered_before else time.monotonic() - began, agent.role)
        if answer is not None:
            return Answered(answer, tuple(talk.evidence), tuple(talk.stale), talk.said)
    raise AgentFailed(f"{agent.role} gave no valid answer ({crew.budget.exceeded(agent.role) or f'{limit} turns'})")


async def _ask(talk: _Conversation[A], turn: int) -> Reply:
    """Ask for the next reply; where the service finds the conversation too long, cut it and ask again."""
    crew, window = talk.crew, talk.window
    for cuts in count():
        key = f"turn-{turn}:window-{cuts}"
        if (tokens := await recollect(crew, talk.lane, key, int)) is not None:
            window.overflow(talk.messages, tokens)
            continue
        request = window.request(talk.messages)
        listener = (crew.overhear(talk.agent.role),) if crew.overhear else ()
        try:
            with call_span(crew, talk.agent.role, talk.lane, turn, request) as span:
                ask = partial(crew.llm.complete, request, *listener)
                reply = await crew.journal.reply(talk.lane, turn, request, ask)
                note_reply(span, reply, crew)
        except BudgetExhausted as error:
            raise AgentFailed(f"{talk.agent.role}: {error}") from error
        except ContextOverflow as error:
            tokens = window.tokens(talk.messages)
            if not window.overflow(talk.messages, tokens):
                raise AgentFailed(f"{talk.agent.role}: {error}") from error
            await record(crew, talk.lane, key, tokens)
        else:
            window.learn(request, reply.usage)
            return reply
    raise AssertionError("unreachable")


def _make_room(talk: _Conversation[A]) -> str | None:
    """Cut a conversation whose last reply filled the window; why it must end where there is nothing to cut."""
    talk.crowded = False
    if talk.window.overflow(talk.messages, talk.window.tokens(talk.messages)):
        return None
    return "the model's context window is full"


def _spent(crew: Crew, turn: int) -> dict[str, float]:
    usage = crew.budget.total()
    figures: dict[str, float] = {"turn": turn, "tokens": usage.input_tokens + usage.output_tokens}
    return figures if usage.usd is None else {**figures, "usd": usage.usd}


def answer_spec(answer: type[Record]) -> ToolSpec:
    """The tool that ends a conversation: its arguments are the typed answer."""
    schema = answer.model_json_schema()
    schema.pop("title", None)
    description = inspect.cleandoc(schema.pop("description", None) or "")
    return ToolSpec(
        name=ANSWER,
        description=f"Give your final answer; this ends the conversation. {description}",
        parameters=schema,
    )


async def _take(talk: _Conversation[A], turn: int, reply: Reply) -> A | None:
    """Take one reply into the conversation; return the answer if it holds a valid one."""
    if reply.stop == "refusal":
        _hear_refusal(talk, reply)
        return None
    talk.refusals = 0
    if not reply.blocks:
        talk.stumble()
        talk.say(f"Your reply was empty. Go on with a tool call, or call `{ANSWER}`.")
        return None
    talk.messages.append(Message(role="assistant", blocks=reply.blocks))
    talk.said = reply.text or talk.said
    if reply.stop in CUT_SHORT:
        _hear_half(talk, reply)
        return None
    if not reply.calls:
        if reply.stop != "pause":
            talk.say(f"Go on with a tool call; when you are done, call `{ANSWER}`.")
        return None
    answer, results = await _run_calls(talk, turn, reply.calls)
    if all(result.is_error for result in results):
        talk.stumble()
    talk.messages.append(Message(role="user", blocks=tuple(results)))
    return answer


def _hear_refusal(talk: _Conversation[A], reply: Reply) -> None:
    """Forget a refusal, so that the same is asked again; give up when the model means it."""
    talk.refusals += 1
    if talk.refusals >= REFUSALS:
        raise AgentFailed(f"the model refused to go on as {talk.agent.role}: {reply.text[:200]}")
    talk.stumble()
    talk.crew.tell("warning", f"the model refused; asked again: {reply.text[:160]}", role=talk.agent.role)


def _hear_half(talk: _Conversation[A], reply: Reply) -> None:
    """Say that a reply was cut off; none of its calls is run, whole as they may look."""
    talk.stumble()
    if reply.stop == "context_window":
        talk.crowded = True
    cut = "your reply was cut off before it was complete; say it again, in smaller parts"
    if reply.calls:
        results = [ToolResult(call=call.id, content=f"not executed: {cut}", is_error=True) for call in reply.calls]
        talk.messages.append(Message(role="user", blocks=tuple(results)))
    else:
        talk.say(cut[0].upper() + cut[1:] + ".")


async def _run_calls(
    talk: _Conversation[A], turn: int, calls: tuple[ToolCall, ...]
) -> tuple[A | None, list[ToolResult]]:
    """Run the calls of one reply: those whose order matters one by one, then the others at once, the answer last."""
    tools = {tool.name: tool for tool in talk.agent.tools}
    outputs: dict[int, ToolOutput] = {}
    known = [n for n, call in enumerate(calls) if call.name in tools]
    ordered = [n for n in known if tools[calls[n].name].writes or tools[calls[n].name].ordered]
    readers = [n for n in known if n not in ordered]

    def run(n: int) -> Awaitable[ToolOutput]:
        tool = tools[calls[n].name]
        return run_call(talk.crew, talk.lane, talk.agent.role, f"turn-{turn}.{n}", calls[n], tool, talk.stale)

    for n in ordered:
        outputs[n] = await run(n)
    running = [run(n) for n in readers]
    outputs.update(zip(readers, await asyncio.gather(*running), strict=True))
    answer: A | None = None
    for n, call in enumerate(calls):
        if n in outputs:
            talk.evidence.extend(outputs[n].evidence)
        elif call.name == ANSWER:
            answer, outputs[n] = _read_answer(talk, turn, call)
        elif call.name == RECALL and talk.window.was_cut:
            outputs[n] = talk.window.recall(call, talk.evidence)
        else:
            names = ", ".join([*tools, ANSWER])
            outputs[n] = ToolOutput(content=f"there is no tool {call.name}; there are: {names}", is_error=True)
    results = [
        ToolResult(call=call.id, content=outputs[n].content or "(nothing)", is_error=outputs[n].is_error)
        for n, call in enumerate(calls)
    ]
    return answer, results


def _ends_recording(talk: _Conversation[A], turn: int) -> bool:
    source = talk.crew.journal.source
    return source is not None and source.find("reply", talk.lane, f"turn-{turn + 1}") is None


def _read_answer(talk: _Conversation[A], turn: int, call: ToolCall) -> tuple[A | None, ToolOutput]:
    if call.malformed is not None:
        return None, ToolOutput(
            content="the arguments of the answer are not a JSON object; answer again", is_error=True
        )
    try:
        answer = talk.agent.answer.model_validate(call.arguments)
    except ValidationError as error:
        return None, ToolOutput(content=f"the answer does not fit:\n{explain(error)}\nAnswer again.", is_error=True)
    problems = list(talk.check(answer))
    if problems and _ends_recording(talk, turn):
        # The recorded conversation ended here, with evidence that differs from today's in the edges of a detector.
        talk.stale.extend(f"stale answer of {talk.agent.role}: {problem}" for problem in problems)
        problems = []
    if problems:
        return None, ToolOutput(content="\n".join([*problems, "Answer again."]), is_error=True)
    return answer, ToolOutput(content="taken")
