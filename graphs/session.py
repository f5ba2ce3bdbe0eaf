"""Slash commands on shared state: each is a phase of the recipe, run when it is asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from langgraph.graph.state import CompiledStateGraph

from graphs.assembly import Overhear, Watch, at_work
from graphs.checkpoints import open_checkpoints
from graphs.engine import RunOptions, prepare, save_report
from graphs.ordered import admit, build_phase, group_orders, node_of
from graphs.phase import Run
from graphs.standing import reader, whole
from graphs.state import RunState, start
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.records.report import Report
from perfcrew.records.work import Order, PerformanceContext, RecipeRequest
from perfcrew.settings import Settings


class Done(NamedTuple):
    """What a session has come to after one more phase."""

    order: Order
    state: RunState
    report: Report


Told = Callable[[Done], None]


async def run_orders(
    options: RunOptions,
    orders: Sequence[Order],
    *,
    settings: Settings,
    watch: Watch,
    told: Told = lambda _: None,
    overhear: Overhear | None = None,
) -> Report:
    """Run phases in the order given, each on the state that the one before left.

    Args:
        options: the target; with a run id the session goes on where that run stands.
        orders: what to run; nothing goes on with the phase that was stopped.
        settings: of this process.
        watch: gets events.
        told: gets the state after each order.
        overhear: who hears a role's text while it comes.

    Raises:
        UserError: a phase needs another one first, or there is nothing to go on with.
    """
    manifest, folder = await prepare(options, settings)
    async with open_checkpoints(folder) as saver, at_work(manifest, folder, settings, watch, overhear) as context:
        seat = _Seat(saver, context, manifest.run_id, folder, told)
        known = await seat.known()
        state = known or start(manifest.request, manifest.base)
        groups = group_orders(orders)
        if not groups:
            groups = [known["orders"] if known else []]
            if not groups[0] or not await seat.is_stopped(groups[0], state):
                raise UserError(f"run {manifest.run_id}: nothing was stopped that could go on")
        for group in groups:
            state = await seat.carry_out(group, state, goes_on=not orders)
    if state["report"] is None:
        raise PerfcrewError("there was nothing to do")
    return state["report"]


class _Seat:
    """Where phases run: one thread of checkpoints, one context."""

    def __init__(self, saver: Any, context: Run, run_id: str, folder: Path, told: Told) -> None:
        self._saver, self._context, self._folder, self._told = saver, context, folder, told
        self._config: Any = {"configurable": {"thread_id": run_id}}

    def _graph(self, group: Sequence[Order], state: RunState) -> CompiledStateGraph[Any, Any, Any, Any]:
        return build_phase(group, state).compile(checkpointer=self._saver)

    async def known(self) -> RunState | None:
        """The state that the last phase left, or stopped at; None before the first."""
        return whole((await reader().compile(checkpointer=self._saver).aget_state(self._config)).values)

    async def is_stopped(self, group: Sequence[Order], state: RunState) -> bool:
        """Whether the phase has steps left to take."""
        return bool((await self._graph(group, state).aget_state(self._config)).tasks)

    async def carry_out(self, group: Sequence[Order], state: RunState, *, goes_on: bool) -> RunState:
        """Run one phase; the state that it leaves."""
        crew = self._context.crew
        idle = {order.role: why for order in group if (why := admit(order, state))}
        for why in idle.values():
            crew.tell("note", why)
        due = [order for order in group if order.role not in idle]
        if not due:
            return state
        self._context.go_on_from(state["phases"])
        given = None if goes_on else await self._given(due, state)
        graph = self._graph(due, state)
        try:
            await graph.ainvoke(given, self._config, context=self._context, durability="sync")
        except PerfcrewError as error:
            # LangGraph notes its own name and id of the task, which say nothing to the user.
            error.__dict__.pop("__notes__", None)
            raise
        after = await self.known()
        if after is None or after["report"] is None:
            raise PerfcrewError("the phase ended without a report")
        save_report(self._folder, after["report"])
        for order in due:
            self._told(Done(order, after, after["report"]))
        return after

    async def _given(self, group: Sequence[Order], state: RunState) -> Any:
        """What the phase starts from: the user's words become part of the request.

        What was done already in this round is done again in a round of its own; what was only begun, and is ordered in
        the same words, is taken from the journal as far as it came.
        """
        known = await self.known()
        before = known["orders"] if known else []
        again = {node_of(order, state) for order in group} & _finished(state)
        reworded = before and before != list(group) and await self.is_stopped(before, state)
        number = state["round"] + 1 if again or reworded else state["round"]
        given: dict[str, Any] = {} if known else {**state}
        if any(order.role == "coder" for order in group):
            # What was said about the branch as a whole holds for the branch as it was.
            given |= {"final": None, "pages": [], "verdict": None}
        return {**given, "request": _with_words(state["request"], group), "orders": list(group), "round": number}


def _finished(state: RunState) -> set[str]:
    """Nodes that have run in this round."""
    number = state["round"]
    ending = "" if number == 0 else f" (round {number + 1})"
    return {row.name.removesuffix(ending) for row in state["phases"] if row.name.endswith(ending)}


def _with_words(request: RecipeRequest, group: Sequence[Order]) -> RecipeRequest:
    issue = request.context.issue
    said = [order.said for order in group if order.said and order.said not in issue]
    context = request.context.model_copy(update={"issue": "\n".join(text for text in (issue, *said) if text)})
    return request.model_copy(update={"context": PerformanceContext(**context.model_dump())})
