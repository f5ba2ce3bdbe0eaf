"""Plans, table sizes and index trials on a run's own copy of a PostgreSQL database."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tools.plan_nodes import postgres_scans, render_postgres, sum_up_plan
from tools.plans import Candidate, Explained, ForeignKey, Table, covered, find_candidate
from tools.run_network import from_here

if TYPE_CHECKING:
    from psycopg import ClientCursor, Connection

LIMIT_MS = 5000
_TABLES = """
SELECT c.relname, (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), c.reltuples
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
_INDEXES = """
SELECT t.relname, i.relname, array_agg(a.attname ORDER BY k.place), bool_or(x.indisunique), bool_and(x.indpred IS NULL)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND x.indexprs IS NULL GROUP BY 1, 2
"""
_FOREIGN_KEYS = """
SELECT t.relname, array_agg(a.attname ORDER BY k.place), r.relname
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid
CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
WHERE c.contype = 'f' GROUP BY c.oid, t.relname, r.relname ORDER BY 1, 2
"""


class PostgresCopy:
    """An open copy. Every look happens in a transaction that is rolled back."""

    engine = "postgresql"

    def __init__(self, url: str) -> None:
        import psycopg

        # Client-side binding: EXPLAIN takes no parameters of its own.
        self._connection: Connection[Any] = psycopg.connect(
            from_here(url), cursor_factory=psycopg.ClientCursor, autocommit=True
        )
        # A fresh copy has no statistics of its own yet.
        self._connection.execute("ANALYZE")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def tables(self) -> dict[str, Table]:
        """All tables with their columns, sizes and indexes."""
        indexes: dict[str, dict[str, tuple[str, ...]]] = {}
        unique: dict[str, set[str]] = {}
        keys: dict[str, list[ForeignKey]] = {}
        for table, index, columns, is_unique, whole in self._connection.execute(_INDEXES).fetchall():
            # A partial index serves some queries only: it covers nothing in general.
            indexes.setdefault(table, {})[index if whole else f"{index} (partial)"] = tuple(columns)
            if is_unique:
                unique.setdefault(table, set()).add(index)
        for table, columns, other in self._connection.execute(_FOREIGN_KEYS).fetchall():
            keys.setdefault(table, []).append(ForeignKey(tuple(columns), other))
        return {
            name: Table(
                name, max(0, round(rows)), tuple(columns or ()), indexes.get(name, {}),
                frozenset(unique.get(name, ())), tuple(keys.get(name, ())),
            )
            for name, columns, rows in self._connection.execute(_TABLES).fetchall()
        }  # fmt: skip

    @contextmanager
    def _rolled_back(self, *, reading: bool) -> "Iterator[ClientCursor[Any]]":
        cursor: Any = self._connection.cursor()
        cursor.execute("BEGIN READ ONLY" if reading else "BEGIN")
        try:
            cursor.execute(f"SET LOCAL statement_timeout = {LIMIT_MS}")
            yield cursor
        finally:
            cursor.execute("ROLLBACK")
            cursor.close()

    @staticmethod
    def _analyse(cursor: "ClientCursor[Any]", sql: str, params: Any) -> dict[str, Any]:
        import psycopg

        try:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params or None)
        except psycopg.errors.QueryCanceled as error:
            raise TimeoutError(f"over {LIMIT_MS / 1000:.0f} s") from error
        row = cursor.fetchone()
        assert row is not None
        plan: dict[str, Any] = row[0][0]
        return plan

    def look(self, sql: str, params: Any, tables: dict[str, Table]) -> Explained:
        """Plan and time of one query, and the index that it would want."""
        sql, params = positional(sql, params)
        with self._rolled_back(reading=True) as cursor:
            self._analyse(cursor, sql, params)
            found = self._analyse(cursor, sql, params)
        plan, ms = found["Plan"], float(found["Execution Time"])
        rows, facts = round(float(plan.get("Actual Rows", 0))), sum_up_plan(plan)
        columns = {name: table.columns for name, table in tables.items()}
        lines = render_postgres(plan)
        for scan in postgres_scans(plan):
            wanted = find_candidate(sql, self.engine, scan.table, columns)
            if wanted is not None and not covered(wanted, tables[wanted.table].indexes):
                return Explained(lines, ms, rows, wanted, scan.rows, facts)
        return Explained(lines, ms, rows, facts=facts)

    def try_index(self, sql: str, params: Any, candidate: Candidate) -> tuple[float, list[str]]:
        """Create the index, time the query and show its plan, and roll all of it back."""
        sql, params = positional(sql, params)
        with self._rolled_back(reading=False) as cursor:
            cursor.execute(candidate.ddl)
            self._analyse(cursor, sql, params)
            found = self._analyse(cursor, sql, params)
        return float(found["Execution Time"]), render_postgres(found["Plan"])

    def run_once(self, sql: str, params: Any, *, writes: bool) -> float:
        """Milliseconds that one statement takes on the server's side of the wire and ours; writes are rolled back."""
        sql, params = positional(sql, params)
        with self._rolled_back(reading=not writes) as cursor:
            began = time.perf_counter()
            cursor.execute(sql, params or None)
            if cursor.description is not None:
                cursor.fetchall()
            return (time.perf_counter() - began) * 1000

    def used_indexes(self, sql: str, params: Any) -> frozenset[str]:
        """Names of the indexes in the plan of one statement, which is not run."""
        sql, params = positional(sql, params)
        with self._rolled_back(reading=False) as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params or None)
            row = cursor.fetchone()
            assert row is not None
            return sum_up_plan(row[0][0]["Plan"]).indexes

    def change(self, ddl: str) -> float:
        """Seconds that a change of the schema takes."""
        began = time.perf_counter()
        self._connection.execute(ddl)
        return time.perf_counter() - began

    def index_bytes(self, name: str) -> int | None:
        """Size of an index."""
        row = self._connection.execute("SELECT pg_relation_size(to_regclass(quote_ident(%s)))", (name,)).fetchone()
        return None if row is None or row[0] is None else int(row[0])


def positional(sql: str, params: Any) -> tuple[str, Any]:
    """The server's own `$1` as psycopg's named placeholders; everything else stays as it is."""
    if isinstance(params, dict) or not params or not re.search(r"\$\d", sql):
        return sql, params
    named = re.sub(r"\$(\d+)", r"%(p\1)s", sql.replace("%", "%%"))
    return named, {f"p{number}": value for number, value in enumerate(params, 1)}
