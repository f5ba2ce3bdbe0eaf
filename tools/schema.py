"""The schema of a copy of the data, and plain SQL scripts run on it."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.records.base import Record
from tools.copies import connect_copy
from tools.migrations import is_bookkeeping
from tools.plans import quoted
from tools.run_network import from_here

_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


class Shape(Record):
    """What a schema holds, without the tables in which migration tools keep their books."""

    tables: dict[str, tuple[str, ...]]
    """Columns of each table."""
    indexes: dict[str, tuple[str, ...]]
    """Columns of each index, by `table.index`."""
    rows: dict[str, int]


def read_shape(engine: str, url: str) -> Shape:
    """Tables, indexes and numbers of rows of a copy."""
    copy = connect_copy(engine, url)
    try:
        tables = {name: table for name, table in copy.tables().items() if not is_bookkeeping(name)}
    finally:
        copy.close()
    return Shape(
        tables={name: tuple(table.columns) for name, table in sorted(tables.items())},
        indexes={
            f"{name}.{index}": tuple(columns)
            for name, table in sorted(tables.items())
            for index, columns in sorted(table.indexes.items())
        },
        rows={
            name: int(_run(engine, url, [f"SELECT count(*) FROM {quoted(name, engine)}"])[0]) for name in sorted(tables)
        },
    )


def differ(one: Shape, other: Shape) -> list[str]:
    """How two schemas differ, a line each."""
    told = []
    for what in ("tables", "indexes", "rows"):
        mine, theirs = getattr(one, what), getattr(other, what)
        told += [f"{what}: {name} {_tell(mine.get(name))} against {_tell(theirs.get(name))}"
                 for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]  # fmt: skip
    return told


def _tell(value: Any) -> str:
    return "nothing" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)


def run_script(engine: str, url: str, script: str) -> None:
    """Run an SQL script on a copy, statement by statement.

    Raises:
        InstrumentError: a statement failed; the message names it.
    """
    _run(engine, url, list(split_script(script)))


def split_script(script: str) -> Iterator[str]:
    """The statements of a script. One with dollar quotes is a single one, as PostgreSQL takes several at once."""
    if "$$" in script:
        yield script
        return
    part = ""
    for piece in re.split(r"(?<=;)", _COMMENT.sub("", script)):
        part += piece
        if sqlite3.complete_statement(part):
            yield part.strip()
            part = ""
    if part.strip():
        yield part.strip()


def _run(engine: str, url: str, statements: list[str]) -> tuple[Any, ...]:
    """Run statements in their order; the first row of the last one."""
    statement, row = "", None
    try:
        with closing(_connect(engine, url)) as connection:
            for statement in statements:
                cursor = connection.cursor()
                cursor.execute(statement)
                row = cursor.fetchone() if cursor.description else None
    except Exception as error:
        raise InstrumentError(f"{' '.join(statement.split())[:120]}: {str(error).splitlines()[0]}") from error
    return tuple(row or ())


def _connect(engine: str, url: str) -> Any:
    if engine == "sqlite":
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        # A script that a model wrote runs in our own process here: it must not open another file.
        connection.set_authorizer(_stay_inside)
        return connection
    if engine == "mysql":
        from tools.mysql import connect

        return connect(url)
    import psycopg

    return psycopg.connect(from_here(url), autocommit=True)


def _stay_inside(action: int, *_: Any) -> int:
    # VACUUM INTO attaches its file as well.
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK
