"""The plan of instruments: what is measured, in which order, on which workloads. Baseline, validation and `perfcrew
measure` follow it.

An instrument is an async function `(workspace, commit, workload, arm) -> Evidence`; it holds the quiet lease and starts
a fresh arm itself. One that builds on another's evidence gets that instead of the workload. What can't be measured is
noted in a line, and everything else goes on.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Target, Workload
from tools.arm import start_arm
from tools.bundle import measure_bundle
from tools.cpu import profile_cpu
from tools.explain import explain_queries
from tools.lease import quiet_lease
from tools.lighthouse import run_lighthouse
from tools.load import LoadWorker, measure_load, split_cores
from tools.memory import measure_memory
from tools.page_inspection import inspect_page
from tools.payload import inspect_responses
from tools.queries import trace_queries
from tools.start import time_start
from tools.web_vitals import measure_vitals
from tools.workspace import Workspace

Instrument = Callable[[Workspace, str, Workload, str], Awaitable[Evidence]]
FollowUp = Callable[[Workspace, Evidence, str], Awaitable[Evidence]]
Take = Callable[[str, Callable[[], Awaitable[Evidence]]], Awaitable[Evidence]]
"""Takes one measurement by its key: by doing it, or from a journal that knows it."""
LOAD_SECONDS, OTHER_SECONDS, MEMORY_SECONDS, CPU_SECONDS = 4.0, 2.0, 5.0, 3.0


class Tell(Protocol):
    """Says something to whoever watches."""

    def __call__(self, kind: str, text: str) -> None:
        """`kind` is an event's: `measured`, `warning`, `tool`."""
        ...


@dataclass(frozen=True)
class Step:
    """One instrument in the plan.

    Attributes:
        kind: the kind of evidence that it gives; `--only` names it.
        take: the instrument.
        everywhere: for all workloads that it fits, not only for the primary one.
        workloads: kinds of workload that it fits.
        deep: left out where a model waits for the baseline; `perfcrew measure` takes it.
        applies: what else the target must have.
    """

    kind: str
    take: Instrument
    everywhere: bool = False
    workloads: frozenset[str] = frozenset({"http"})
    deep: bool = False
    applies: Callable[[Target], bool] = lambda _: True


@dataclass(frozen=True)
class Follow:
    """An instrument that builds on what another found on the same arm."""

    kind: str
    after: str
    """Kind of evidence that it needs: the first of it is what it gets."""
    take: FollowUp
    deep: bool = False
    applies: Callable[[Target], bool] = lambda _: True


async def take_start(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Time from start to the first answer, over fresh starts."""
    async with quiet_lease(workspace):
        return await time_start(workspace, commit, workload, arm)


async def take_load(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Latency, throughput and CPU under the workload."""
    async with (
        quiet_lease(workspace),
        LoadWorker.start(workspace) as worker,
        start_arm(workspace, commit, arm, cpus=split_cores()[0]) as running,
    ):
        seconds = LOAD_SECONDS if workload == workspace.target.primary else OTHER_SECONDS
        return await measure_load(workspace, running, workload, seconds=_short(workspace, seconds), worker=worker)


async def take_queries(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Database queries, request by request."""
    async with quiet_lease(workspace):
        return await trace_queries(workspace, commit, workload, arm_name=arm)


async def take_explain(workspace: Workspace, traced: Evidence, arm: str) -> Evidence:
    """Plans of the traced queries."""
    return await explain_queries(workspace, traced, arm_name=arm)


async def take_cpu(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """CPU and wall profile under the workload."""
    async with (
        quiet_lease(workspace),
        LoadWorker.start(workspace) as worker,
        start_arm(workspace, commit, arm, cpus=split_cores()[0]) as running,
    ):
        return await profile_cpu(workspace, running, workload, seconds=_short(workspace, CPU_SECONDS), worker=worker)


async def take_memory(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Memory over a steady load."""
    async with (
        quiet_lease(workspace),
        LoadWorker.start(workspace) as worker,
        start_arm(workspace, commit, arm, cpus=split_cores()[0]) as running,
    ):
        return await measure_memory(
            workspace, running, workload, seconds=_short(workspace, MEMORY_SECONDS), worker=worker
        )


async def take_payload(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Size, encoding and cache headers of each response."""
    async with quiet_lease(workspace), start_arm(workspace, commit, arm) as running:
        return await inspect_responses(workspace, running, workload)


def _short(workspace: Workspace, seconds: float) -> float:
    return seconds / 4 if workspace.quick else seconds


def _has_database(target: Target) -> bool:
    return target.database is not None


_PAGES = frozenset({"page"})
STEPS: tuple[Step, ...] = (
    Step("start", take_start, workloads=frozenset({"http", "locust", "page"}), deep=True),
    Step("load", take_load, everywhere=True, workloads=frozenset({"http", "locust", "command"})),
    Step("queries", take_queries, everywhere=True),
    Step("cpu", take_cpu),
    Step("memory", take_memory),
    Step("payload", take_payload),
    Step("vitals", measure_vitals, everywhere=True, workloads=_PAGES),
    Step("page", inspect_page, everywhere=True, workloads=_PAGES),
    Step("bundle", measure_bundle, everywhere=True, workloads=_PAGES, deep=True),
    Step("lighthouse", run_lighthouse, everywhere=True, workloads=_PAGES, deep=True),
)
FOLLOWS: tuple[Follow, ...] = (Follow("explain", "queries", take_explain, applies=_has_database),)
KINDS: tuple[str, ...] = (*dict.fromkeys(step.kind for step in STEPS), *(follow.kind for follow in FOLLOWS))
"""What `--only` may name."""


def plan_steps(target: Target, *, deep: bool, only: Collection[str] = ()) -> Iterator[tuple[Step, Workload]]:
    """The steps for a target in their order: everything for the primary workload, then the others."""
    wanted = set(only) | {follow.after for follow in FOLLOWS if follow.kind in only}
    steps = [
        step for step in STEPS if (deep or not step.deep) and (not only or step.kind in wanted) and step.applies(target)
    ]
    first: dict[str, Workload] = {}
    for step in steps:
        fitting = [workload for workload in target.workload if workload.kind in step.workloads]
        # A measure of pages only has no http workload first: the first that fits stands in.
        if fitting:
            first[step.kind] = fitting[0]
            yield step, fitting[0]
    for step in (step for step in steps if step.everywhere):
        for workload in target.workload:
            if workload.kind in step.workloads and workload != first[step.kind]:
                yield step, workload


def plan_follows(target: Target, *, deep: bool, only: Collection[str] = ()) -> Iterator[Follow]:
    """The instruments that build on what others found."""
    for follow in FOLLOWS:
        if (deep or not follow.deep) and (not only or follow.kind in only) and follow.applies(target):
            yield follow


async def take_all(
    workspace: Workspace, commit: str, arm: str, take: Take, tell: Tell, *, deep: bool, only: Collection[str] = ()
) -> tuple[list[Evidence], list[str]]:
    """Take every measurement of one arm, each on a fresh start.

    Args:
        workspace: where the arm runs.
        commit: the version.
        arm: what to call it.
        take: carries out one measurement.
        tell: gets a line for each.
        deep: also what a model's baseline leaves out.
        only: kinds of evidence to which the plan is limited; empty for all.

    Returns:
        The evidence, and a line for each measurement that could not be taken.
    """
    evidence: list[Evidence] = []
    notes: list[str] = []

    async def attempt(key: str, run: Callable[[], Awaitable[Evidence]]) -> None:
        tell("tool", key)
        try:
            item = await take(key, run)
        except (InstrumentError, ReplayMiss) as error:
            line = f"{key}: {error}"
            notes.append(line)
            tell("warning", line)
            return
        evidence.append(item)
        tell("measured", item.title)

    for step, workload in plan_steps(workspace.target, deep=deep, only=only):
        await attempt(f"{step.kind}@{workload.name}/{arm}", _bound(step, workspace, commit, workload, arm))
    for follow in plan_follows(workspace.target, deep=deep, only=only):
        found = _first(evidence, follow.after)
        if found is not None:
            await attempt(f"{follow.kind}@{arm}", _following(follow, workspace, found, arm))
    return evidence, notes


def _bound(
    step: Step, workspace: Workspace, commit: str, workload: Workload, arm: str
) -> Callable[[], Awaitable[Evidence]]:
    return lambda: step.take(workspace, commit, workload, arm)


def _following(follow: Follow, workspace: Workspace, found: Evidence, arm: str) -> Callable[[], Awaitable[Evidence]]:
    return lambda: follow.take(workspace, found, arm)


def _first(evidence: Iterable[Evidence], kind: str) -> Evidence | None:
    return next((item for item in evidence if item.kind == kind), None)
