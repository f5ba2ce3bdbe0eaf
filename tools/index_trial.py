"""What an index is worth: the workload's own statements, reads and writes, with it and without it, on two copies.

Both copies stay open and take turns, statement by statement, so that the machine's drift hits both. Writes are rolled
back: their time holds the upkeep of the index, not the commit.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from perfcrew.errors import InstrumentError, NothingToMeasure, ToolError
from perfcrew.quantiles import median
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, pack_rows, text, unpack_rows
from perfcrew.records.target import Workload
from tools.copies import Copy, open_copy
from tools.explain import recall_plans
from tools.git import worktree_of
from tools.index_figures import Trial, render_trial, to_raw, to_row
from tools.lease import quiet_lease
from tools.plans import Candidate, Table, bind, covered, quoted
from tools.queries import recall_queries
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

MAX_TRIALS = 4
"""Indexes tried of one workload."""
REPEATS = 9
BUDGET_S = 12.0
"""Seconds for one index's repeats; at least three are made."""
COPIED_ROWS = 100
"""Rows inserted to tell the price where the workload writes nothing to the table."""
READING = ("SELECT", "WITH")


@dataclass(frozen=True)
class Statement:
    """A statement of the workload: one of its traced calls stands for all."""

    id: str
    sql: str
    params: Any
    often: float
    """Calls for each request of the workload's mix."""
    writes: bool


async def try_indexes(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Each index that the workload's plans want, tried on all that the workload reads and writes.

    Facts: rows `trial` with `lead` (as in plan rows), `table`, `index`, `read_ms` and `read_after_ms` a request of the
    mix, `saved_ms` and its `spread_ms`, `saved_share` of those reads, `write_added_ms` and its spread, `written`,
    `bytes`, `build_ms`; of the queries that want it `share`, `site` and `endpoint` (the largest's), `queries`.

    Raises:
        InstrumentError: nothing was traced.
        NothingToMeasure: no index is wanted.
    """
    queries = await recall_queries(workspace, commit, workload, arm)
    plans = unpack_rows((await recall_plans(workspace, queries, arm_name=arm)).facts, "plan")
    engine = workspace.target.database.engine if workspace.target.database else ""
    wanted = wanted_indexes(plans, engine)
    if not wanted:
        raise NothingToMeasure(f"no query of workload {workload.name} wants an index, so there is none to try")
    statements = read_statements(workspace, queries)
    folder = await worktree_of(workspace, commit)
    trials = [await _try(workspace, folder, candidate, statements) for candidate in wanted]
    rows = [{**to_row(trial), **_places(trial.candidate, plans)} for trial in trials]
    raw = {"kind": "index_trial", "workload": workload.name, "trials": [to_raw(trial) for trial in trials]}
    best = max(number(row, "saved_ms") for row in rows)
    tried = f"{len(rows)} {'index' if len(rows) == 1 else 'indexes'} tried"
    return Evidence(
        id=f"index_trial@{workload.name}/{arm}", kind="index_trial",
        title=f"{workload.name} on {arm}: {tried}, the best saves {best:.2f} ms a request",
        digest="\n".join(render_trial(trial, workload.name) for trial in trials),
        artifact=workspace.artifacts.put_json(raw), facts=pack_rows("trial", rows),
    )  # fmt: skip


def _places(candidate: Candidate, plans: Sequence[Row]) -> Row:
    """Where the queries come from that want an index on the candidate's first column, and their share of the time."""
    lead = f"{candidate.table}({candidate.columns[0]})"
    mine = sorted((row for row in plans if text(row, "lead") == lead), key=lambda row: -number(row, "share"))
    return {
        "share": sum(number(row, "share") for row in mine), "site": text(mine[0], "site"),
        "endpoint": text(mine[0], "endpoint"), "queries": ",".join(text(row, "id") for row in mine),
    }  # fmt: skip


def wanted_indexes(plans: Sequence[Row], engine: str) -> list[Candidate]:
    """The candidates of explained queries, largest share first; what begins another one is left out."""
    shares: dict[tuple[str, tuple[str, ...]], float] = {}
    for row in plans:
        if text(row, "index"):
            key = text(row, "table"), tuple(text(row, "columns").split(","))
            shares[key] = shares.get(key, 0.0) + number(row, "share")
    ranked = sorted(shares, key=lambda key: -shares[key])
    kept = [
        (table, columns)
        for table, columns in ranked
        if not any(
            other == table and len(longer) > len(columns) and longer[: len(columns)] == columns
            for other, longer in ranked
        )
    ]
    return [Candidate(table, columns, engine) for table, columns in kept[:MAX_TRIALS]]


def read_statements(workspace: Workspace, queries: Evidence) -> list[Statement]:
    """The traced statements with the parameters of a traced call, those that could not be recorded left out."""
    assert queries.artifact is not None
    texts = workspace.artifacts.get_json(queries.artifact)["statements"]
    often: dict[str, float] = {}
    for row in unpack_rows(queries.facts, "statement"):
        often[text(row, "id")] = often.get(text(row, "id"), 0.0) + number(row, "mix_calls")
    found = []
    for name, calls in often.items():
        for sample in texts.get(name, {}).get("samples", []):
            try:
                params = bind(sample["params"])
            except ValueError:
                continue
            reads = sample["sql"].lstrip(" (\n").upper().startswith(READING)
            found.append(Statement(name, sample["sql"], params, calls, not reads))
            break
    return found


def touching(statements: Sequence[Statement], table: str) -> list[Statement]:
    """The statements that name a table: no other can gain or lose."""
    word = re.compile(rf"\b{re.escape(table)}\b", re.IGNORECASE)
    return [statement for statement in statements if word.search(statement.sql)]


async def _try(workspace: Workspace, folder: Path, candidate: Candidate, statements: Sequence[Statement]) -> Trial:
    async with quiet_lease(workspace), AsyncExitStack() as stack:
        without = await stack.enter_async_context(open_copy(workspace, "without-index", folder))
        indexed = await stack.enter_async_context(open_copy(workspace, "with-index", folder))
        try:
            return await asyncio.to_thread(_compare, without, indexed, candidate, statements)
        except Exception as error:
            raise InstrumentError(f"{candidate.ddl}: the trial broke off: {_first_line(error)}") from error


def _compare(without: Copy, indexed: Copy, candidate: Candidate, statements: Sequence[Statement]) -> Trial:
    trial = Trial(candidate)
    trial.build_s = indexed.change(candidate.ddl)
    trial.bytes = indexed.index_bytes(candidate.name)
    mine = touching(statements, candidate.table)
    reads = _runnable(without, [each for each in mine if not each.writes], trial)
    writes = _runnable(without, [each for each in mine if each.writes], trial)
    trial.written = "the workload's own writes, a request"
    if not writes:
        copied = _runnable(without, copy_rows(without.tables()[candidate.table], without.engine), trial)
        writes, trial.written = copied, f"{COPIED_ROWS} copied rows (the workload writes nothing to it)"
    trial.statements = len(reads)
    times: dict[str, dict[str, list[float]]] = {each.id: {"without": [], "with": []} for each in (*reads, *writes)}
    began = time.monotonic()
    for turn in range(REPEATS):
        if turn >= 3 and time.monotonic() - began > BUDGET_S:
            break
        for each in (*reads, *writes):
            pair = (("without", without), ("with", indexed))
            for name, copy in pair if turn % 2 else pair[::-1]:
                times[each.id][name].append(copy.run_once(each.sql, each.params, writes=each.writes))
    for total, group in ((trial.reads, reads), (trial.writes, writes)):
        for name in ("without", "with") if group else ():
            columns = ([ms * each.often for ms in times[each.id][name]] for each in group)
            total[name] = [sum(values) for values in zip(*columns, strict=True)]
    medians = {each.id: (median(times[each.id]["without"]), median(times[each.id]["with"])) for each in reads}
    gain = {each.id: each.often * (medians[each.id][0] - medians[each.id][1]) for each in reads}
    trial.wins = {name: medians[name] for name in sorted(gain, key=lambda name: -abs(gain[name]))}
    return trial


def _runnable(copy: Copy, statements: Sequence[Statement], trial: Trial) -> list[Statement]:
    """Those that run on a fresh copy; run once, which also fills the caches."""
    found = []
    for each in statements:
        try:
            copy.run_once(each.sql, each.params, writes=each.writes)
        except Exception as error:  # noqa: BLE001  a driver's errors share no base; the others are tried all the same
            trial.skipped.append(f"{each.id}: {_first_line(error)}")
            continue
        found.append(each)
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:150]


def copy_rows(table: Table, engine: str) -> list[Statement]:
    """An insert of rows that the table has already, with new keys: what writing costs where nothing writes.

    A table whose key is no single column gets none: its rows can't be repeated.
    """
    key = next((table.indexes[name] for name in ("primary key", "PRIMARY") if name in table.indexes), None)
    key = key or next((columns for name, columns in table.indexes.items() if name == f"{table.name}_pkey"), ())
    if len(key) != 1:
        return []
    names = ", ".join(quoted(column, engine) for column in table.columns if column not in key)
    own = quoted(table.name, engine)
    sql = f"INSERT INTO {own} ({names}) SELECT {names} FROM {own} LIMIT {COPIED_ROWS}"
    return [Statement("copied rows", sql, (), 1.0, True)]


class TryIndex(Record):
    """An index to try."""

    table: str
    columns: tuple[str, ...] = Field(min_length=1, max_length=8, description="in the index's order")


@tool(TryIndex)
async def try_index(arguments: TryIndex, workspace: Workspace) -> ToolOutput:
    """Try an index on copies of the application's data: time saved over all that the workloads read, time added to
    what they write, size. Nothing is kept of it."""
    database = workspace.target.database
    if database is None:
        raise ToolError("the target has no database")
    commit = workspace.candidate or workspace.base_commit
    candidate = Candidate(arguments.table, arguments.columns, database.engine)
    folder = workspace.worktree or await worktree_of(workspace, commit)
    parts = []
    try:
        async with quiet_lease(workspace):
            await _check(workspace, folder, candidate)
            for workload in workspace.target.workload:
                if workload.kind == "http":
                    queries = await recall_queries(workspace, commit, workload, "base")
                    trial = await _try(workspace, folder, candidate, read_statements(workspace, queries))
                    parts.append(render_trial(trial, workload.name))
    except InstrumentError as error:
        raise ToolError(str(error)) from error
    return ToolOutput(content="\n".join(parts) or "no workload sends requests, so there is nothing to try it on")


async def _check(workspace: Workspace, folder: Path, candidate: Candidate) -> None:
    async with open_copy(workspace, "explain", folder) as copy:
        tables = await asyncio.to_thread(copy.tables)
    table = tables.get(candidate.table)
    if table is None:
        raise ToolError(f"there is no table {candidate.table}; there is: {', '.join(sorted(tables))}")
    missing = [column for column in candidate.columns if column not in table.columns]
    if missing:
        raise ToolError(f"{candidate.table} has no column {missing[0]}; it has: {', '.join(table.columns)}")
    if covered(candidate, table.indexes):
        indexes = "; ".join(f"{name} ({', '.join(columns)})" for name, columns in table.indexes.items())
        raise ToolError(f"an index begins with these columns already: {indexes}")
