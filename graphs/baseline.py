"""Phase 1: what the application does now. Performance and memory-sync run side by side."""

from collections.abc import Awaitable, Callable, Iterable

from agents.agent import AgentFailed, converse
from agents.crew import Crew
from agents.memory_sync import SNAPSHOT, brief_snapshot, to_snapshot
from agents.performance import BASELINE, brief_baseline, check_baseline, to_findings
from graphs.state import RunState, Update
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Workload
from perfcrew.records.work import Finding
from prompts import render
from tools.arm import start_arm
from tools.cpu import profile_cpu
from tools.detectors import detect, measured_shares
from tools.duel import NOISE, Duel, run_duel
from tools.explain import explain_queries
from tools.git import worktree_of
from tools.knowledge import GraphSummary, build_graph, describe_paths, merge_measurements
from tools.lease import quiet_lease
from tools.load import LoadWorker, measure_load, split_cores
from tools.memory import measure_memory
from tools.payload import inspect_responses
from tools.queries import trace_queries
from tools.workspace import Workspace

Instrument = Callable[[Workspace, str, Workload, str], Awaitable[Evidence]]
LOAD_SECONDS, OTHER_SECONDS, MEMORY_SECONDS, CPU_SECONDS = 4.0, 2.0, 5.0, 3.0


async def baseline(state: RunState, crew: Crew) -> Update:
    """Measure the base with every instrument, let detectors and the performance agent say what it means."""
    lane = f"{state['round']}/baseline/performance"
    evidence, notes = await measure(crew, lane, state["base"], "base")
    noise = await measure_noise(crew, lane, state["base"])
    detected = detect(evidence)
    known = {item.id: item for item in evidence}
    brief = brief_baseline(state["request"], crew.workspace.target, evidence, detected)
    findings: tuple[Finding, ...] = detected
    try:
        done = await converse(
            BASELINE, render(BASELINE.prompt), brief, crew, lane, lambda answer: check_baseline(answer, known)
        )
        findings = to_findings(done.answer, detected, measured_shares(evidence))
        evidence = [*evidence, *done.evidence]
        notes += done.stale
    except (AgentFailed, ReplayMiss) as error:
        notes.append(f"performance: {error}; the detectors' findings stand alone")
    return Update(
        evidence={item.id: item for item in evidence},
        findings={finding.id: finding for finding in findings},
        noise=noise,
        notes=notes,
    )


async def measure(crew: Crew, lane: str, commit: str, arm: str) -> tuple[list[Evidence], list[str]]:
    """Take every measurement of one arm, each on a fresh start; what can't be taken is noted and the rest goes on."""
    primary, *others = crew.workspace.target.workload
    plan: list[tuple[str, Instrument, Workload]] = [
        ("load", take_load, primary),
        ("queries", take_queries, primary),
        ("cpu", take_cpu, primary),
        ("memory", take_memory, primary),
        ("payload", take_payload, primary),
    ]
    plan += [("load", take_load, other) for other in others] + [("queries", take_queries, other) for other in others]
    evidence: list[Evidence] = []
    notes: list[str] = []
    for kind, instrument, workload in plan:
        if workload.kind == "command" and kind != "load":
            continue
        await _take(crew, lane, f"{kind}@{workload.name}/{arm}", evidence, notes, instrument, commit, workload, arm)
    traced = [item for item in evidence if item.kind == "queries"]
    if traced and crew.workspace.target.database:
        await _explain(crew, lane, arm, traced[0], evidence, notes)
    return evidence, notes


async def _take(
    crew: Crew,
    lane: str,
    key: str,
    evidence: list[Evidence],
    notes: list[str],
    instrument: Instrument,
    commit: str,
    workload: Workload,
    arm: str,
) -> None:
    try:
        item = await crew.journal.effect(
            lane, key, Evidence, lambda: instrument(crew.workspace, commit, workload, arm), asked=commit
        )
    except (InstrumentError, ReplayMiss) as error:
        notes.append(f"{key}: {error}")
        crew.tell("warning", f"{key}: {error}")
        return
    evidence.append(item)
    crew.tell("measured", item.title, role="performance")


async def _explain(
    crew: Crew, lane: str, arm: str, traced: Evidence, evidence: list[Evidence], notes: list[str]
) -> None:
    try:
        item = await crew.journal.effect(
            lane, f"explain@{arm}", Evidence, lambda: explain_queries(crew.workspace, traced, arm_name=arm)
        )
        evidence.append(item)
        crew.tell("measured", item.title, role="performance")
    except (InstrumentError, ReplayMiss) as error:
        notes.append(f"explain@{arm}: {error}")
        crew.tell("warning", f"explain@{arm}: {error}")


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


async def measure_noise(crew: Crew, lane: str, commit: str) -> Duel:
    """The base against itself: how large a difference this machine shows where there is none."""

    async def run() -> Duel:
        workspace = crew.workspace
        return await run_duel(
            workspace, commit, commit, workspace.target.primary, name="noise", protocol=NOISE, floors={}
        )

    duel = await crew.journal.effect(lane, "noise", Duel, run, asked=commit)
    crew.tell("measured", f"noise floor measured: {duel.digest.splitlines()[0]}", role="performance")
    return duel


async def snapshot(state: RunState, crew: Crew) -> Update:
    """Extract the knowledge graph and let the memory-sync agent describe the system."""
    lane = f"{state['round']}/baseline/memory-sync"
    workspace = crew.workspace

    async def build() -> GraphSummary:
        async with quiet_lease(workspace):
            return await build_graph(workspace, await worktree_of(workspace, state["base"]))

    graph = await crew.journal.effect(lane, "graph", GraphSummary, build, asked=state["base"])
    brief = brief_snapshot(state["request"], workspace.target, graph.digest)
    try:
        done = await converse(SNAPSHOT, render(SNAPSHOT.prompt), brief, crew, lane)
    except (AgentFailed, ReplayMiss) as error:
        return Update(notes=[f"memory-sync: {error}; the knowledge graph stands without a description"])
    return Update(snapshot=to_snapshot(done.answer, graph.counts))


async def join_baseline(state: RunState, crew: Crew) -> Update:
    """Put measured shares onto the knowledge graph."""
    lane = f"{state['round']}/baseline/join"
    await crew.journal.effect(lane, "merge", str, lambda: _merge(crew, state["evidence"].values()))
    return Update()


async def _merge(crew: Crew, evidence: Iterable[Evidence]) -> str:
    merge_measurements(crew.workspace, evidence)
    return describe_paths(crew.workspace, 12)
