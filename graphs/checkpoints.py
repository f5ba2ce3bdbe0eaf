"""Checkpoints in SQLite: the state between nodes. Only our own record classes are read back from them."""

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graphs.state import Composed
from perfcrew import records
from perfcrew.records.base import Record
from tools.duel import Duel

CHECKPOINTS = "checkpoints.sqlite"


def record_classes() -> list[type[Record]]:
    """Every record class that can be part of the state."""
    classes: dict[str, type[Record]] = {"Composed": Composed, "Duel": Duel}
    for module in pkgutil.iter_modules(records.__path__, f"{records.__name__}."):
        members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        classes |= {name: value for name, value in members if issubclass(value, Record)}
    return list(classes.values())


@asynccontextmanager
async def open_checkpoints(folder: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """The checkpointer of one run. An unknown class in a checkpoint is refused, not imported."""
    async with AsyncSqliteSaver.from_conn_string(str(folder / CHECKPOINTS)) as saver:
        saver.serde = JsonPlusSerializer(allowed_msgpack_modules=record_classes())
        yield saver
