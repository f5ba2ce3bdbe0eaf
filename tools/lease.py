"""The quiet lease: whatever is timed holds it, and nothing heavy runs beside it."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from tools.workspace import Workspace

POLL_S = 0.02


@dataclass
class _Held:
    """A lease as its holder sees it. A task that outlives its parent's lease finds it no longer valid."""

    path: Path
    valid: bool = True


_held: ContextVar[_Held | None] = ContextVar("perfcrew_quiet_lease", default=None)


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock file, against other tasks and other processes alike. The kernel frees it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(POLL_S)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


@asynccontextmanager
async def quiet_lease(workspace: Workspace) -> AsyncIterator[None]:
    """Have the machine to oneself: one holder over all runs of a user.

    A task that holds it may take it again, and so may the tasks that it starts meanwhile: what runs beside each other
    below one lease is its holder's own decision.
    """
    path = workspace.home / "quiet.lease"
    outer = _held.get()
    if outer is not None and outer.valid and outer.path == path:
        yield
        return
    async with locked(path):
        held = _Held(path)
        _held.set(held)
        try:
            yield
        finally:
            held.valid = False
            _held.set(outer)
