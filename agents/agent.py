"""The one loop that serves every role: ask, run tool calls, until the typed answer arrives."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from pydantic import ValidationError

from agents.crew import Crew, Tier
from perfcrew.errors import BudgetExhausted, InstrumentError, PerfcrewError, ToolError
from perfcrew.llm.base import Message, Reply, Request, Text, ToolCall, ToolResult, ToolSpec
from perfcrew.llm.models import find
from perfcrew.llm.tokens import TokenGauge
from perfcrew.records.base import Record, Role
from perfcrew.records.evidence import Evidence
from tools.tool import Tool, ToolOutput, explain

A = TypeVar("A", bound=Record)
ANSWER = "answer"
MAX_TOKENS = 16_000
"""Most tokens of one reply."""
WINDOW_SHARE = 0.9
"""Part of a model's context window that a conversation may fill; the rest is for errors of the estimate."""
GRACE_TURNS = 2
"""Turns that an agent gets for its best answer after a limit was reached."""


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


@dataclass
class _Conversation(Generic[A]):
    agent: Agent[A]
    crew: Crew
    lane: str
    check: Callable[[A], Sequence[str]]
    messages: list[Message]
    evidence: list[Evidence] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

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
    specs = (*(tool.spec for tool in agent.tools), answer_spec(agent.answer))
    talk = _Conversation(agent, crew, lane, check, [Message(role="user", blocks=(Text(text=brief),))])
    limit, last_call = min(agent.turns, crew.limits.turns), False
    gauge, model = TokenGauge(crew.count), crew.models[agent.tier]
    for turn in range(limit + GRACE_TURNS):
        spent = crew.budget.exceeded() or _too_long(gauge, model, system, talk.messages, specs)
        if (spent or turn >= limit) and not last_call:
            talk.say(f"Stop here: {spent or f'{limit} turns are used'}. Call `{ANSWER}` now with the best you have.")
            last_call, limit = True, turn
        if turn >= limit + GRACE_TURNS:
            break
        request = Request(model=model, system=system, messages=tuple(talk.messages), tools=specs, max_tokens=MAX_TOKENS)
        answered_before = crew.journal.has(lane, f"turn-{turn}", "reply")
        try:
            reply = await crew.journal.reply(lane, turn, request, partial(crew.llm.complete, request))
        except BudgetExhausted as error:
            raise AgentFailed(f"{agent.role}: {error}") from error
        gauge.learn(request, reply.usage)
        if not answered_before:
            crew.budget.charge(reply, role=agent.role)
        crew.tell("turn", reply.text.strip().split("\n")[0][:160], role=agent.role, figures=_spent(crew, turn))
        answer = await _take(talk, turn, reply)
        if answer is not None:
            return Answered(answer, tuple(talk.evidence), tuple(talk.stale))
    raise AgentFailed(f"{agent.role} gave no valid answer ({crew.budget.exceeded() or f'{limit} turns'})")


def _too_long(
    gauge: TokenGauge, model: str, system: str, messages: list[Message], specs: tuple[ToolSpec, ...]
) -> str | None:
    """Why the conversation must end before it outgrows the model's context window; None while there is room."""
    known = find(model)
    if known is None:
        return None
    request = Request(model=model, system=system, messages=tuple(messages), tools=specs)
    tokens, window = gauge.estimate(request), known.context
    return f"{tokens:,} of {window:,} tokens of context" if tokens + MAX_TOKENS > window * WINDOW_SHARE else None


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
        raise AgentFailed(f"the model refused to go on as {talk.agent.role}: {reply.text[:200]}")
    if not reply.blocks:
        talk.say(f"Your reply was empty. Go on with a tool call, or call `{ANSWER}`.")
        return None
    talk.messages.append(Message(role="assistant", blocks=reply.blocks))
    if not reply.calls:
        if reply.stop != "pause":
            talk.say(f"Go on with a tool call; when you are done, call `{ANSWER}`.")
        return None
    if reply.stop in ("max_tokens", "incomplete", "context_window"):
        cut = "not executed: your reply was cut off before it was complete; say it again, in smaller parts"
        results = [ToolResult(call=call.id, content=cut, is_error=True) for call in reply.calls]
        talk.messages.append(Message(role="user", blocks=tuple(results)))
        return None
    answer, results = await _run_calls(talk, turn, reply.calls)
    talk.messages.append(Message(role="user", blocks=tuple(results)))
    return answer


async def _run_calls(
    talk: _Conversation[A], turn: int, calls: tuple[ToolCall, ...]
) -> tuple[A | None, list[ToolResult]]:
    """Run the calls of one reply: those whose order matters one by one, then the others at once, the answer last."""
    tools = {tool.name: tool for tool in talk.agent.tools}
    outputs: dict[int, ToolOutput] = {}
    known = [n for n, call in enumerate(calls) if call.name in tools]
    ordered = [n for n in known if tools[calls[n].name].writes or tools[calls[n].name].ordered]
    readers = [n for n in known if n not in ordered]
    for n in ordered:
        outputs[n] = await _run_call(talk, f"turn-{turn}.{n}", calls[n], tools[calls[n].name])
    running = [_run_call(talk, f"turn-{turn}.{n}", calls[n], tools[calls[n].name]) for n in readers]
    outputs.update(zip(readers, await asyncio.gather(*running), strict=True))
    answer: A | None = None
    for n, call in enumerate(calls):
        if n in outputs:
            talk.evidence.extend(outputs[n].evidence)
        elif call.name == ANSWER:
            answer, outputs[n] = _read_answer(talk, turn, call)
        else:
            names = ", ".join([*tools, ANSWER])
            outputs[n] = ToolOutput(content=f"there is no tool {call.name}; there are: {names}", is_error=True)
    results = [
        ToolResult(call=call.id, content=outputs[n].content or "(nothing)", is_error=outputs[n].is_error)
        for n, call in enumerate(calls)
    ]
    return answer, results


async def _run_call(talk: _Conversation[A], key: str, call: ToolCall, tool: Tool) -> ToolOutput:
    if call.malformed is not None:
        return ToolOutput(
            content=f"not executed: the arguments are not a JSON object: {call.malformed[:300]}", is_error=True
        )
    crew, key = talk.crew, f"{key}:{tool.name}"
    crew.tell("tool", _brief_call(call), role=talk.agent.role)

    async def run() -> ToolOutput:
        try:
            return await tool.call(call.arguments, crew.workspace)
        except (ToolError, InstrumentError) as error:
            return ToolOutput(content=str(error), is_error=True)

    output = await crew.journal.effect(talk.lane, key, ToolOutput, run, asked=call.arguments, reapply=tool.writes)
    if output.is_error and tool.writes and _worked_when_recorded(crew, talk.lane, key):
        talk.stale.append(f"stale: {_brief_call(call)}: {output.content.splitlines()[0]}")
    return output


def _worked_when_recorded(crew: Crew, lane: str, key: str) -> bool:
    recorded = crew.journal.source.find("effect", lane, key) if crew.journal.source else None
    return recorded is not None and not recorded.value.get("is_error", False)


def _ends_recording(talk: _Conversation[A], turn: int) -> bool:
    source = talk.crew.journal.source
    return source is not None and source.find("reply", talk.lane, f"turn-{turn + 1}") is None


def _brief_call(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={str(value)[:60]!r}" for name, value in list(call.arguments.items())[:2])
    return f"{call.name}({arguments})"


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
