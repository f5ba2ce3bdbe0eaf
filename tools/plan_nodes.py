"""PostgreSQL's plan trees: what was read and thrown away, where the time went, what was estimated badly, what spilled.

Pure functions of `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)`.
"""

from collections.abc import Mapping
from typing import Any

from tools.plans import BIG_TABLE_ROWS, SELECTIVE, PlanFacts, Scan

Node = Mapping[str, Any]
MISJUDGED = 10.0
"""An estimate that is off by this factor is told."""
WORST = 3
"""Nodes named as the worst."""
_BUFFER_KB = 8
"""Size of a page, unless the server was built otherwise."""


def walk_plan(node: Node, depth: int = 0) -> list[tuple[int, Node]]:
    """A plan tree as rows with their depth."""
    rows: list[tuple[int, Node]] = [(depth, node)]
    for child in node.get("Plans", ()):
        rows += walk_plan(child, depth + 1)
    return rows


def _times(node: Node, name: str) -> float:
    """A value that the plan gives for each loop, over all loops."""
    return float(node.get(name, 0)) * float(node.get("Actual Loops", 1))


def _read(node: Node) -> float:
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return _times(node, "Actual Rows") + sum(_times(node, name) for name in removed)


def own_ms(node: Node) -> float:
    """Time in a node without what is below it."""
    below = sum(_times(child, "Actual Total Time") for child in node.get("Plans", ()))
    return max(0.0, _times(node, "Actual Total Time") - below)


def postgres_scans(plan: Node) -> list[Scan]:
    """Sequential scans of big tables that throw most of their rows away."""
    found = []
    for _, node in walk_plan(plan):
        if node.get("Node Type") not in ("Seq Scan", "Parallel Seq Scan"):
            continue
        kept, read = _times(node, "Actual Rows"), _read(node)
        if read >= BIG_TABLE_ROWS and kept <= SELECTIVE * read:
            found.append(Scan(node.get("Alias") or node["Relation Name"], round(read), round(kept)))
    return found


def misjudged(node: Node) -> float:
    """By what factor the planner was wrong about a node's rows, either way; 1 where it was right."""
    if not node.get("Actual Loops", 1):
        return 1.0
    estimate, actual = max(1.0, float(node.get("Plan Rows", 0))), max(1.0, float(node.get("Actual Rows", 0)))
    return max(estimate / actual, actual / estimate)


def spills(node: Node) -> bool:
    """Whether a node wrote to disk what did not fit into its memory."""
    own = float(node.get("Temp Written Blocks", 0)) > sum(
        float(child.get("Temp Written Blocks", 0)) for child in node.get("Plans", ())
    )
    return node.get("Sort Space Type") == "Disk" or float(node.get("Hash Batches", 1)) > 1 or own


def _name(node: Node) -> str:
    relation, index = node.get("Relation Name"), node.get("Index Name")
    by = f" by {index}" if relation and index else ""
    return f"{node['Node Type']} {relation or index or ''}".rstrip() + by


def sum_up_plan(plan: Node) -> PlanFacts:
    """Rows read, worst nodes, spills, estimates that were far off, sequential scans by size."""
    nodes = [node for _, node in walk_plan(plan)]
    whole = _times(plan, "Actual Total Time") or 1.0
    worst = sorted(nodes, key=own_ms, reverse=True)[:WORST]
    scans = sorted((node for node in nodes if "Seq Scan" in str(node.get("Node Type"))), key=_read, reverse=True)
    off = max(nodes, key=misjudged)
    return PlanFacts(
        read=round(sum(_read(node) for node in nodes if node.get("Relation Name"))),
        exact=True,
        worst=tuple((_name(node), own_ms(node) / whole) for node in worst if own_ms(node) >= whole / 10),
        spills=tuple(_name(node) for node in nodes if spills(node)),
        misjudged=(_name(off), misjudged(off)) if misjudged(off) >= MISJUDGED else None,
        scans=tuple((str(node.get("Relation Name")), round(_read(node))) for node in scans),
        kilobytes=_BUFFER_KB * round(sum(float(plan.get(f"Shared {kind} Blocks", 0)) for kind in ("Hit", "Read"))),
        indexes=frozenset(str(node["Index Name"]) for node in nodes if node.get("Index Name")),
    )


def render_postgres(plan: Node) -> list[str]:
    """A plan, a line a node: what it does, estimate against actual rows, time, spills, rows thrown away."""
    lines = []
    for depth, node in walk_plan(plan):
        actual, loops = float(node.get("Actual Rows", 0)), float(node.get("Actual Loops", 1))
        line = (
            f"{'  ' * depth}{_name(node)}"
            + f": {_times(node, 'Actual Total Time'):.2f} ms, {actual:g} rows × {loops:g} loops"
        )
        if actual and misjudged(node) > MISJUDGED:
            line += f" (estimated {float(node.get('Plan Rows', 0)):g})"
        if node.get("Rows Removed by Filter"):
            line += f", {node['Rows Removed by Filter']} rows thrown away by {str(node.get('Filter', 'a filter'))[:80]}"
        if spills(node):
            line += ", SPILLS TO DISK"
        lines.append(line)
    return lines
