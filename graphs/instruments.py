"""The instruments in the order in which they measure, and what each of them fits.

An instrument is an async function `(workspace, commit, workload, arm) -> Evidence`; it holds the quiet lease and starts
a fresh arm itself. One that builds on another's evidence gets that instead of the workload.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Target, Workload
from tools.allocations import measure_allocations
from tools.arm import start_arm
from tools.bundle import measure_bundle
from tools.capacity import measure_capacity
from tools.cpu import measure_cpu, sketch_cpu
from tools.event_loop import measure_event_loop
from tools.explain import explain_queries
from tools.index_trial import try_indexes
from tools.lease import quiet_lease
from tools.lighthouse import run_lighthouse
from tools.load import measure_load, split_cores
from tools.memory import measure_memory
from tools.node_heap import measure_heap
from tools.page_inspection import inspect_page
from tools.payload import inspect_responses
from tools.pool import measure_pool
from tools.queries import trace_queries
from tools.round_trips import measure_round_trips
from tools.schema_advice import advise_schema
from tools.start import time_start
from tools.web_vitals import measure_vitals
from tools.workspace import Workspace

Instrument = Callable[[Workspace, str, Workload, str], Awaitable[Evidence]]
FollowUp = Callable[[Workspace, Evidence, str], Awaitable[Evidence]]
LOAD_SECONDS, OTHER_SECONDS, MEMORY_SECONDS = 4.0, 2.0, 5.0
PATIENCE = 4.0
"""How much longer the load is when measuring is all that is asked for: a tail wants samples."""


@dataclass(frozen=True)
class Step:
    """One instrument in the plan.

    Attributes:
        kind: the kind of evidence that it gives; `--only` names it.
        take: the instrument.
        everywhere: for all workloads that it fits, not only for the primary one.
        workloads: kinds of workload that it fits.
        wide: the same, but only where `deep` steps are taken; there its `brief` looks at those other workloads.
        brief: takes its place where a model waits for the baseline, at less cost.
        deep: left out where a model waits for the baseline; `perfcrew measure` takes it.
        asked: takes so long that it is left out unless it is named.
        runtime: `python` or `node`, where it fits only one; a server of another is passed over.
        applies: what else the target must have.
    """

    kind: str
    take: Instrument
    everywhere: bool = False
    wide: bool = False
    workloads: frozenset[str] = frozenset({"http"})
    brief: Instrument | None = None
    deep: bool = False
    asked: bool = False
    runtime: str = ""
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


async def take_load(
    workspace: Workspace, commit: str, workload: Workload, arm: str, *, patient: bool = False
) -> Evidence:
    """Latency, throughput and CPU under the workload."""
    async with (
        quiet_lease(workspace),
        start_arm(workspace, commit, arm, cpus=split_cores()[0]) as running,
    ):
        seconds = LOAD_SECONDS if workload == workspace.target.primary else OTHER_SECONDS
        if patient:
            seconds *= PATIENCE
        return await measure_load(workspace, running, workload, seconds=_short(workspace, seconds))


async def take_load_patiently(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """The same with enough requests for the tail."""
    return await take_load(workspace, commit, workload, arm, patient=True)


async def take_queries(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Database queries, request by request."""
    async with quiet_lease(workspace):
        return await trace_queries(workspace, commit, workload, arm_name=arm)


async def take_explain(workspace: Workspace, traced: Evidence, arm: str) -> Evidence:
    """Plans of the traced queries."""
    return await explain_queries(workspace, traced, arm_name=arm)


async def take_capacity(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """The highest rate at which the goals hold."""
    async with (
        quiet_lease(workspace),
        start_arm(workspace, commit, arm, cpus=split_cores()[0]) as running,
    ):
        return await measure_capacity(workspace, running, workload, workspace.target.goal)


async def take_memory(
    workspace: Workspace, commit: str, workload: Workload, arm: str, *, patient: bool = False
) -> Evidence:
    """Memory over a steady load."""
    async with (
        quiet_lease(workspace),
        start_arm(workspace, commit, arm, cpus=split_cores()[0]) as running,
    ):
        seconds = _short(workspace, MEMORY_SECONDS)
        return await measure_memory(workspace, running, workload, seconds=seconds, patient=patient)


async def take_memory_patiently(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """The same with more load until it is clear that memory does not grow."""
    return await take_memory(workspace, commit, workload, arm, patient=True)


async def take_payload(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Size, encoding and cache headers of each response."""
    async with quiet_lease(workspace), start_arm(workspace, commit, arm) as running:
        return await inspect_responses(workspace, running, workload)


def _short(workspace: Workspace, seconds: float) -> float:
    return seconds / 4 if workspace.quick else seconds


def _has_database(target: Target) -> bool:
    return target.database is not None


def _has_server(target: Target) -> bool:
    return target.database is not None and target.database.engine != "sqlite"


_PAGES = frozenset({"page"})
_LOADED = frozenset({"http", "locust"})
STEPS: tuple[Step, ...] = (
    Step("start", take_start, workloads=frozenset({"http", "locust", "page"}), deep=True),
    Step(
        "load",
        take_load_patiently,
        brief=take_load,
        everywhere=True,
        workloads=frozenset({"http", "locust", "command"}),
    ),
    Step("queries", take_queries, everywhere=True),
    Step("cpu", measure_cpu, brief=sketch_cpu, wide=True, workloads=_LOADED),
    Step("memory", take_memory_patiently, brief=take_memory, workloads=_LOADED),
    Step("payload", take_payload, wide=True),
    Step("loop", measure_event_loop, deep=True, workloads=_LOADED),
    Step("pool", measure_pool, deep=True, workloads=_LOADED, applies=_has_database),
    Step("round_trips", measure_round_trips, deep=True, applies=_has_server),
    Step("index_trial", try_indexes, deep=True, wide=True, applies=_has_database),
    Step("schema", advise_schema, deep=True, applies=_has_database),
    Step("allocations", measure_allocations, deep=True, runtime="python"),
    Step("heap", measure_heap, deep=True, runtime="node"),
    Step("capacity", take_capacity, asked=True),
    Step("vitals", measure_vitals, everywhere=True, workloads=_PAGES),
    Step("page", inspect_page, everywhere=True, workloads=_PAGES),
    Step("bundle", measure_bundle, everywhere=True, workloads=_PAGES, deep=True),
    Step("lighthouse", run_lighthouse, everywhere=True, workloads=_PAGES, deep=True),
)
FOLLOWS: tuple[Follow, ...] = (Follow("explain", "queries", take_explain, applies=_has_database),)
