"""What the processes of one sandbox may use together: tasks, memory, disk. Looked at several times a second.

The kernel's own limits hold for a process or a user; the sum over a tree it holds only where control groups can be
made, which few users may. So this looks, and what uses too much is killed whole. A look costs well under a
millisecond: the sandbox's own process list, and the file system's free space.
"""

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tools.process_tree import Tree, list_members

LOOK_S = 0.1
LOOK_LOOSE_S = 1.0
"""Without a sandbox the whole machine's process list is searched."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Quota:
    """Limits of a tree of processes.

    Attributes:
        tasks: processes and threads.
        memory_bytes: proportional set size, which counts a shared page once.
        disk_bytes: what it may write and keep in its writable folders, deleted files that are still open included;
            never more than half of what was free there at the start.
    """

    tasks: int
    memory_bytes: int
    disk_bytes: int


class Confinement(Protocol):
    """What `tools.sandbox.Sandbox` offers here."""

    @property
    def contained(self) -> bool:
        """Whether the kernel ends every descendant with the first process."""
        ...

    @property
    def writable(self) -> tuple[Path, ...]:
        """Folders and files that it may change."""
        ...

    @property
    def quota(self) -> Quota:
        """What its processes may use together."""
        ...

    def wrap(self, argv: Sequence[str], report: int | None = None) -> list[str]:
        """The command line that runs `argv` inside, and where contained tells the first process to a descriptor."""
        ...


@dataclass(frozen=True)
class Start:
    """What lay there before a tree of processes began; it may write before it can be looked at for the first time.

    Attributes:
        time: seconds since the epoch.
        free: bytes free, by writable folder.
    """

    time: float
    free: Mapping[Path, int]


def take_stock(folders: Iterable[Path]) -> Start:
    """What is there now; to be asked before the first process is started."""
    spaces = ((folder, _free(folder)) for folder in folders)
    return Start(time.time(), {folder: free for folder, free in spaces if free is not None})


@dataclass
class Watch:
    """Looks after one tree of processes.

    Attributes:
        tree: whom.
        quota: what it may use.
        folders: where it may write.
        start: what was there before it began.
        exceeded: what it used too much of; empty while it did not.
        detached: whether a process was seen that had left the session in which the tree began, as a daemon does.
    """

    tree: Tree
    quota: Quota
    folders: tuple[Path, ...]
    start: Start
    exceeded: str = ""
    detached: bool = False
    _disk: int = 0
    _free: dict[Path, int] = field(default_factory=dict)
    _looked_at: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free = dict(self.start.free)
        self._disk = min([self.quota.disk_bytes, *(free // 2 for free in self._free.values())])

    async def kill_when_exceeded(self) -> None:
        """Look until the tree uses too much, then kill it. Runs until cancelled otherwise."""
        while not self.exceeded:
            await asyncio.sleep(LOOK_S if self.tree.report is not None else LOOK_LOOSE_S)
            self.exceeded = self.look()
        self.tree.kill()

    def look(self) -> str:
        """What is used too much of right now; empty where nothing is."""
        members = list_members(self.tree)
        # Seen from inside a sandbox, a session that began outside has no number.
        own = 0 if self.tree.report is not None else self.tree.root
        self.detached = self.detached or any(member.session != own for member in members)
        tasks = sum(member.tasks for member in members)
        if tasks > self.quota.tasks:
            return f"it ran over {self.quota.tasks} processes and threads at once"
        # The resident size counts shared pages for each process: it is cheap, and never less than the true figure.
        if sum(member.resident for member in members) * _PAGE > self.quota.memory_bytes:
            used = sum(_proportional(member.folder) for member in members)
            if used > self.quota.memory_bytes:
                return f"it used over {self.quota.memory_bytes >> 20} MiB of memory"
        if self._space_shrank() and self._written(member.folder for member in members) > self._disk:
            return f"it wrote over {self._disk >> 20} MiB to disk"
        return ""

    def _space_shrank(self) -> bool:
        """Whether a file system has lost so much space that this tree may be over its quota; others write there too."""
        shrank = False
        spaces = [(folder, free) for folder in self.folders if (free := _free(folder)) is not None]
        for folder, free in spaces:
            most = self._free[folder] = max(free, self._free.get(folder, free))
            lost = most - free
            # After a search that cleared the tree, it is searched again when as much again has gone.
            if lost > self._disk and lost > 1.25 * self._looked_at.get(folder, 0):
                self._looked_at[folder] = lost
                shrank = True
        return shrank

    def _written(self, members: Iterable[Path]) -> int:
        """Bytes on disk of files changed since the start, by the kernel's own time stamp, each counted once."""
        seen: dict[tuple[int, int], int] = {}
        for found in (*_files(self.folders), *_deleted(members)):
            if found.st_ctime >= self.start.time - 1:
                seen[found.st_dev, found.st_ino] = found.st_blocks * 512
        return sum(seen.values())


def _free(folder: Path) -> int | None:
    try:
        system = os.statvfs(folder)
    except OSError:
        return None
    return system.f_bfree * system.f_frsize


def _files(folders: Iterable[Path]) -> Iterator[os.stat_result]:
    for top in folders:
        for where, _, names in os.walk(top):
            for name in names:
                with contextlib.suppress(OSError):
                    yield os.lstat(f"{where}/{name}")


def _deleted(members: Iterable[Path]) -> Iterator[os.stat_result]:
    for folder in members:
        with contextlib.suppress(OSError):
            for name in os.listdir(folder / "fd"):  # noqa: PTH208  names alone
                with contextlib.suppress(OSError):
                    found = os.stat(folder / "fd" / name)  # noqa: PTH116
                    # A pipe has blocks of nothing, and a deleted file of a tmpfs is memory, counted there.
                    if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                        yield found


def _proportional(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
