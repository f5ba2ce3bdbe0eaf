"""Phase 1: what the application does now. Performance and memory-sync run side by side."""

from collections.abc import Awaitable, Callable, Iterable

from agents.agent import AgentFailed, converse
from agents.crew import Crew
from agents.memory_sync import SNAPSHOT, brief_snapshot, to_snapshot
from agents.performance import BASELINE, brief_baseline, check_baseline, to_findings
from graphs.measuring import take_all
from graphs.state import RunState, Update
from perfcrew.errors import ReplayMiss
from perfcrew.records.evidence import Evidence
from perfcrew.records.work import Finding
from prompts import render
from tools.detectors import counts, detect, measured_shares
from tools.duel import NOISE, Duel, run_duel
from tools.git import worktree_of
from tools.knowledge import GraphSummary, build_graph, describe_paths, merge_measurements
from tools.lease import quiet_lease


async def baseline(state: RunState, crew: Crew) -> Update:
    """Measure the base with every instrument, let detectors and the performance agent say what it means."""
    lane = f"{state['round']}/baseline/performance"
    evidence, notes = await measure(crew, lane, state["base"], "base", wide=True)
    noise = await measure_noise(crew, lane, state["base"])
    detected = detect(evidence)
    known = {item.id: item for item in evidence}
    doubtful = {item.id for item in evidence if not counts(item)}
    brief = brief_baseline(state["request"], crew.workspace.target, evidence, detected)
    findings: tuple[Finding, ...] = detected
    try:
        done = await converse(
            BASELINE, render(BASELINE.prompt), brief, crew, lane, lambda answer: check_baseline(answer, known)
        )
        findings = to_findings(done.answer, detected, measured_shares(evidence), doubtful)
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


async def measure(
    crew: Crew, lane: str, commit: str, arm: str, *, wide: bool = False
) -> tuple[list[Evidence], list[str]]:
    """Take every measurement of one arm; what can't be taken is noted and the rest goes on.

    Args:
        crew: who measures.
        lane: of the journal.
        commit: the version.
        arm: what to call it.
        wide: explain the statements of all workloads, as far as a model hears of it, and not of the primary one alone.
    """

    async def take(key: str, run: Callable[[], Awaitable[Evidence]]) -> Evidence:
        return await crew.journal.effect(lane, key, Evidence, run, asked=commit)

    def tell(kind: str, text: str) -> None:
        crew.tell(kind, text, role="performance")

    return await take_all(
        crew.workspace,
        commit,
        arm,
        take,
        tell,
        deep=False,
        also=lambda key: wide and crew.journal.heard(lane, key),
    )


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
