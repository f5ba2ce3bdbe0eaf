"""A run's own copy of the target's data, opened for looking at plans and trying indexes, whatever the engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from perfcrew.errors import InstrumentError
from tools.database import copy_data
from tools.plans import Candidate, Explained, Table
from tools.workspace import Workspace


class Copy(Protocol):
    """An open copy; it is used from one thread at a time. Errors are the driver's own."""

    @property
    def engine(self) -> str:
        """`sqlite`, `postgresql` or `mysql`."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    def tables(self) -> dict[str, Table]:
        """All tables with their columns, sizes, indexes and foreign keys."""
        ...

    def look(self, sql: str, params: Any, tables: dict[str, Table]) -> Explained:
        """Plan and time of one query, and the index that it would want."""
        ...

    def try_index(self, sql: str, params: Any, candidate: Candidate) -> tuple[float, list[str]]:
        """Time (ms) and plan of one query with an index that is gone afterwards."""
        ...

    def run_once(self, sql: str, params: Any, *, writes: bool) -> float:
        """Milliseconds that one statement takes; what it writes is rolled back."""
        ...

    def used_indexes(self, sql: str, params: Any) -> frozenset[str]:
        """Names of the indexes in the plan of one statement, which is not run: writes have plans as well."""
        ...

    def change(self, ddl: str) -> float:
        """Seconds that a change of the schema takes, statistics included."""
        ...

    def index_bytes(self, name: str) -> int | None:
        """Size of an index; None where the engine does not tell."""
        ...


@asynccontextmanager
async def open_copy(workspace: Workspace, name: str, folder: Path) -> AsyncIterator[Copy]:
    """A fresh copy, migrated as the checkout in `folder` wants it, and removed afterwards.

    Raises:
        InstrumentError: the target has no database, or it can't be copied.
    """
    database = workspace.target.database
    if database is None:
        raise InstrumentError("the target description has no [database], so no query can be explained")
    data = await copy_data(workspace, name, folder)
    try:
        copy = await asyncio.to_thread(connect_copy, database.engine, data.url)
        try:
            yield copy
        finally:
            copy.close()
    finally:
        await data.drop()


def connect_copy(engine: str, url: str) -> Copy:
    """Open a database that is a copy already, by its URL."""
    # Each driver is imported where it is used.
    if engine == "sqlite":
        from tools.explain_sqlite import SqliteCopy

        return SqliteCopy(url)
    if engine == "mysql":
        from tools.explain_mysql import MysqlCopy

        return MysqlCopy(url)
    from tools.explain_postgres import PostgresCopy

    return PostgresCopy(url)
