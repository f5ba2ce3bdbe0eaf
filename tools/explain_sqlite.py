"""Plans, table sizes and index trials on a run's own copy of an SQLite database."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from statistics import median
from typing import Any

from perfcrew.errors import ToolError
from tools.plans import (
    BIG_TABLE_ROWS,
    Candidate,
    Explained,
    ForeignKey,
    Table,
    covered,
    find_candidate,
    parse_select,
    tables_of,
)
from tools.sqlite_plan import sqlite_facts, sqlite_scans

REPEATS = 5
LIMIT_S = 5.0
_STEPS = 100_000


class SqliteCopy:
    """An open copy. Time limits hold by SQLite's own progress handler."""

    engine = "sqlite"

    def __init__(self, url: str) -> None:
        # Used from one thread at a time, but not always from the same.
        self._connection = sqlite3.connect(
            url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
        )

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def tables(self) -> dict[str, Table]:
        """All tables with their columns, sizes and indexes."""
        names = [
            str(row[0])
            for row in self._connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {name: self._table(name) for name in names}

    def _table(self, name: str) -> Table:
        quoted = '"' + name.replace('"', '""') + '"'
        run = self._connection.execute
        columns = run(f"PRAGMA table_info({quoted})").fetchall()
        indexes, unique = {}, set()
        for row in run(f"PRAGMA index_list({quoted})").fetchall():
            name_, partial = str(row[1]), bool(row[4])
            parts = run('PRAGMA index_info("' + name_.replace('"', '""') + '")').fetchall()
            if any(part[2] is None for part in parts):
                continue
            # A partial index serves some queries only: it covers nothing in general.
            indexes[f"{name_} (partial)" if partial else name_] = tuple(str(part[2]) for part in parts)
            if row[2]:
                unique.add(name_)
        key = [str(column[1]) for column in sorted(columns, key=lambda column: int(column[5])) if column[5]]
        if key:
            indexes["primary key"] = tuple(key)
            unique.add("primary key")
        rows = int(run(f"SELECT count(*) FROM {quoted}").fetchone()[0])
        return Table(
            name, rows, tuple(str(column[1]) for column in columns), indexes, frozenset(unique), self._keys(quoted)
        )

    def _keys(self, quoted: str) -> tuple[ForeignKey, ...]:
        found: dict[int, list[tuple[str, str]]] = {}
        for row in self._connection.execute(f"PRAGMA foreign_key_list({quoted})").fetchall():
            found.setdefault(int(row[0]), []).append((str(row[2]), str(row[3])))
        return tuple(ForeignKey(tuple(column for _, column in parts), parts[0][0]) for parts in found.values())

    def explain(self, sql: str, params: Any) -> list[str]:
        """The plan's steps, indented by depth."""
        depths: dict[int, int] = {0: -1}
        steps = []
        for identifier, parent, _, text in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", params):
            depths[identifier] = depths.get(parent, -1) + 1
            steps.append("  " * depths[identifier] + str(text))
        return steps

    def run(self, sql: str, params: Any) -> tuple[float, int]:
        """Median time in ms and number of rows; a second of repeats at most."""
        times: list[float] = []
        rows = 0
        with self._limited():
            while len(times) < REPEATS and (not times or sum(times) < 1.0):
                began = time.perf_counter()
                rows = len(self._connection.execute(sql, params).fetchall())
                times.append(time.perf_counter() - began)
        return median(times) * 1000, rows

    @contextmanager
    def _limited(self) -> Iterator[None]:
        end = time.monotonic() + LIMIT_S
        self._connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise TimeoutError(f"over {LIMIT_S:.0f} s") from error
            raise
        finally:
            self._connection.set_progress_handler(None, 0)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Nothing can be written inside."""
        self._connection.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            self._connection.execute("PRAGMA query_only = OFF")

    def look(self, sql: str, params: Any, tables: dict[str, Table]) -> Explained:
        """Plan and time of one query, and the index that it would want."""
        sql, params = as_sqlite(sql, params)
        with self.reading():
            plan = self.explain(sql, params)
            ms, rows = self.run(sql, params)
        columns = {name: table.columns for name, table in tables.items()}
        facts = sqlite_facts(plan, tables, _aliases(sql), sql)
        for scan in sqlite_scans(plan):
            wanted = find_candidate(sql, self.engine, scan.table, columns)
            if wanted is None or tables[wanted.table].rows <= BIG_TABLE_ROWS:
                continue
            if not covered(wanted, tables[wanted.table].indexes):
                return Explained(plan, ms, rows, wanted, tables[wanted.table].rows, facts)
        return Explained(plan, ms, rows, facts=facts)

    def try_index(self, sql: str, params: Any, candidate: Candidate) -> tuple[float, list[str]]:
        """Create the index, time the query and show its plan, and drop the index."""
        sql, params = as_sqlite(sql, params)
        with closing(self._connection.cursor()) as cursor:
            with self._limited():
                cursor.execute(candidate.ddl)
            try:
                return self.run(sql, params)[0], self.explain(sql, params)
            finally:
                cursor.execute(candidate.drop)

    def run_once(self, sql: str, params: Any, *, writes: bool) -> float:
        """Milliseconds that one statement takes; what it writes is rolled back."""
        sql, params = as_sqlite(sql, params)
        with self._limited():
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                began = time.perf_counter()
                self._connection.execute(sql, params).fetchall()
                return (time.perf_counter() - began) * 1000
            finally:
                self._connection.execute("ROLLBACK")

    def used_indexes(self, sql: str, params: Any) -> frozenset[str]:
        """Names of the indexes in the plan of one statement, which is not run."""
        return sqlite_facts(self.explain(*as_sqlite(sql, params)), {}, {}, sql).indexes

    def change(self, ddl: str) -> float:
        """Seconds that a change of the schema takes."""
        began = time.perf_counter()
        self._connection.execute(ddl)
        return time.perf_counter() - began

    def index_bytes(self, name: str) -> int | None:
        """Size of an index; None where this SQLite was built without its page statistics."""
        try:
            row = self._connection.execute("SELECT sum(pgsize) FROM dbstat WHERE name = ?", (name,)).fetchone()
        except sqlite3.OperationalError:
            return None
        return None if row[0] is None else int(row[0])


def _aliases(sql: str) -> dict[str, str]:
    try:
        return tables_of(parse_select(sql, "sqlite"))
    except ToolError:
        return {}


def as_sqlite(sql: str, params: Any) -> tuple[str, Any]:
    """Django's placeholders as SQLite's own; everything else stays as it is."""
    if isinstance(params, dict):
        named = re.sub(r"%\((\w+)\)s", r":\1", sql)
        return (sql if named == sql else named.replace("%%", "%")), params
    if params and "?" not in sql and len(re.findall(r"(?<!%)%s", sql)) == len(params):
        return re.sub(r"(?<!%)%s", "?", sql).replace("%%", "%"), params
    return sql, params
