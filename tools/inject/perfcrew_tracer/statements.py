"""Where statements are sent: SQLAlchemy, Django's cursors, and raw sqlite3, psycopg 3 and pymysql.

Raw drivers under an ORM are left alone: their caller is asked, so that nothing is counted twice.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from .record import StatementTrace, current, guarded, note_statement

_ORM = ("sqlalchemy", "django", "aiosqlite")


def _count(fetch: Callable[..., Any], rows: Any) -> int:
    # Some drivers give many rows as a tuple, as others give one: what was called tells which it is.
    if rows is None:
        return 0
    return len(rows) if getattr(fetch, "__name__", "") in ("fetchmany", "fetchall") else 1


def _note_fetch(statement: StatementTrace | None, started: float, fetch: Callable[..., Any], rows: Any) -> None:
    if statement is not None and statement.request.ms is None:
        statement.spent(time.perf_counter() - started, _count(fetch, rows))


def _hook_sqlalchemy(module: ModuleType) -> None:
    engine = sys.modules["sqlalchemy.engine"]
    event: Any = module.event

    def before(_c: Any, _cursor: Any, sql: Any, params: Any, context: Any, many: Any) -> None:
        statement = guarded(note_statement, sql, params, bool(many))
        if context is not None:
            context._perfcrew = statement
            context._perfcrew_started = time.perf_counter()

    def after(_c: Any, cursor: Any, _sql: Any, _params: Any, context: Any, _many: Any) -> None:
        statement = getattr(context, "_perfcrew", None)
        if statement is not None:
            written = getattr(cursor, "rowcount", None) if cursor.description is None else None
            statement.spent(time.perf_counter() - context._perfcrew_started, written)

    event.listen(engine.Engine, "before_cursor_execute", before)
    event.listen(engine.Engine, "after_cursor_execute", lambda *arguments: guarded(after, *arguments))
    strategies = sys.modules.get("sqlalchemy.engine.cursor")
    for name in ("CursorFetchStrategy", "BufferedRowCursorFetchStrategy"):
        strategy = getattr(strategies, name, None)
        for method in ("fetchone", "fetchmany", "fetchall"):
            if strategy is not None and method in vars(strategy):
                setattr(strategy, method, _timed_strategy(vars(strategy)[method]))


def _timed_strategy(fetch: Callable[..., Any]) -> Callable[..., Any]:
    # SQLite finds most of its rows while they are fetched: execution alone would hide a full scan.
    @functools.wraps(fetch)
    def fetching(self: Any, result: Any, *arguments: Any, **named: Any) -> Any:
        if current.get() is None:
            return fetch(self, result, *arguments, **named)
        started = time.perf_counter()
        rows = fetch(self, result, *arguments, **named)
        guarded(_note_fetch, getattr(getattr(result, "context", None), "_perfcrew", None), started, fetch, rows)
        return rows

    return fetching


def _hook_django(module: ModuleType) -> None:
    wrapper = module.CursorWrapper
    execute, execute_many = wrapper._execute, wrapper._executemany

    @functools.wraps(execute)
    def executing(self: Any, sql: Any, params: Any, *rest: Any) -> Any:
        return _timed(self, execute, (self, sql, params, *rest), sql, params, False)

    @functools.wraps(execute_many)
    def executing_many(self: Any, sql: Any, params: Any, *rest: Any) -> Any:
        return _timed(self, execute_many, (self, sql, params, *rest), sql, params, True)

    wrapper._execute, wrapper._executemany = executing, executing_many
    delegate = wrapper.__getattr__

    def getting(self: Any, name: str) -> Any:
        value = delegate(self, name)
        if name in ("fetchone", "fetchmany", "fetchall") and current.get() is not None:
            return functools.partial(_timed_fetch, self, value)
        return value

    wrapper.__getattr__ = getting


def _timed_fetch(cursor: Any, fetch: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    started = time.perf_counter()
    rows = fetch(*arguments, **named)
    guarded(_note_fetch, _of(cursor), started, fetch, rows)
    return rows


def _of(cursor: Any) -> StatementTrace | None:
    statement: StatementTrace | None = vars(cursor).get("_perfcrew")
    return statement


def _timed(cursor: Any, call: Callable[..., Any], arguments: tuple[Any, ...], sql: Any, params: Any, many: bool) -> Any:
    statement = guarded(note_statement, sql, params, many)
    guarded(setattr, cursor, "_perfcrew", statement)
    started = time.perf_counter()
    try:
        return call(*arguments)
    finally:
        if statement is not None:
            guarded(statement.spent, time.perf_counter() - started)


def _under_orm(frame: FrameType | None) -> bool:
    return frame is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] in _ORM


def _make_cursor(module: Any) -> type:
    class TracedCursor(module.Cursor):  # type: ignore[misc]
        def execute(self, sql: Any, parameters: Any = (), /) -> Any:
            return _timed(self, super().execute, (sql, parameters), sql, parameters, False)

        def executemany(self, sql: Any, parameters: Any, /) -> Any:
            return _timed(self, super().executemany, (sql, parameters), sql, None, True)

        def fetchone(self) -> Any:
            return _timed_fetch(self, super().fetchone)

        def fetchmany(self, *arguments: Any, **named: Any) -> Any:
            return _timed_fetch(self, super().fetchmany, *arguments, **named)

        def fetchall(self) -> Any:
            return _timed_fetch(self, super().fetchall)

        def __next__(self) -> Any:
            return _timed_fetch(self, super().__next__)

    return TracedCursor


def _hook_sqlite(module: Any) -> None:
    cursor_class = _make_cursor(module)

    class TracedConnection(module.Connection):  # type: ignore[misc]
        def cursor(self, factory: Any = cursor_class) -> Any:
            return super().cursor(factory)

        # From Python 3.11 on these make their cursor without asking `cursor`.
        def execute(self, *arguments: Any) -> Any:
            return self.cursor().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            return self.cursor().executemany(*arguments)

    connect = module.connect

    @functools.wraps(connect)
    def connecting(*arguments: Any, **named: Any) -> Any:
        # The factory is the sixth positional argument; a target that brings its own keeps it.
        if len(arguments) < 6 and "factory" not in named and not _under_orm(sys._getframe(1)):
            named["factory"] = TracedConnection
        return connect(*arguments, **named)

    module.connect = connecting
    module.dbapi2.connect = connecting


def _hook_psycopg(module: ModuleType) -> None:
    execute, execute_async = module.Cursor.execute, module.AsyncCursor.execute

    @functools.wraps(execute)
    def executing(self: Any, query: Any, params: Any = None, **named: Any) -> Any:
        if _under_orm(sys._getframe(1)):
            return execute(self, query, params, **named)
        statement = guarded(note_statement, query, params)
        started = time.perf_counter()
        try:
            return execute(self, query, params, **named)
        finally:
            if statement is not None:
                guarded(statement.spent, time.perf_counter() - started, self.rowcount)

    @functools.wraps(execute_async)
    async def executing_async(self: Any, query: Any, params: Any = None, **named: Any) -> Any:
        if _under_orm(sys._getframe(1)):
            return await execute_async(self, query, params, **named)
        statement = guarded(note_statement, query, params)
        started = time.perf_counter()
        try:
            return await execute_async(self, query, params, **named)
        finally:
            if statement is not None:
                guarded(statement.spent, time.perf_counter() - started, self.rowcount)

    module.Cursor.execute, module.AsyncCursor.execute = executing, executing_async


def _hook_pymysql(module: ModuleType) -> None:
    cursor = module.Cursor
    execute = cursor.execute

    @functools.wraps(execute)
    def executing(self: Any, query: Any, args: Any = None) -> Any:
        if _under_orm(sys._getframe(1)):
            return execute(self, query, args)
        statement = guarded(note_statement, query, args)
        started = time.perf_counter()
        try:
            return execute(self, query, args)
        finally:
            # Rows come with the answer: fetching them afterwards asks nobody.
            if statement is not None:
                guarded(statement.spent, time.perf_counter() - started, self.rowcount)

    cursor.execute = executing


HOOKS: dict[str, Callable[[ModuleType], None]] = {
    "sqlalchemy": _hook_sqlalchemy,
    "django.db.backends.utils": _hook_django,
    "sqlite3": _hook_sqlite,
    "psycopg": _hook_psycopg,
    "pymysql.cursors": _hook_pymysql,
}
