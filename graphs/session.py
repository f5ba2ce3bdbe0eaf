"""Slash commands, one after the other, on shared state: each is one phase of the recipe, run when it is asked for."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from langgraph.graph import END, START, StateGraph

from agents.crew import Crew
from graphs.assembly import Watch, at_work
from graphs.baseline import baseline, join_baseline, snapshot
from graphs.checkpoints import open_checkpoints
from graphs.conclusion import deliver, judge
from graphs.design import design
from graphs.engine import RunOptions, prepare, save_report
from graphs.implementation import implement
from graphs.intake import intake
from graphs.phase import Run, Work, node
from graphs.state import RunState, Update, start
from graphs.validation import secure, test, validate
from perfcrew.errors import UserError
from perfcrew.records.base import Role
from perfcrew.records.report import Report
from perfcrew.records.work import PerformanceContext, RecipeRequest
from perfcrew.settings import Settings


class Order(NamedTuple):
    """One phase to run, with what the user said about it."""

    role: Role
    said: str
    phase: int | None = None
    """The recipe's phase, where the user named it; tells a baseline from a validation."""


class Done(NamedTuple):
    """What a session has come to after one more phase."""

    order: Order
    state: RunState
    report: Report


async def run_orders(
    options: RunOptions,
    orders: Sequence[Order],
    *,
    settings: Settings,
    watch: Watch,
    told: Callable[[Done], None] = lambda _: None,
) -> Report:
    """Run phases in the order given, each on the state that the one before left.

    Args:
        options: the target; with a run id the session goes on where that run stands.
        orders: what to run.
        settings: of this process.
        watch: gets events.
        told: gets the state after each phase.

    Raises:
        UserError: a phase needs another one first.
    """
    manifest, folder = await prepare(options, settings)
    report: Report | None = None
    async with open_checkpoints(folder) as checkpoints, at_work(manifest, folder, settings, watch) as context:
        config: Any = {"configurable": {"thread_id": manifest.run_id}}
        for order in orders:
            graph = _phase(order).compile(checkpointer=checkpoints)
            known = (await graph.aget_state(config)).values
            state = cast(RunState, known) if known else start(manifest.request, manifest.base)
            context.go_on_from(state["phases"])
            _admit(order, state)
            given = _with_words(state, order, first=not known)
            await graph.ainvoke(given, config, context=context, durability="sync")
            state = cast(RunState, (await graph.aget_state(config)).values)
            report = state["report"]
            if report is not None:
                told(Done(order, state, report))
    if report is None:
        raise UserError("there is no command to run")
    save_report(folder, report)
    return report


def _with_words(state: RunState, order: Order, *, first: bool) -> Any:
    """What the phase starts from: the user's words become part of the request; each command is a round of its own."""
    words = "\n".join(text for text in (state["request"].context.issue, order.said) if text)
    context = state["request"].context.model_copy(update={"issue": words})
    request: RecipeRequest = state["request"].model_copy(update={"context": PerformanceContext(**context.model_dump())})
    if first:
        return {**state, "request": request}
    return {"request": request, "round": state["round"] + 1}


def _phase(order: Order) -> StateGraph[RunState, Run, RunState, RunState]:
    graph = StateGraph(RunState, context_schema=Run)
    works: list[tuple[str, str, Role | None, Work]] = []
    match order.role:
        case "performance":
            works = [("performance", "Measure", "performance", _measure_what_is_due)]
        case "memory-sync":
            works = [("memory_sync", "Capture the architecture", "memory-sync", snapshot)]
        case "architect":
            works = [("join", "Merge", None, join_baseline), ("architect", "Plan", "architect", design)]
        case "coder":
            works = [("coder", "Implement step by step", "coder", implement)]
        case "tester":
            works = [("tester", "Hunt regressions", "tester", test)]
        case "security":
            works = [("security", "Review what the branch adds", "security", secure)]
    names = ["intake"]
    graph.add_node("intake", node("intake", "Prepare", None, intake))
    for name, title, role, work in works:
        graph.add_node(name, node(name, title, role, work))
        names.append(name)
    if order.role in ("performance", "tester", "security"):
        graph.add_node("judge", node("judge", "Judge", None, judge))
        names.append("judge")
    graph.add_node("report", deliver())
    names.append("report")
    for one, next_one in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(one, next_one)
    return graph


async def _measure_what_is_due(state: RunState, crew: Crew) -> Update:
    """The baseline, or once something was changed the comparison with it."""
    return await (validate(state, crew) if state["head"] != state["base"] else baseline(state, crew))


def _admit(order: Order, state: RunState) -> None:
    """Refuse what can't be done yet, with what to do first."""
    if order.role == "architect" and not state["findings"]:
        raise UserError("/agent:architect needs a baseline: run /agent:performance first")
    if order.role == "coder" and not state["plans"]:
        raise UserError("/agent:coder needs a plan: run /agent:architect first")
    if order.role in ("tester", "security") and state["head"] == state["base"]:
        raise UserError(f"/agent:{order.role} compares a changed version with the base: run /agent:coder first")
