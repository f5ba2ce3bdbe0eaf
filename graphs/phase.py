"""What every node has in common: it is timed, its card moves, and in a parallel group its failure is held."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from langgraph.runtime import Runtime

from agents.crew import Crew
from graphs.state import RunState, Update
from perfcrew.errors import InstrumentError, LLMError, PerfcrewError, ReplayMiss
from perfcrew.records.base import Role
from perfcrew.records.events import Event
from perfcrew.records.report import PhaseRow
from perfcrew.records.work import Card, Status
from perfcrew.telemetry import TELEMETRY


class Work(Protocol):
    """The body of a node."""

    async def __call__(self, state: RunState, crew: Crew, /) -> Update:
        """Do it and return what changed."""
        ...


class Node(Protocol):
    """What LangGraph calls."""

    async def __call__(self, state: RunState, *, runtime: "Runtime[Run]") -> Update:
        """Run the node."""
        ...


@dataclass
class Run:
    """The graph's runtime context: the crew, the run's clock, and which branches were tried again in this process."""

    crew: Crew
    repo: Path
    """The user's repository: read at the beginning, given a branch at the end."""
    retried: set[str] = field(default_factory=set)
    _zero: float = field(default_factory=time.monotonic)

    def go_on_from(self, phases: list[PhaseRow]) -> None:
        """Set the clock of a resumed run behind its last finished phase."""
        elapsed = max((row.started + row.seconds for row in phases), default=0.0)
        self._zero = time.monotonic() - elapsed
        self.crew.budget.go_on_from(elapsed)

    def clock(self) -> float:
        """Seconds since the run began, without the time when it was not running."""
        return time.monotonic() - self._zero


Context = Callable[["Runtime[Run]"], Awaitable[Run]]


class BranchFailed(PerfcrewError):
    """A branch failed again after it was tried again; the run can be resumed."""


async def given(runtime: Runtime[Run]) -> Run:
    """The context that the graph was invoked with."""
    return runtime.context


def node(name: str, title: str, role: Role | None, work: Work, *, group: str = "", context: Context = given) -> Node:
    """Make a graph node of its body.

    Args:
        name: of the phase in reports.
        title: of its card.
        role: whose card it is; None for nodes without one.
        work: the body.
        group: parallel group; a failure inside one is held for the join, so that the sibling's work is kept.
        context: where the run's context comes from.
    """

    async def run(state: RunState, *, runtime: Runtime[Run]) -> Update:
        here = await context(runtime)
        crew, started = here.crew, here.clock()
        crew.watch(Event(kind="phase_started", text=title, phase=name))
        card = _move(crew, state, name, title, role, "IN_PROGRESS")
        try:
            with TELEMETRY.span(f"phase {name}", {"perfcrew.phase": name, "perfcrew.round": state["round"]}):
                update = await work(state, crew)
        except (InstrumentError, LLMError, ReplayMiss) as error:
            if not group:
                raise
            crew.watch(Event(kind="warning", text=f"{name} failed: {error}", phase=name))
            update = Update(failures={name: str(error)})
            card = _move(crew, state, name, title, role, "BLOCKED", note=str(error))
        else:
            update = {**update, "failures": {name: ""}} if group else update
            card = _move(crew, state, name, title, role, "DONE")
        seconds = here.clock() - started
        crew.watch(Event(kind="phase_finished", text=title, phase=name, figures={"seconds": seconds}))
        shown = name if state["round"] == 0 else f"{name} (round {state['round'] + 1})"
        row = PhaseRow(name=shown, seconds=seconds, started=started, group=f"{group}-{state['round']}" if group else "")
        board = {**update.get("board", {}), **({card.id: card} if card else {})}
        return {**update, "phases": [row], "board": board}

    run.__name__ = name.replace(" ", "_")
    return run


def _move(
    crew: Crew, state: RunState, name: str, title: str, role: Role | None, status: Status, note: str = ""
) -> Card | None:
    if role is None:
        return None
    card = Card(id=f"{name}-{state['round']}", title=title, role=role, status=status, note=note)
    crew.watch(Event(kind="card", text=title, phase=name, role=role, card=card))
    return card


def join(branches: tuple[str, ...], work: Work | None = None, *, context: Context = given) -> Node:
    """A node that runs when all started branches have ended; work is done only when none of them has failed."""

    async def run(state: RunState, *, runtime: Runtime[Run]) -> Update:
        here = await context(runtime)
        if failed_branches(state, branches):
            admit_retry(state, here, branches)
        elif work is not None:
            return await work(state, here.crew)
        return Update()

    return run


def failed_branches(state: RunState, names: tuple[str, ...]) -> list[str]:
    """Which of the branches have failed and not succeeded since."""
    return [name for name in names if state["failures"].get(name)]


def admit_retry(state: RunState, run: Run, names: tuple[str, ...]) -> None:
    """Let each failed branch run once more in this process; its sibling's work stays.

    Raises:
        BranchFailed: a branch failed again. The run is resumable: a new process tries it afresh.
    """
    for name in failed_branches(state, names):
        if name in run.retried:
            raise BranchFailed(f"{name}: {state['failures'][name]}")
        run.retried.add(name)
