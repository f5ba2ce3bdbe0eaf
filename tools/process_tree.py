"""Trees of processes: killing all of one, finding what left its group, ending what a crash left behind."""

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

MARK = "PERFCREW_PROCESS"
"""Environment variable by which the descendants of an unsandboxed process are found again."""
GONE_S = 10.0
"""How long the kernel may take to end a killed sandbox."""


class Member(NamedTuple):
    """A process of a tree: its folder below `/proc`, its session, its threads, its resident pages."""

    folder: Path
    session: int
    tasks: int
    resident: int


class Footprint(NamedTuple):
    """Memory in MB (10⁶ bytes).

    USS is what processes have to themselves: what ending them would free. PSS adds their part of shared pages; RSS
    counts a shared page once for each process.
    """

    uss: float
    pss: float
    rss: float


def read_footprint(pids: Iterable[int]) -> Footprint:
    """Memory of some processes together; those that have ended or can't be read count nothing."""
    uss = pss = rss = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            used = psutil.Process(pid).memory_full_info()
            # PSS is Linux's; elsewhere USS is the closest.
            uss, pss, rss = uss + used.uss, pss + getattr(used, "pss", used.uss), rss + used.rss
    return Footprint(uss / 1e6, pss / 1e6, rss / 1e6)


@dataclass
class Tree:
    """A process that we started and everything below it.

    Attributes:
        root: its process id; with a sandbox the sandbox's.
        mark: value of `MARK` in the environment of all of it; empty where there is none.
        report: where bubblewrap says which process is the first inside; None without a sandbox.
    """

    root: int
    mark: str = ""
    report: int | None = None
    _said: bytes = b""

    @property
    def first(self) -> int | None:
        """The first process inside the sandbox, with which the kernel ends all others there."""
        if self.report is not None and b"}" not in self._said:
            with contextlib.suppress(BlockingIOError):
                self._said += os.read(self.report, 4096)
        found = re.search(rb'"child-pid": *(\d+)', self._said)
        if found is None:
            return None
        pid = int(found[1])
        # Never a later process that was given the same number.
        with contextlib.suppress(ProcessLookupError):
            return pid if os.getpgid(pid) == self.root else None
        return None

    def pids(self) -> list[int]:
        """The program and its descendants as seen from outside, without the sandbox's own processes."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.report is None:
                family = psutil.Process(self.root).children(recursive=True)
                return [pid for pid in (self.root, *(child.pid for child in family)) if is_running(pid)]
            if (first := self.first) is not None:
                family = psutil.Process(first).children(recursive=True)
                return [child.pid for child in family if is_running(child.pid)]
        return []

    def signal(self, number: int) -> None:
        """Send a signal to the program and its descendants."""
        for pid in self.pids():
            _send(pid, number)

    def kill(self) -> None:
        """Kill it all. In a sandbox its first process goes first: the sandbox's end is then the end of everything."""
        if (first := self.first) is not None:
            _send(first, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.root, signal.SIGKILL)
        # A few turns, since a process may fork while we look.
        for _ in range(10 if self.mark else 0):
            found = list(_marked(self.mark))
            for stray in found:
                _send(stray, signal.SIGKILL)
            if not found:
                return

    async def gone(self) -> None:
        """Wait, after `kill`, until nothing inside the sandbox runs any more."""
        first = self.first
        with contextlib.suppress(TimeoutError):
            if first is not None:
                await asyncio.wait_for(wait_for_end(first), GONE_S)
        if self.report is not None:
            os.close(self.report)
            self.report, self._said = None, b""


def list_members(tree: Tree) -> list[Member]:
    """Every process of a tree that runs now, also those that left it by a double fork."""
    folders: list[Path]
    try:
        # The sandbox's own list holds its processes and no others, so it is short.
        inside = Path("/proc", str(tree.first or 0), "root", "proc")
        folders = [inside / name for name in os.listdir(inside) if name.isdigit()]  # noqa: PTH208  names alone
    except OSError:
        pids = {*tree.pids(), *(_marked(tree.mark) if tree.mark else ())}
        folders = [Path(f"/proc/{pid}") for pid in pids]
    members = []
    for folder in folders:
        with contextlib.suppress(OSError, IndexError):
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            members.append(Member(folder, *(int(fields[n]) for n in (3, 17, 21))))
    return members


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


async def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError:
        while is_running(pid):
            await asyncio.sleep(0.01)
        return
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _settle, ended)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _marked(mark: str) -> Iterator[int]:
    needle = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if needle in (folder / "environ").read_bytes().split(b"\0") and is_running(int(folder.name)):
                yield int(folder.name)


def _stat(pid: int) -> list[str]:
    # The command name, in brackets, may itself hold blanks and brackets.
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended: one that only waits for its parent to notice does not count."""
    try:
        return _stat(pid)[0] not in "ZX"
    except OSError:
        return False


def list_process(register: Path, pid: int, mark: str) -> Path | None:
    """List a process in a folder, so that `end_leftovers` finds it there; None if it has ended already."""
    register.mkdir(parents=True, exist_ok=True)
    path = register / f"{pid}.json"
    try:
        path.write_text(json.dumps({"pid": pid, "identity": _identity(pid), "mark": mark}))
    except OSError:
        return None
    return path


def _identity(pid: int) -> str:
    """What tells this process from a later one with the same number: boot and start time in clock ticks."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{_stat(pid)[19]}"


def end_leftovers(register: Path) -> int:
    """Kill what a crashed run left behind, and say how many that were. A number that was reused is left alone."""
    ended = 0
    for path in sorted(register.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            entry = json.loads(path.read_text())
            pid, mark = int(entry["pid"]), str(entry["mark"])
            strays = list(_marked(mark)) if mark else []
            with contextlib.suppress(OSError):
                if _identity(pid) == entry["identity"] and is_running(pid):
                    os.killpg(pid, signal.SIGKILL)
                    ended += 1
            for stray in strays:
                _send(stray, signal.SIGKILL)
        path.unlink(missing_ok=True)
    return ended
