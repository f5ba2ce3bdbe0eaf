"""Plans of MySQL and MariaDB as JSON: what they read, and how. Pure functions.

MariaDB's `ANALYZE FORMAT=JSON` has what really happened (`r_rows`, `r_filtered`, for each of `r_loops`); MySQL's
`EXPLAIN FORMAT=JSON` has estimates under other names.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tools.plans import BIG_TABLE_ROWS, SELECTIVE, PlanFacts, Scan

MISJUDGED = 10.0
_SORTS = ("filesort", "temporary_table", "ordering_operation", "grouping_operation")


def _walk(node: Any, depth: int = 0) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Tables, sorts and temporary tables with their depth, in the plan's order."""
    if isinstance(node, list):
        for item in node:
            yield from _walk(item, depth)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "table" and isinstance(value, dict) and "table_name" in value:
            yield depth, "table", value
            yield from _walk(value, depth + 1)
        elif key in _SORTS and isinstance(value, dict):
            yield depth, key, value
            yield from _walk(value, depth + 1)
        elif isinstance(value, (dict, list)):
            yield from _walk(value, depth)


def _rows(table: Mapping[str, Any]) -> tuple[float, float]:
    """Rows read and rows kept over all loops: actual ones where the plan has them."""
    if table.get("r_rows") is not None:
        read = float(table["r_rows"]) * float(table.get("r_loops") or 1)
        return read, read * float(table.get("r_filtered") or 100) / 100
    read = float(table.get("rows") or table.get("rows_examined_per_scan") or 0)
    return read, read * float(table.get("filtered") or 100) / 100


def _tables(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [node for _, kind, node in _walk(plan) if kind == "table" and not str(node["table_name"]).startswith("<")]


def mysql_scans(plan: Mapping[str, Any]) -> list[Scan]:
    """Big tables that are read from end to end, most of it in vain."""
    found = []
    for table in _tables(plan):
        read, kept = _rows(table)
        # MySQL guesses what a filter keeps where it knows nothing: the guess says nothing against an index.
        wasteful = kept <= SELECTIVE * read or table.get("r_rows") is None
        if table.get("access_type") in ("ALL", "index") and read >= BIG_TABLE_ROWS and wasteful:
            found.append(Scan(str(table["table_name"]), round(read), round(kept)))
    return found


def mysql_facts(plan: Mapping[str, Any], read: int) -> PlanFacts:
    """Rows read as the server's handlers counted them, worst tables, spills, estimates that were far off."""
    tables = _tables(plan)
    times = {str(table["table_name"]): float(table.get("r_table_time_ms") or 0) for table in tables}
    whole = float(plan.get("query_block", {}).get("r_total_time_ms") or 0)
    scans = [
        (str(table["table_name"]), round(_rows(table)[0])) for table in tables if table.get("access_type") == "ALL"
    ]
    off = max(((str(table["table_name"]), _off(table)) for table in tables), key=lambda item: item[1], default=None)
    worst = sorted(times.items(), key=lambda item: -item[1])
    return PlanFacts(
        read=read,
        exact=True,
        worst=tuple((name, ms / whole) for name, ms in worst if whole and ms >= whole / 10)[:3],
        spills=tuple(kind for _, kind, node in _walk(plan) if float(node.get("r_sort_passes") or 0) > 0),
        misjudged=off if off is not None and off[1] >= MISJUDGED else None,
        scans=tuple(sorted(scans, key=lambda item: -item[1])),
        indexes=frozenset(str(table["key"]) for table in tables if table.get("key")),
    )


def _off(table: Mapping[str, Any]) -> float:
    if table.get("r_rows") is None or not table.get("r_loops"):
        return 1.0
    estimate, actual = max(1.0, float(table.get("rows") or 0)), max(1.0, float(table["r_rows"]))
    return max(estimate / actual, actual / estimate)


def render_mysql(plan: Mapping[str, Any], measured: bool) -> list[str]:
    """A plan, a line for each table and sort."""
    lines = [] if measured else ["estimates only: this server does not say what a plan really read"]
    for depth, kind, node in _walk(plan):
        indent = "  " * depth
        if kind != "table":
            spilled = ", SPILLS TO DISK" if float(node.get("r_sort_passes") or 0) > 0 else ""
            lines.append(f"{indent}{kind.replace('_', ' ')}{spilled}")
            continue
        read, kept = _rows(node)
        key = f" by {node['key']}" if node.get("key") else ""
        time = f", {float(node['r_table_time_ms']):.2f} ms" if node.get("r_table_time_ms") is not None else ""
        line = f"{indent}{node['table_name']}: {node.get('access_type', '')}{key}, reads {read:,.0f} rows{time}"
        if read and kept < read:
            line += f", keeps {kept:,.0f} by {str(node.get('attached_condition', 'a filter'))[:80]}"
        if _off(node) > MISJUDGED:
            line += f" (estimated {float(node.get('rows') or 0):g} a loop)"
        lines.append(line)
    return lines
