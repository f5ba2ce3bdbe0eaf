"""Phase 0: everything that measuring needs, made once: clone, environment, pristine data, tests of the base."""

from agents.crew import Crew
from graphs.state import RunState, Update
from perfcrew.records.evidence import Check, Evidence
from perfcrew.records.work import Card
from tools.database import prepare_pristine
from tools.environment import prepare_environment
from tools.git import worktree_of
from tools.lease import quiet_lease
from tools.sandbox import available, describe, why_shared
from tools.target_tests import run_tests


async def intake(state: RunState, crew: Crew) -> Update:
    """Prepare the run's own copies and see whether the base passes its own tests."""
    workspace, base = crew.workspace, state["base"]

    async def prepare() -> str:
        async with quiet_lease(workspace):
            await worktree_of(workspace, base)
            crew.tell("note", "preparing the target's environment", phase="intake")
            await prepare_environment(workspace)
            if workspace.target.database:
                await prepare_pristine(workspace)
        return describe(confined=workspace.sandbox, shared=why_shared(workspace.network, workspace.load_workers))

    protection = await crew.journal.effect("intake", "prepare", str, prepare, asked=base, reapply=True)
    notes = [f"sandbox: {protection}"]
    if not (workspace.sandbox and available()):
        crew.tell("warning", protection, phase="intake")
    evidence: dict[str, Evidence] = {}
    checks: dict[str, Check] = {}
    if workspace.target.target.test:
        tests = await crew.journal.effect("intake", "tests", Evidence, lambda: run_tests(workspace, base, "base"))
        evidence[tests.id] = tests
        crew.tell("measured", f"base: {tests.title}", phase="intake")
        if tests.facts.get("passed_all") == 0:
            notes.append(f"the base fails its own tests: {tests.title}")
    titles = ("Measure the baseline", "Capture the architecture")
    board = {
        "performance_baseline-0": Card(id="performance_baseline-0", title=titles[0], role="performance", status="TODO"),
        "memory_sync-0": Card(id="memory_sync-0", title=titles[1], role="memory-sync", status="TODO"),
        "architect-0": Card(id="architect-0", title="Rank bottlenecks and plan", role="architect", status="BACKLOG"),
    }
    # Where commands order phases one by one, some of these have moved on already.
    board = {name: card for name, card in board.items() if name not in state["board"]}
    return Update(evidence=evidence, checks=checks, notes=notes, board=board)
