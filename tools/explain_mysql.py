"""Plans, table sizes and index trials on a run's own copy of a MySQL or MariaDB database."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from tools.mysql import connect
from tools.mysql_plan import mysql_facts, mysql_scans, render_mysql
from tools.plans import Candidate, Explained, ForeignKey, Table, covered, find_candidate

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

LIMIT_S = 5.0
REPEATS = 3
_TABLES = """
SELECT t.table_name, group_concat(c.column_name ORDER BY c.ordinal_position SEPARATOR '\x1f'), max(t.table_rows)
FROM information_schema.tables t JOIN information_schema.columns c
  ON c.table_schema = t.table_schema AND c.table_name = t.table_name
WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' GROUP BY t.table_name
"""
_INDEXES = """
SELECT table_name, index_name, group_concat(column_name ORDER BY seq_in_index SEPARATOR '\x1f'), max(non_unique)
FROM information_schema.statistics WHERE table_schema = DATABASE() GROUP BY table_name, index_name
"""
_FOREIGN_KEYS = """
SELECT table_name, group_concat(column_name ORDER BY ordinal_position SEPARATOR '\x1f'), max(referenced_table_name)
FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL GROUP BY table_name, constraint_name
"""


class MysqlCopy:
    """An open copy. MariaDB says what each step really read; MySQL's plans hold estimates, and the digest says so."""

    engine = "mysql"

    def __init__(self, url: str) -> None:
        self._connection = connect(url)
        with self._connection.cursor() as cursor:
            cursor.execute("SET SESSION group_concat_max_len = 100000")
            cursor.execute("SELECT version()")
            self.maria = "mariadb" in str(self._one(cursor)[0]).lower()
            limit = f"max_statement_time = {LIMIT_S}" if self.maria else f"max_execution_time = {LIMIT_S * 1000:.0f}"
            cursor.execute(f"SET SESSION {limit}")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    @staticmethod
    def _one(cursor: "Cursor") -> Any:
        row = cursor.fetchone()
        assert row is not None
        return row

    def tables(self) -> dict[str, Table]:
        """All tables with their columns, sizes (the server's estimates) and indexes."""
        with self._connection.cursor() as cursor:
            indexes: dict[str, dict[str, tuple[str, ...]]] = {}
            unique: dict[str, set[str]] = {}
            keys: dict[str, list[ForeignKey]] = {}
            cursor.execute(_INDEXES)
            for table, index, columns, plain in cursor.fetchall():
                if columns is not None:
                    indexes.setdefault(table, {})[index] = tuple(columns.split("\x1f"))
                if not plain:
                    unique.setdefault(table, set()).add(index)
            cursor.execute(_FOREIGN_KEYS)
            for table, columns, other in cursor.fetchall():
                keys.setdefault(table, []).append(ForeignKey(tuple(columns.split("\x1f")), other))
            cursor.execute(_TABLES)
            return {
                name: Table(
                    name, int(rows or 0), tuple(columns.split("\x1f")), indexes.get(name, {}),
                    frozenset(unique.get(name, ())), tuple(keys.get(name, ())),
                )
                for name, columns, rows in cursor.fetchall()
            }  # fmt: skip

    @contextmanager
    def _reading(self) -> "Iterator[Cursor]":
        with self._connection.cursor() as cursor:
            cursor.execute("START TRANSACTION READ ONLY")
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")

    def _plan(self, cursor: "Cursor", sql: str, params: Any) -> dict[str, Any]:
        verb = "ANALYZE FORMAT=JSON" if self.maria else "EXPLAIN FORMAT=JSON"
        cursor.execute(f"{verb} {sql}", params or None)
        plan: dict[str, Any] = json.loads(self._one(cursor)[0])
        return plan

    def _rows_read(self, cursor: "Cursor") -> int:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _, value in cursor.fetchall())

    def _run(self, cursor: "Cursor", sql: str, params: Any) -> tuple[float, int]:
        times: list[float] = []
        rows = 0
        while len(times) < REPEATS and (not times or sum(times) < 1.0):
            began = time.perf_counter()
            cursor.execute(sql, params or None)
            rows = len(cursor.fetchall())
            times.append(time.perf_counter() - began)
        return median(times) * 1000, rows

    def _count_read(self, cursor: "Cursor", sql: str, params: Any) -> int:
        # Showing the counters moves them, by as much each time.
        idle = -self._rows_read(cursor) + self._rows_read(cursor)
        before = self._rows_read(cursor)
        cursor.execute(sql, params or None)
        cursor.fetchall()
        return max(0, self._rows_read(cursor) - before - idle)

    def look(self, sql: str, params: Any, tables: dict[str, Table]) -> Explained:
        """Plan and time of one query, and the index that it would want."""
        with self._reading() as cursor:
            plan = self._plan(cursor, sql, params)
            ms, rows = self._run(cursor, sql, params)
            read = self._count_read(cursor, sql, params)
        lines, facts = render_mysql(plan, self.maria), mysql_facts(plan, read)
        columns = {name: table.columns for name, table in tables.items()}
        for scan in mysql_scans(plan):
            wanted = find_candidate(sql, self.engine, scan.table, columns)
            if wanted is not None and not covered(wanted, tables[wanted.table].indexes):
                return Explained(lines, ms, rows, wanted, scan.rows, facts)
        return Explained(lines, ms, rows, facts=facts)

    def try_index(self, sql: str, params: Any, candidate: Candidate) -> tuple[float, list[str]]:
        """Create the index, time the query and show its plan, and drop the index."""
        with self._connection.cursor() as cursor:
            cursor.execute(candidate.ddl)
            try:
                return self._run(cursor, sql, params)[0], render_mysql(self._plan(cursor, sql, params), self.maria)
            finally:
                cursor.execute(candidate.drop)

    def run_once(self, sql: str, params: Any, *, writes: bool) -> float:
        """Milliseconds that one statement takes; what it writes is rolled back."""
        with self._connection.cursor() as cursor:
            cursor.execute("START TRANSACTION" if writes else "START TRANSACTION READ ONLY")
            try:
                began = time.perf_counter()
                cursor.execute(sql, params or None)
                cursor.fetchall()
                return (time.perf_counter() - began) * 1000
            finally:
                cursor.execute("ROLLBACK")

    def used_indexes(self, sql: str, params: Any) -> frozenset[str]:
        """Names of the indexes in the plan of one statement, which is not run."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN FORMAT=JSON {sql}", params or None)
            return mysql_facts(json.loads(self._one(cursor)[0]), 0).indexes

    def change(self, ddl: str) -> float:
        """Seconds that a change of the schema takes."""
        began = time.perf_counter()
        with self._connection.cursor() as cursor:
            cursor.execute(ddl)
        return time.perf_counter() - began

    def index_bytes(self, name: str) -> int | None:
        """Size of an index; None where the server keeps no such statistics or we may not read them."""
        import pymysql

        with self._connection.cursor() as cursor:
            try:
                cursor.execute(
                    "SELECT max(stat_value * @@innodb_page_size) FROM mysql.innodb_index_stats WHERE index_name = %s "
                    "AND database_name = DATABASE() AND stat_name = 'size'",
                    (name,),
                )
            except pymysql.MySQLError:
                return None
            size = self._one(cursor)[0]
            return None if size is None else int(size)
