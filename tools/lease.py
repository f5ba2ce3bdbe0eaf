"""The quiet lease: whatever is timed holds it, and nothing heavy runs beside it."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from tools.workspace import Workspace

POLL_S = 0.02
FILE = "quiet.lease"
"""The lease's file in perfcrew's home."""


@dataclass
class _Held:
    """A lease as its holder sees it. A task that outlives its parent's lease finds it no longer valid."""

    path: Path
    valid: bool = True


@dataclass(eq=False)
class Turns:
    """One of several jobs of this process: the time in which it stood still because another one held the lease."""

    blocked_s: float = 0.0
    """Seconds; branches of the job that wait at the same time count once."""
    _counted_until: float = 0.0

    def wait(self, path: Path, began: float) -> None:
        """Count the time since `began` where another job is the holder."""
        now = time.monotonic()
        if _holders.get(path) not in (None, self):
            self.blocked_s += max(0.0, now - max(began, self._counted_until))
        self._counted_until = now


_held: ContextVar[_Held | None] = ContextVar("perfcrew_quiet_lease", default=None)
TURNS: ContextVar[Turns | None] = ContextVar("perfcrew_turns", default=None)
"""The job that the current task belongs to, where several share a process."""
_holders: dict[Path, Turns | None] = {}


@asynccontextmanager
async def locked(path: Path, waited: Callable[[float], None] = lambda _: None) -> AsyncIterator[None]:
    """Hold a lock file, against other tasks and other processes alike. The kernel frees it when its holder dies.

    Args:
        path: the file.
        waited: told after each pause since when it lasted, on the monotonic clock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                began = time.monotonic()
                await asyncio.sleep(POLL_S)
                waited(began)
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
    path = workspace.home / FILE
    outer = _held.get()
    if outer is not None and outer.valid and outer.path == path:
        yield
        return
    turns = TURNS.get()
    async with locked(path, lambda began: turns.wait(path, began) if turns else None):
        held = _Held(path)
        _held.set(held)
        _holders[path] = turns
        try:
            yield
        finally:
            held.valid = False
            _held.set(outer)
            _holders.pop(path, None)
