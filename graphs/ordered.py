"""A phase that was ordered by slash commands, as a graph of its own: the nodes of the recipe that it needs.

    START ─► intake ─► [baseline_join] ─┬─► one role ────┬─► join ─► [judge] ─► report ─► END
                                        └─► its sibling ─┘

Nodes are called as in the recipe, so that their lanes, cards and rows are the same.
"""

from collections.abc import Sequence

from langgraph.graph import END, START, StateGraph

from graphs.baseline import baseline, join_baseline, snapshot
from graphs.conclusion import deliver, judge
from graphs.design import design
from graphs.implementation import implement
from graphs.intake import intake
from graphs.phase import Run, Work, failed_branches, join, node
from graphs.state import RunState
from graphs.validation import secure, test, validate
from perfcrew.errors import UserError
from perfcrew.records.base import Role
from perfcrew.records.work import Order

Phase = StateGraph[RunState, Run, RunState, RunState]
SIDE_BY_SIDE: tuple[frozenset[Role], ...] = (
    frozenset({"performance", "memory-sync"}),
    frozenset({"performance", "tester", "security"}),
)
"""Roles that work in parallel where a user orders them for one phase."""
VALIDATION = 4
"""The recipe's number of that phase."""
_WORKS: dict[str, tuple[str, Work]] = {
    "performance_baseline": ("Measure the baseline", baseline),
    "memory_sync": ("Capture the architecture", snapshot),
    "architect": ("Rank bottlenecks and plan", design),
    "coder": ("Implement step by step", implement),
    "performance_validation": ("Measure the composed branch", validate),
    "tester": ("Hunt regressions", test),
    "security": ("Review what the branch adds", secure),
}


def group_orders(orders: Sequence[Order]) -> list[list[Order]]:
    """Orders phase by phase: neighbours that the recipe runs side by side, where the user put them into one phase."""
    groups: list[list[Order]] = []
    for order in orders:
        last = groups[-1] if groups else []
        together = {order.role, *(other.role for other in last)}
        fits = len(together) == len(last) + 1 and any(together <= roles for roles in SIDE_BY_SIDE)
        if last and order.phase is not None and order.phase == last[-1].phase and fits:
            last.append(order)
        else:
            groups.append([order])
    return groups


def node_of(order: Order, state: RunState) -> str:
    """The recipe's node for an order: what `/agent:performance` measures depends on whether something was changed."""
    if order.role == "performance":
        return "performance_validation" if state["head"] != state["base"] else "performance_baseline"
    return "memory_sync" if order.role == "memory-sync" else order.role


def build_phase(orders: Sequence[Order], state: RunState) -> Phase:
    """The graph of one phase. Every edge is here."""
    graph: Phase = StateGraph(RunState, context_schema=Run)
    branches = tuple(node_of(order, state) for order in orders)
    validates = not {"performance_validation", "tester", "security"}.isdisjoint(branches)
    before, after = "intake", "judge" if validates else "report"
    graph.add_node("intake", node("intake", "Prepare clone, environment, data and tests", None, intake))
    graph.add_edge(START, "intake")
    if "architect" in branches:
        before = "baseline_join"
        graph.add_node(before, node(before, "Merge", None, join_baseline))
        graph.add_edge("intake", before)
    group = ("validation" if validates else "baseline") if len(branches) > 1 else ""
    for name, order in zip(branches, orders, strict=True):
        title, work = _WORKS[name]
        graph.add_node(name, node(name, title, order.role, work, group=group))
        graph.add_edge(before, name)
        graph.add_edge(name, "join" if group else after)
    if group:
        graph.add_node("join", join(branches), defer=True)
        graph.add_conditional_edges(
            "join", lambda state: failed_branches(state, branches) or [after], [*branches, after]
        )
    if validates:
        graph.add_node("judge", node("judge", "Judge the branch", None, judge))
        graph.add_edge("judge", "report")
    graph.add_node("report", deliver())
    graph.add_edge("report", END)
    return graph


def admit(order: Order, state: RunState) -> str:
    """Why an order has nothing to do after what was done before it; empty where it has.

    Raises:
        UserError: something else has to be ordered first.
    """
    changed = state["head"] != state["base"]
    match order.role:
        case "architect" if not state["findings"] and not state["noise"]:
            raise UserError("/agent:architect needs a baseline: run /agent:performance first")
        case "architect" if not state["findings"]:
            return "nothing slow was found, so there is nothing to plan"
        case "coder" if not state["plans"] and any(row.name.startswith("architect") for row in state["phases"]):
            return "the architect gave no plan, so there is nothing to carry out"
        case "coder" if not state["plans"]:
            raise UserError("/agent:coder needs a plan: run /agent:architect first")
        case "tester" | "security" if not changed:
            return _nothing_changed(order, state)
        case "performance" if order.phase == VALIDATION and not changed:
            return _nothing_changed(order, state)
    return ""


def _nothing_changed(order: Order, state: RunState) -> str:
    if any(row.name.startswith("coder") for row in state["phases"]):
        return f"nothing was kept, so there is nothing for /agent:{order.role} to compare with the base"
    raise UserError(f"/agent:{order.role} compares a changed version with the base: run /agent:coder first")
