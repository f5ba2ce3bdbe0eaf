"""Indexes that help nobody, and foreign keys without one: from the catalogue and from what the workloads used."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, pack_rows, text
from perfcrew.records.target import Workload
from tools.copies import Copy, open_copy
from tools.git import worktree_of
from tools.index_trial import Statement, read_statements
from tools.lease import quiet_lease
from tools.plans import Table
from tools.queries import recall_queries
from tools.workspace import Workspace

SHOWN = 8


async def advise_schema(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Duplicate and unused indexes and foreign keys without an index, after all the workloads that send requests.

    Facts: rows `duplicate` (`table`, `index`, `covered_by`, `bytes`), `unused` (`table`, `index`, `bytes`) and
    `unindexed_key` (`table`, `columns`, `refers_to`, `rows`). What keeps values unique is never called unused, nor is
    what begins with a foreign key's columns: deleting from the other table needs it.

    Raises:
        InstrumentError: the target has no database, or nothing could be traced.
    """
    if workspace.target.database is None:
        raise InstrumentError("the target description has no [database], so there is no schema to look at")
    asked = [each for each in workspace.target.workload if each.kind == "http"] or [workload]
    traced = [await recall_queries(workspace, commit, each, arm) for each in asked]
    statements = [statement for queries in traced for statement in read_statements(workspace, queries)]
    counted = [workspace.artifacts.get_json(queries.artifact)["index_scans"] for queries in traced if queries.artifact]
    folder = await worktree_of(workspace, commit)
    async with quiet_lease(workspace), open_copy(workspace, f"schema-{arm}", folder) as copy:
        tables, used, blind, sizes = await asyncio.to_thread(_look, copy, statements)
    for scans in counted:
        used |= {name for name, times in (scans or {}).items() if times}
    rows = {
        "duplicate": find_duplicates(tables.values()), "unused": find_unused(tables.values(), used),
        "unindexed_key": find_unindexed_keys(tables.values()),
    }  # fmt: skip
    for row in (*rows["duplicate"], *rows["unused"]):
        row["bytes"] = sizes.get(text(row, "index"))
    raw = {"kind": "schema", "workloads": [each.name for each in asked], "used": sorted(used), "rows": rows,
           "not_explained": blind}  # fmt: skip
    title = ", ".join(f"{len(found)} {name.replace('_', ' ')}" for name, found in rows.items())
    return Evidence(
        id=f"schema@{workload.name}/{arm}", kind="schema", title=f"{len(tables)} tables: {title}",
        digest=render_schema(rows, [each.name for each in asked], len(statements), blind),
        artifact=workspace.artifacts.put_json(raw),
        facts={name: value for kind, found in rows.items() for name, value in pack_rows(kind, found).items()},
    )  # fmt: skip


def _look(
    copy: Copy, statements: Sequence[Statement]
) -> tuple[dict[str, Table], set[str], list[str], dict[str, int | None]]:
    """Tables, indexes that plans of the statements use, statements without a plan, and sizes of indexes."""
    tables = copy.tables()
    used: set[str] = set()
    blind = []
    for each in statements:
        try:
            used |= copy.used_indexes(each.sql, each.params)
        except Exception:  # noqa: BLE001  a driver's errors share no base; what was not seen is told
            blind.append(each.id)
    plain = {name for table in tables.values() for name in table.indexes if name not in table.unique}
    return tables, used, sorted(set(blind)), {name: copy.index_bytes(name) for name in plain}


def find_duplicates(tables: Iterable[Table]) -> list[Row]:
    """Indexes that another one of their table does the work of: it begins with the same columns in the same order."""
    found: list[Row] = []
    for table in tables:
        whole = {name: columns for name, columns in table.indexes.items() if not name.endswith("(partial)")}
        for name, columns in whole.items():
            if name in table.unique:
                continue
            for other, longer in whole.items():
                same = len(longer) == len(columns)
                # Of two equal ones the later goes, unless the other one keeps values unique.
                first = not same or other in table.unique or list(whole).index(other) < list(whole).index(name)
                if other != name and longer[: len(columns)] == columns and first:
                    found.append({"table": table.name, "index": name, "columns": ",".join(columns),
                                  "covered_by": other})  # fmt: skip
                    break
    return found


def find_unused(tables: Iterable[Table], used: set[str]) -> list[Row]:
    """Indexes that no statement used, those aside that keep values unique or serve a foreign key."""
    tables = list(tables)
    doubled = {text(row, "index"): text(row, "covered_by") for row in find_duplicates(tables)}
    # Whoever uses a duplicate would use the other one without it.
    used = used | {other for name, other in doubled.items() if name in used}
    found: list[Row] = []
    for table in tables:
        keys = [key.columns for key in table.foreign_keys]
        for name, columns in table.indexes.items():
            serves = any(columns[: len(key)] == key for key in keys)
            bare = name.removesuffix(" (partial)")
            if bare not in table.unique and bare not in used and not serves and name not in doubled:
                found.append({"table": table.name, "index": bare, "columns": ",".join(columns)})
    return found


def find_unindexed_keys(tables: Iterable[Table]) -> list[Row]:
    """Foreign keys whose columns begin no index, largest table first."""
    found: list[Row] = []
    for table in tables:
        for key in table.foreign_keys:
            begins = (set(columns[: len(key.columns)]) == set(key.columns) for columns in table.indexes.values())
            if not any(begins):
                found.append({"table": table.name, "columns": ",".join(key.columns), "refers_to": key.refers_to,
                              "rows": table.rows})  # fmt: skip
    return sorted(found, key=lambda row: -number(row, "rows"))


def render_schema(
    rows: Mapping[str, Sequence[Row]], workloads: Sequence[str], statements: int, blind: Sequence[str]
) -> str:
    """The digest."""
    lines = [f"Seen with {statements} statements of {', '.join(workloads)}."]
    lines += [
        f"duplicate index {row['index']} on {row['table']} ({row['columns']}): {row['covered_by']} begins alike"
        for row in rows["duplicate"][:SHOWN]
    ]
    lines += [
        f"index not used by these workloads: {row['index']} on {row['table']} ({row['columns']})"
        for row in rows["unused"][:SHOWN]
    ]
    lines += [
        f"foreign key without an index: {row['table']} ({row['columns']}) → {row['refers_to']}, "
        f"{number(row, 'rows'):,.0f} rows"
        for row in rows["unindexed_key"][:SHOWN]
    ]
    if len(lines) == 1:
        lines.append("every index is used or serves a constraint, and every foreign key has one")
    more = sum(max(0, len(found) - SHOWN) for found in rows.values())
    lines += [f"and {more} more"] if more else []
    lines += [f"not explained: {', '.join(blind[:6])}"] if blind else []
    if rows["unused"]:
        lines.append("Other users of the database may need what these workloads don't: ask before dropping.")
    return "\n".join(lines)
