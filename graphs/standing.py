"""Where a run stands, read from its checkpoints without working on it; and taking back what was kept last."""

from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from langgraph.graph import END, START, StateGraph

from graphs.assembly import Watch, at_work
from graphs.checkpoints import CHECKPOINTS, open_checkpoints
from graphs.conclusion import deliver
from graphs.engine import RunOptions, prepare, save_report
from graphs.ordered import build_phase
from graphs.phase import Run, node
from graphs.recipe import build
from graphs.state import RunState, Update, start
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.records.report import Report
from perfcrew.records.work import Card, Change, Plan
from perfcrew.settings import Settings
from tools.offering import withdraw


def reader() -> StateGraph[RunState, Run, RunState, RunState]:
    """A graph without work, to read the state of whichever graph wrote it."""
    graph: StateGraph[RunState, Run, RunState, RunState] = StateGraph(RunState, context_schema=Run)
    graph.add_node("idle", _idle)
    graph.add_edge(START, "idle")
    graph.add_edge("idle", END)
    return graph


async def _idle(state: RunState) -> Update:  # noqa: ARG001
    return Update()


def whole(values: Any) -> RunState | None:
    """A state as it was read, with the keys that versions before this one did not write."""
    return cast(RunState, {**start(values["request"], values["base"]), **values}) if values else None


async def read_state(folder: Path) -> RunState | None:
    """The state of a run as it stands; None before its first phase."""
    if not (folder / CHECKPOINTS).exists():
        return None
    async with open_checkpoints(folder) as saver:
        return whole((await reader().compile(checkpointer=saver).aget_state(_thread(folder.name))).values)


class Stopped(NamedTuple):
    """Where a run stopped before its end."""

    inside: Literal["recipe", "phase", "approval"]
    """Amid the recipe, amid a phase that was ordered by a command, or at a plan that waits for a person."""
    plan: Plan | None = None
    """The plan that waits."""


async def find_stop(folder: Path) -> Stopped | None:
    """Where a run stopped; None where it has come to an end, or was never begun."""
    state = await read_state(folder)
    if state is None:
        return None
    async with open_checkpoints(folder) as saver:
        if state["orders"]:
            phase = build_phase(state["orders"], state).compile(checkpointer=saver)
            return Stopped("phase") if (await phase.aget_state(_thread(folder.name))).tasks else None
        snapshot = await build(saver).aget_state(_thread(folder.name))
        waits = [item.value for task in snapshot.tasks for item in task.interrupts]
        if waits:
            return Stopped("approval", Plan.model_validate(waits[0]["plan"]))
        return Stopped("recipe") if snapshot.tasks else None


def _thread(run_id: str) -> Any:
    return {"configurable": {"thread_id": run_id}}


def last_kept(state: RunState) -> Change | None:
    """The newest change on the branch."""
    return next((change for change in reversed(state["changes"]) if change.kept), None)


async def undo_last(options: RunOptions, *, settings: Settings, watch: Watch) -> tuple[Change, Report]:
    """Withdraw the newest kept change; the branch in the user's repository goes with it, until the rest is validated.

    Raises:
        UserError: nothing is kept, or the branch is checked out.
    """
    manifest, folder = await prepare(options, settings)
    async with open_checkpoints(folder) as saver, at_work(manifest, folder, settings, watch) as context:
        graph = _undoing().compile(checkpointer=saver)
        state = whole((await graph.aget_state(_thread(manifest.run_id))).values)
        change = last_kept(state) if state else None
        if state is None or change is None:
            raise UserError("there is nothing to undo: no change is kept")
        await withdraw(context.crew.workspace.clone, manifest.repo, f"perfcrew/{manifest.run_id}")
        context.go_on_from(state["phases"])
        given: Any = {"orders": []}
        await graph.ainvoke(given, _thread(manifest.run_id), context=context, durability="sync")
        after = whole((await graph.aget_state(_thread(manifest.run_id))).values)
    if after is None or after["report"] is None:
        raise PerfcrewError("the change could not be withdrawn")
    save_report(folder, after["report"])
    return change, after["report"]


def _undoing() -> StateGraph[RunState, Run, RunState, RunState]:
    graph: StateGraph[RunState, Run, RunState, RunState] = StateGraph(RunState, context_schema=Run)
    graph.add_node("undo", node("undo", "Withdraw the newest change", None, _undo))
    graph.add_node("report", deliver())
    graph.add_edge(START, "undo")
    graph.add_edge("undo", "report")
    graph.add_edge("report", END)
    return graph


async def _undo(state: RunState, _crew: object) -> Update:
    change = last_kept(state)
    if change is None:
        return Update()
    gone = change.model_copy(update={"kept": False, "withdrawn": True, "reason": "withdrawn by the user"})
    left = [item.commit for item in state["changes"] if item.kept and item is not change and item.commit]
    card = Card(id=change.step, title=change.title, role="coder", status="DROPPED", note=gone.reason)
    return Update(
        changes=[gone],
        board={card.id: card},
        head=left[-1] if left else state["base"],
        final=None,
        pages=[],
        verdict=None,
        accepted=None,
        notes=[f"{change.title}: withdrawn by the user; the checks above are of the branch with it"],
    )
