"""The recipe as a state machine.

    START ─► intake ─┬─► performance_baseline ─┬─► baseline_join ─► architect ─► approval (if asked for) ─► coder
                     └─► memory_sync ──────────┘        │               ▲
                            ▲ (only the failed one) ◄───┘               │ (goals unmet, budget left)
                                                                        │
             ┌─► performance_validation ─┐                              │
    coder ───┼─► tester ─────────────────┼─► validation_join ─► judge ──┴─► report ─► END
             └─► security (if asked for) ┘        │
                     ▲ (only the failed one) ◄────┘

    No plan, a declined plan, or nothing kept: straight to report.

Joins are deferred nodes: they run once, when every branch that was started has ended. A failure in a branch is held
until its sibling has ended; then only the failed branch runs again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graphs.baseline import baseline, join_baseline, snapshot
from graphs.conclusion import deliver, judge
from graphs.design import approve, design
from graphs.implementation import implement
from graphs.intake import intake
from graphs.phase import Context, Node, Run, Work, failed_branches, given, join, node
from graphs.state import RunState
from graphs.validation import secure, test, validate
from perfcrew.records.base import Role

Recipe = CompiledStateGraph[RunState, Run, RunState, RunState]
BASELINE_BRANCHES = ("performance_baseline", "memory_sync")
VALIDATION_BRANCHES = ("performance_validation", "tester", "security")


@dataclass(frozen=True)
class Works:
    """The bodies of the nodes. Tests put others in their place to look at the wiring alone."""

    intake: Work = intake
    baseline: Work = baseline
    snapshot: Work = snapshot
    merge: Work = join_baseline
    design: Work = design
    approve: Work = approve
    implement: Work = implement
    validate: Work = validate
    test: Work = test
    secure: Work = secure
    judge: Work = judge
    deliver: Callable[[Context], Node] = deliver


def build(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    works: Works | None = None,
    *,
    begin: Any = None,
    context: Context = given,
) -> Recipe:
    """The compiled recipe. Every edge is here.

    Args:
        checkpointer: keeps the state between nodes.
        works: other bodies for the nodes.
        begin: a node before all others that fills the state, for hosts that start with an empty one.
        context: where nodes get the run's context from.
    """
    # A host that fills the state itself also wants a schema of the context, and ours holds live objects.
    graph = StateGraph(RunState, context_schema=Run if begin is None else None)
    _add_nodes(graph, works or Works(), context)
    if begin is not None:
        graph.add_node("begin", begin)
        graph.add_edge(START, "begin")
    graph.add_edge("begin" if begin is not None else START, "intake")
    for branch in BASELINE_BRANCHES:
        graph.add_edge("intake", branch)
        graph.add_edge(branch, "baseline_join")
    graph.add_conditional_edges("baseline_join", after_baseline, [*BASELINE_BRANCHES, "architect"])
    graph.add_conditional_edges("architect", after_design, ["approval", "coder", "report"])
    graph.add_conditional_edges("approval", after_approval, ["coder", "report"])
    graph.add_conditional_edges("coder", after_coding, [*VALIDATION_BRANCHES, "report"])
    for branch in VALIDATION_BRANCHES:
        graph.add_edge(branch, "validation_join")
    graph.add_conditional_edges("validation_join", after_validation, [*VALIDATION_BRANCHES, "judge"])
    graph.add_conditional_edges("judge", after_judgement, ["architect", "report"])
    graph.add_edge("report", END)
    return graph.compile(checkpointer=checkpointer, name="recipe")


def _add_nodes(graph: StateGraph[RunState, Run, RunState, RunState], works: Works, context: Context) -> None:
    nodes: tuple[tuple[str, str, Role | None, Work, str], ...] = (
        ("intake", "Prepare clone, environment, data and tests", None, works.intake, ""),
        ("performance_baseline", "Measure the baseline", "performance", works.baseline, "baseline"),
        ("memory_sync", "Capture the architecture", "memory-sync", works.snapshot, "baseline"),
        ("architect", "Rank bottlenecks and plan", "architect", works.design, ""),
        ("approval", "Ask for approval", None, works.approve, ""),
        ("coder", "Implement step by step", "coder", works.implement, ""),
        ("performance_validation", "Measure the composed branch", "performance", works.validate, "validation"),
        ("tester", "Hunt regressions", "tester", works.test, "validation"),
        ("security", "Review what the branch adds", "security", works.secure, "validation"),
        ("judge", "Judge the branch", None, works.judge, ""),
    )
    for name, title, role, work, group in nodes:
        graph.add_node(name, node(name, title, role, work, group=group, context=context))
    graph.add_node("baseline_join", join(BASELINE_BRANCHES, works.merge, context=context), defer=True)
    graph.add_node("validation_join", join(VALIDATION_BRANCHES, context=context), defer=True)
    graph.add_node("report", works.deliver(context))


def after_baseline(state: RunState) -> list[str]:
    """The failed branches again, or on to the architect."""
    return failed_branches(state, BASELINE_BRANCHES) or ["architect"]


def after_design(state: RunState) -> str:
    """No plan for this round: nothing to implement."""
    if not state["plans"] or state["plans"][-1].round != state["round"] or not state["plans"][-1].steps:
        return "report"
    return "approval" if state["request"].approve else "coder"


def after_approval(state: RunState) -> str:
    """A declined plan ends the run with what there is."""
    return "coder" if state["approved"] else "report"


def after_coding(state: RunState) -> list[str]:
    """A branch that is new since the last validation is validated; otherwise there is nothing to compare."""
    steps = {step.id for step in state["plans"][-1].steps}
    if not any(change.kept and change.step in steps for change in state["changes"]):
        return ["report"]
    return [name for name in VALIDATION_BRANCHES if name != "security" or state["request"].security]


def after_validation(state: RunState) -> list[str]:
    """The failed branches again, or on to the judge."""
    return failed_branches(state, VALIDATION_BRANCHES) or ["judge"]


def after_judgement(state: RunState) -> str:
    """The judge has opened another round, or the run ends."""
    return "architect" if not state["plans"] or state["round"] > state["plans"][-1].round else "report"
