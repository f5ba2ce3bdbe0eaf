"""SQLite's query plans: steps of text, from which little is known of rows. Pure functions."""

import re
from collections.abc import Mapping, Sequence

from tools.plans import PlanFacts, Scan, Table

_SQLITE_SCAN = re.compile(r"^SCAN (?:TABLE )?(?P<table>\w+)(?: AS (?P<alias>\w+))?(?P<rest>.*)$")


def sqlite_scans(plan: Sequence[str]) -> list[Scan]:
    """Tables that a SQLite plan reads from end to end, an index instead of the table included."""
    found = []
    for step in plan:
        match = _SQLITE_SCAN.match(step.strip())
        if match and "VIRTUAL TABLE" not in step and match["table"] not in ("CONSTANT", "SUBQUERY"):
            found.append(Scan(match["alias"] or match["table"]))
    return found


_SQLITE_INDEX = re.compile(r"USING (?:COVERING )?INDEX (\S+)")


def sqlite_facts(plan: Sequence[str], tables: Mapping[str, Table], aliases: Mapping[str, str], sql: str) -> PlanFacts:
    """What a SQLite plan tells of rows read: a lower bound, as the engine counts none.

    The outermost table is read to its end where the plan scans it, unless a LIMIT may stop it early; of tables that
    are searched nothing is known.
    """
    steps = [step for step in plan if step.strip().startswith(("SCAN", "SEARCH"))]
    scans = [(aliases.get(scan.table, scan.table), scan) for scan in sqlite_scans(plan)]
    sizes = [(name, tables[name].rows) for name, _ in scans if name in tables]
    sorted_first = any("USE TEMP B-TREE" in step for step in plan)
    stops_early = bool(re.search(r"\bLIMIT\b", sql, re.I)) and not sorted_first
    outermost = bool(steps) and steps[0].strip().startswith("SCAN") and bool(sizes) and not stops_early
    indexes = frozenset(name for step in plan for name in _SQLITE_INDEX.findall(step))
    return PlanFacts(
        read=sizes[0][1] if outermost else None,
        scans=tuple(sorted(sizes, key=lambda item: -item[1])),
        spills=(),
        indexes=indexes,
    )
