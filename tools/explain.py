"""Why a query is slow: its plan on the run's own copy, with the parameters that were traced, and an index tried there.

Never on a database of the user's. Writing statements are not explained: their plans would have to be run.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.base import Record
from perfcrew.records.evidence import DIGEST_CHARACTERS, Evidence
from perfcrew.records.facts import Row, number, pack_rows, text, unpack_rows
from tools.copies import Copy, open_copy
from tools.git import worktree_of
from tools.lease import quiet_lease
from tools.plans import Explained, PlanFacts, Table, bind, parse_select, tables_of
from tools.recollection import recall, remember
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

MAX_QUERIES = 12
MAX_SHOWN_PLAN, MAX_SHOWN_LATER = 8, 3
"""Steps shown of the plans that cost most, and of those after them."""
SHOWN_IN_FULL = 5
MAX_TABLES = 10


async def explain_queries(workspace: Workspace, queries: Evidence, *, arm_name: str) -> Evidence:
    """Plans of the traced queries that cost most, on a copy of the data.

    Args:
        workspace: the run's world.
        queries: what `trace_queries` found.
        arm_name: the arm that it found it on; names the evidence.

    Raises:
        InstrumentError: the target has no database, or no reading statement was traced.
    """
    if queries.artifact is None or not queries.measurements:
        raise InstrumentError("no statement was traced, so there is nothing to explain")
    texts = workspace.artifacts.get_json(queries.artifact)["statements"]
    statements = unpack_rows(queries.facts, "statement")
    wanted = _rank(statements, texts)
    if not wanted:
        raise InstrumentError("no reading statement was traced, so there is nothing to explain")
    folder = await worktree_of(workspace, queries.measurements[0].commit)
    async with quiet_lease(workspace), open_copy(workspace, f"explain-{arm_name}", folder) as copy:
        tables, rows = await asyncio.to_thread(_explain_all, copy, wanted, texts)
    where = queries.id.partition("@")[2]
    missing = [row for row in rows if row.get("index")]
    raw = {"queries": rows, "tables": [_table_json(table) for table in tables.values()]}
    known = [{key: row[key] for key in row if key not in ("plan", "after_plan")} for row in rows]
    evidence = Evidence(
        id=f"explain@{where}",
        kind="explain",
        title=f"{len(rows)} queries explained, {len(missing)} want an index that is missing",
        digest=fit_plans(rows, tables, render_reads(sum_reads(statements, rows))),
        artifact=workspace.artifacts.put_json(raw),
        facts=pack_rows("plan", known) | pack_rows("reads", sum_reads(statements, rows)),
    )
    remember(workspace, evidence, queries.measurements[0].commit, queries.measurements[0].workload)
    return evidence


async def recall_plans(workspace: Workspace, queries: Evidence, *, arm_name: str) -> Evidence:
    """What `explain_queries` found about a commit in this run; explained now if it was not yet."""
    asked = queries.measurements[0]
    known = recall(workspace, "explain", asked.commit, asked.workload)
    return known or await explain_queries(workspace, queries, arm_name=arm_name)


def sum_reads(statements: Sequence[Row], plans: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows read against rows returned, a request of each endpoint, over the statements whose plans tell.

    `read` is exact where every plan counted; `unknown` is the number of statements without a figure.
    """
    known = {str(plan["id"]): plan for plan in plans if plan.get("read") is not None}
    found: dict[str, Row] = {}
    for row in statements:
        sums = found.setdefault(
            text(row, "endpoint"),
            {"endpoint": text(row, "endpoint"), "read": 0.0, "returned": 0.0, "exact": 1, "unknown": 0},
        )
        plan = known.get(text(row, "id"))
        if plan is None:
            sums["unknown"] = number(sums, "unknown") + 1
            continue
        sums["read"] = number(sums, "read") + number(row, "calls") * float(plan["read"])
        sums["returned"] = number(sums, "returned") + number(row, "rows")
        sums["exact"] = int(bool(sums["exact"]) and bool(plan["read_exact"]))
    return [row for row in found.values() if number(row, "read")]


def _rank(statements: Sequence[Row], texts: dict[str, Any]) -> list[Row]:
    """Reading statements by their share of the workload's time, one row each."""
    best: dict[str, Row] = {}
    for row in statements:
        name = text(row, "id")
        samples = texts.get(name, {}).get("samples", [])
        if not samples or not samples[0]["sql"].lstrip(" (\n").upper().startswith(("SELECT", "WITH")):
            continue
        if name in best:
            merged = {key: number(best[name], key) + number(row, key) for key in ("share", "loop_share")}
            best[name] = {**best[name], **merged}
        else:
            best[name] = dict(row)
    return sorted(best.values(), key=lambda row: -number(row, "loop_share"))[:MAX_QUERIES]


def _explain_all(
    copy: Copy, wanted: Sequence[Row], texts: dict[str, Any]
) -> tuple[dict[str, Table], list[dict[str, Any]]]:
    tables = copy.tables()
    return tables, [_explain_one(copy, row, texts[text(row, "id")]["samples"], tables) for row in wanted]


def _explain_one(copy: Copy, row: Row, samples: Sequence[Any], tables: dict[str, Table]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": text(row, "id"), "endpoint": text(row, "endpoint"), "site": text(row, "site"),
        "calls": number(row, "calls"), "share": number(row, "share"), "sql": text(row, "sql"),
    }  # fmt: skip
    sample, problem = _look_at_samples(copy, samples, tables)
    if sample is None:
        return {**found, "problem": problem}
    sql, params, seen = sample
    found |= {"plan": seen.plan, "ms": seen.ms, "rows": seen.rows, "scanned": seen.scanned, **_flat(seen.facts)}
    if seen.candidate is None:
        return found
    lead = f"{seen.candidate.table}({seen.candidate.columns[0]})"
    columns = ",".join(seen.candidate.columns)
    found |= {"table": seen.candidate.table, "index": seen.candidate.ddl, "lead": lead, "columns": columns}
    try:
        after_ms, after_plan = copy.try_index(sql, params, seen.candidate)
    except Exception as error:  # noqa: BLE001  a driver's errors share no base; the plan stands without its trial
        return {**found, "problem": f"index not tried: {_first_line(error)}"}
    used = any(seen.candidate.name in step for step in after_plan)
    return {**found, "after_ms": after_ms, "after_plan": after_plan, "index_used": int(used)}


def _flat(facts: PlanFacts) -> Row:
    """Facts of a plan as a row holds them."""
    worst = ", ".join(f"{name} ({share:.0%})" for name, share in facts.worst)
    scans = ", ".join(f"{name} ({rows:,} rows)" for name, rows in facts.scans[:4])
    return {
        "read": facts.read, "read_exact": int(facts.exact), "worst": worst or None, "seq_scans": scans or None,
        "spills": ", ".join(facts.spills) or None, "kilobytes": facts.kilobytes,
        "misjudged": f"{facts.misjudged[0]}, {facts.misjudged[1]:.0f} times" if facts.misjudged else None,
        "indexes": ",".join(sorted(facts.indexes)) or None,
    }  # fmt: skip


def _look_at_samples(
    copy: Copy, samples: Sequence[Any], tables: dict[str, Table]
) -> tuple[tuple[str, Any, Explained] | None, str]:
    """The slowest of the traced calls; or why none could be explained."""
    best: tuple[str, Any, Explained] | None = None
    problem = ""
    for sample in samples:
        try:
            params = bind(sample["params"])
            seen = copy.look(sample["sql"], params, tables)
        except Exception as error:  # noqa: BLE001  a driver's errors share no base; the next sample may do
            problem = _first_line(error)
            continue
        if best is None or seen.ms > best[2].ms:
            best = (sample["sql"], params, seen)
    return best, problem


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _table_json(table: Table) -> dict[str, Any]:
    return {"name": table.name, "rows": table.rows, "columns": list(table.columns), "indexes": dict(table.indexes)}


def fit_plans(rows: Sequence[dict[str, Any]], tables: dict[str, Table], reads: str) -> str:
    """The digest with as many queries as it has room for, largest share first."""
    for shown in range(len(rows), 0, -1):
        digest = render_plans(rows[:shown], tables, left=len(rows) - shown) + reads
        if len(digest) <= DIGEST_CHARACTERS:
            break
    return digest


def render_plans(rows: Sequence[dict[str, Any]], tables: dict[str, Table], *, left: int = 0) -> str:
    """The digest: a few lines a query, largest share first; how many are left out; the tables that they read."""
    lines = [
        "Plans on a copy of the data, with traced parameters; times are of single queries there, without the rest."
    ]
    for place, row in enumerate(rows):
        lines.append(f"\n{row['id']} ({row['endpoint']}, {row['site']}): {row['calls']:g} calls a request")
        lines.append(f"  {row['sql'][:120]}")
        if "plan" not in row:
            lines.append(f"  not explained: {row['problem']}")
            continue
        lines.append(f"  {row['ms']:.2f} ms, {row['rows']} rows returned, {_tell_read(row)}")
        told = (("worst", "time goes into"), ("spills", "SPILLS TO DISK:"), ("misjudged", "estimate is off at"))
        lines += [f"  {words} {row[name]}" for name, words in told if row.get(name)]
        steps = MAX_SHOWN_PLAN if place < SHOWN_IN_FULL else MAX_SHOWN_LATER
        lines += [f"  {step[:130]}" for step in row["plan"][:steps]]
        if row.get("index"):
            lines.append(
                f"  reads {row['scanned']:,} rows of {row['table']} from end to end; candidate: {row['index']}"
            )
        if "after_ms" in row:
            lines.append(
                f"  tried on the copy: {row['ms']:.2f} → {row['after_ms']:.2f} ms, index "
                + ("used" if row["index_used"] else "NOT used")
            )
        elif row.get("problem"):
            lines.append(f"  {row['problem']}")
    if left:
        lines.append(f"\nand {left} more with smaller shares, in the raw file")
    lines.append("\nTables:")
    for table in sorted(tables.values(), key=lambda item: -item.rows)[:MAX_TABLES]:
        indexes = "; ".join(f"{name} ({', '.join(columns)})" for name, columns in table.indexes.items())
        lines.append(f"  {table.name}: {table.rows:,} rows; indexes: {indexes or 'none'}")
    return "\n".join(lines)


def render_reads(sums: Sequence[Row]) -> str:
    """Rows read against rows returned by endpoint, those that read most first."""
    if not sums:
        return ""
    lines = ["\nRows read against rows returned, a request:"]
    for row in sorted(sums, key=lambda item: -number(item, "read"))[:6]:
        least = "" if row["exact"] else "at least "
        rest = f", {number(row, 'unknown'):.0f} statements unknown" if row["unknown"] else ""
        returned = f"{number(row, 'returned'):,.0f} returned"
        lines.append(f"  {text(row, 'endpoint')}: {least}{number(row, 'read'):,.0f} read, {returned}{rest}")
    return "\n" + "\n".join(lines)


def _tell_read(row: Mapping[str, Any]) -> str:
    if row.get("read") is None:
        return "rows read unknown (the engine does not count them)"
    at_least = "" if row.get("read_exact") else "at least "
    size = f", {row['kilobytes']:,} kB of pages" if row.get("kilobytes") else ""
    return f"{at_least}{row['read']:,} rows read{size}"


class ExplainQuery(Record):
    """A reading query."""

    sql: str = Field(description="one SELECT, with ? or :name for parameters")
    params: list[Any] | dict[str, Any] = Field(default_factory=list, description="their values, in order or by name")


@tool(ExplainQuery)
async def explain_query(arguments: ExplainQuery, workspace: Workspace) -> ToolOutput:
    """Plan, time and row count of one SELECT on a copy of the application's data, and the index that it would want.

    With a worktree at hand, its migrations have been applied to the copy, so that a new index can be seen at work.
    """
    database = workspace.target.database
    if database is None:
        raise ToolError("the target has no database")
    query = parse_select(arguments.sql, database.engine)
    folder = workspace.worktree or await worktree_of(workspace, workspace.candidate or workspace.base_commit)
    sql, params = to_driver(arguments.sql, arguments.params, database.engine)
    try:
        async with quiet_lease(workspace), open_copy(workspace, "explain", folder) as copy:
            tables, row = await asyncio.to_thread(_explain_freely, copy, sql, params)
    except InstrumentError as error:
        raise ToolError(str(error)) from error
    if "plan" not in row:
        raise ToolError(f"not explained: {row['problem']}")
    read = {name: tables[name] for name in tables_of(query).values() if name in tables}
    return ToolOutput(content=render_plans([row], read))


def _explain_freely(copy: Copy, sql: str, params: Any) -> tuple[dict[str, Table], dict[str, Any]]:
    tables = copy.tables()
    row: Row = {"id": "query", "endpoint": "asked for", "site": "by hand", "calls": 1.0, "share": 1.0, "sql": sql}
    return tables, _explain_one(copy, row, [{"sql": sql, "params": params}], tables)


def to_driver(sql: str, params: Any, engine: str) -> tuple[str, Any]:
    """`?` and `:name` as the engine's driver wants them."""
    if engine == "sqlite" or not params:
        return sql, params
    text_ = sql.replace("%", "%%")
    if isinstance(params, dict):
        return re.sub(r"(?<![:\w]):([A-Za-z_]\w*)", r"%(\1)s", text_), params
    return text_.replace("?", "%s"), params
