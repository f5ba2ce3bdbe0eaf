"""Plans, table sizes and index trials on a run's own copy of a PostgreSQL database."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tools.plans import Candidate, Explained, Table, covered, find_candidate, postgres_scans, render_postgres

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
SELECT t.relname, i.relname, array_agg(a.attname ORDER BY k.place)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') GROUP BY 1, 2
"""


class PostgresCopy:
    """An open copy. Every look happens in a transaction that is rolled back."""

    engine = "postgresql"

    def __init__(self, url: str) -> None:
        import psycopg

        # Client-side binding: EXPLAIN takes no parameters of its own.
        self._connection: Connection[Any] = psycopg.connect(url, cursor_factory=psycopg.ClientCursor, autocommit=True)
        # A fresh copy has no statistics of its own yet.
        self._connection.execute("ANALYZE")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def tables(self) -> dict[str, Table]:
        """All tables with their columns, sizes and indexes."""
        indexes: dict[str, dict[str, tuple[str, ...]]] = {}
        for table, index, columns in self._connection.execute(_INDEXES).fetchall():
            indexes.setdefault(table, {})[index] = tuple(columns)
        return {
            name: Table(name, max(0, round(rows)), tuple(columns or ()), indexes.get(name, {}))
            for name, columns, rows in self._connection.execute(_TABLES).fetchall()
        }

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
        rows = round(float(plan.get("Actual Rows", 0)))
        columns = {name: table.columns for name, table in tables.items()}
        lines = render_postgres(plan)
        for scan in postgres_scans(plan):
            wanted = find_candidate(sql, self.engine, scan.table, columns)
            if wanted is not None and not covered(wanted, tables[wanted.table].indexes):
                return Explained(lines, ms, rows, wanted, scan.rows)
        return Explained(lines, ms, rows)

    def try_index(self, sql: str, params: Any, candidate: Candidate) -> tuple[float, list[str]]:
        """Create the index, time the query and show its plan, and roll all of it back."""
        sql, params = positional(sql, params)
        with self._rolled_back(reading=False) as cursor:
            cursor.execute(candidate.ddl)
            self._analyse(cursor, sql, params)
            found = self._analyse(cursor, sql, params)
        return float(found["Execution Time"]), render_postgres(found["Plan"])


def positional(sql: str, params: Any) -> tuple[str, Any]:
    """The server's own `$1` as psycopg's named placeholders; everything else stays as it is."""
    if isinstance(params, dict) or not params or not re.search(r"\$\d", sql):
        return sql, params
    named = re.sub(r"\$(\d+)", r"%(p\1)s", sql.replace("%", "%%"))
    return named, {f"p{number}": value for number, value in enumerate(params, 1)}
