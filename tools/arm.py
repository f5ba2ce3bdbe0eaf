"""Arms: a running version of the target, with a checkout, a port and a copy of the data of its own."""

import asyncio
import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from perfcrew.errors import InstrumentError
from tools.building import build_in, built
from tools.database import DataCopy, copy_data
from tools.environment import prepare_environment
from tools.git import reset, worktree_of
from tools.launch import Place, free_port, link_packages, prepare_launch, run_at
from tools.process import Process, start
from tools.process_tree import Footprint, end_leftovers, read_footprint
from tools.run_network import connect
from tools.server import reroute
from tools.snapshot import snapshot
from tools.workspace import Workspace

A = TypeVar("A")
POLL_S = 0.02
STOP_S = 30.0
LOG_LINES = 15
_in_use: Counter[Path] = Counter()
_locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()


@dataclass
class Arm:
    """A version of the target that runs. A target that serves nothing has neither process nor URL.

    Attributes:
        name: such as `base` or `candidate`.
        url: where it answers, without a slash at the end.
        place: its folders and placeholders, for running commands of the description beside it.
        ready_seconds: from its start to its first answer.
    """

    name: str
    commit: str
    url: str
    port: int
    workdir: Path
    data: DataCopy
    process: Process | None
    ready_seconds: float
    place: Place

    def pids(self) -> list[int]:
        """Ids of its processes as seen from here: the program first, then its descendants."""
        return self.process.pids() if self.process else []

    def cpu_seconds(self) -> float:
        """CPU time that its processes have used so far, children that have ended included.

        Read from the kernel's process clocks (nanoseconds); ended children count in clock ticks. No permission and no
        attaching is needed, and nothing is slowed down.
        """
        return sum(_cpu_seconds(pid) for pid in self.pids())

    def footprint(self) -> Footprint:
        """Memory of all its processes now."""
        return read_footprint(self.pids())

    def uss_mb(self) -> float:
        """Memory that would be freed if it ended now (unique set size), over all its processes; 1 MB is 10⁶ bytes."""
        return self.footprint().uss


def _cpu_seconds(pid: int) -> float:
    try:
        # The clock id of a whole process: see clock_getcpuclockid(3) and CPUCLOCK_SCHED in the kernel.
        own = time.clock_gettime((~pid << 3) | 2)
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return own + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def start_arm(
    workspace: Workspace,
    commit: str,
    name: str,
    *,
    worktree: Path | None = None,
    trace: Path | None = None,
    watch: str = "",
    cpus: frozenset[int] | None = None,
    database_port: int | None = None,
    data_of: str | None = None,
) -> AsyncIterator[Arm]:
    """Run a version of the target until the block ends; then all its processes are killed and its data is removed.

    Args:
        workspace: the run.
        commit: the version; a checkout of it that nobody uses is cleaned first.
        name: what to call it.
        worktree: take a copy of this worktree as it stands instead.
        trace: folder that the injected tracer writes to; None runs without it.
        watch: what the tracer looks at: see `tools.launch.Place`.
        cpus: cores it may use once it is ready; it starts on all of them, which is no part of what is compared.
        database_port: where on loopback it reaches its database server, in place of the server's own address.
        data_of: the commit whose migration made its data, where that is not its own: a rolling deploy.

    Raises:
        InstrumentError: it did not start, or gave no answer in time; the first line says why, its log follows.
    """
    env = await prepare_environment(workspace, commit)
    async with _sources(workspace, commit, worktree, env) as workdir:
        link_packages(env, workdir)
        made_by = await worktree_of(workspace, data_of) if data_of else workdir
        data = await copy_data(workspace, name, made_by, env, data_of or (commit if worktree is None else None))
        try:
            url = reroute(data.url, database_port) if database_port else data.url
            place = Place(env, workdir, data.scratch, data.folder, url, trace=trace, watch=watch)
            arm = Arm(name, commit, "", 0, workdir, data, None, 0.0, place)
            if trace is not None:
                trace.mkdir(parents=True, exist_ok=True)
            async with _serving(workspace, arm, cpus):
                yield arm
        finally:
            await data.drop()


class CandidateDown(InstrumentError):
    """The candidate does not become ready, though the base does on equal data."""


async def start_both(
    stack: AsyncExitStack,
    base: AbstractAsyncContextManager[A],
    candidate: AbstractAsyncContextManager[A],
    *,
    candidate_first: bool = False,
) -> tuple[A, A]:
    """Start two arms at once; the stack ends both.

    Args:
        stack: what ends them.
        base: the base.
        candidate: the candidate.
        candidate_first: the candidate gets a head start of a moment, where otherwise the base has it.

    Raises:
        CandidateDown: the candidate alone did not start.
        InstrumentError: the base did not start.
    """
    # Exceptions are collected, so that each arm is inside the stack before it unwinds.
    order = (candidate, base) if candidate_first else (base, candidate)
    started = await asyncio.gather(*(stack.enter_async_context(arm) for arm in order), return_exceptions=True)
    first, second = reversed(started) if candidate_first else started
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, InstrumentError):
        raise CandidateDown(str(second)) from second
    if isinstance(second, BaseException):
        raise second
    return first, second


@asynccontextmanager
async def _sources(workspace: Workspace, commit: str, worktree: Path | None, env: Path) -> AsyncIterator[Path]:
    if worktree is not None:
        async with snapshot(workspace, worktree) as copy:
            link_packages(env, copy)
            await build_in(workspace, copy, env)
            yield copy
        return
    if workspace.target.target.build is not None:
        async with snapshot(workspace, await built(workspace, commit)) as copy:
            yield copy
        return
    folder = await worktree_of(workspace, commit)
    async with _locks.setdefault(folder, asyncio.Lock()):
        if not _in_use[folder]:
            # What an earlier start wrote there must not warm or break this one.
            await reset(folder, commit)
        _in_use[folder] += 1
    try:
        yield folder
    finally:
        _in_use[folder] -= 1


@asynccontextmanager
async def _serving(workspace: Workspace, arm: Arm, cpus: frozenset[int] | None) -> AsyncIterator[None]:
    if not serves(workspace):
        yield
        return
    try:
        await _start_server(workspace, arm, cpus)
        yield
    finally:
        if arm.process is not None:
            if workspace.target.target.stop and arm.process.alive:
                with contextlib.suppress(InstrumentError):
                    await run_at(
                        workspace, arm.place, workspace.target.target.stop, timeout=STOP_S, network=workspace.reach
                    )
            await arm.process.stop()


def serves(workspace: Workspace) -> bool:
    """Whether the target is a server: one that is asked over HTTP, or that wants a port."""
    own = workspace.target.target
    texts = (own.start, *own.environment.values())
    asked = any(workload.kind != "command" for workload in workspace.target.workload)
    return asked or any("{port}" in text for text in texts)


async def _start_server(workspace: Workspace, arm: Arm, cpus: frozenset[int] | None) -> None:
    log = workspace.logs / f"{arm.data.folder.parent.name}.log"
    for attempt in (1, 2, 3):
        port = free_port(workspace)
        arm.place = replace(arm.place, port=port)
        arm.port, arm.url = port, f"http://127.0.0.1:{port}"
        launch = prepare_launch(workspace, arm.place, workspace.target.target.start, network=workspace.reach)
        began = time.monotonic()
        arm.process = await start(
            launch.argv, cwd=launch.cwd, environment=launch.variables, log=log, sandbox=launch.sandbox,
            register=workspace.processes,
        )  # fmt: skip
        problem = await _wait_ready(workspace, arm)
        arm.ready_seconds = time.monotonic() - began
        if not problem:
            if cpus:
                pin(arm.pids(), cpus)
            return
        await arm.process.stop(grace_s=0)
        text = log.read_text(errors="replace")
        # Someone else took the port between our choice and the server's.
        if attempt < 3 and "address already in use" in text.lower():
            log.unlink()
            continue
        lines = [line for line in text.splitlines() if line.strip()]
        last = f": {lines[-1].strip()}" if lines else ""
        shown = "\n".join(lines[-LOG_LINES:])
        raise InstrumentError(f"arm {arm.name}: {problem}{last} (log: {log})\n{shown}".rstrip())


def pin(pids: Sequence[int], cpus: frozenset[int]) -> None:
    """Keep processes, with all the threads that they have, to some cores; what they start later inherits it."""
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(task.name), cpus)


async def _wait_ready(workspace: Workspace, arm: Arm) -> str:
    """Ask until it answers; what is wrong where it does not. Any status below 500 shows that it is up."""
    settings = workspace.target.target
    assert arm.process is not None
    seen = "nothing listens on its port"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.ready_timeout_s):
            while arm.process.alive:
                try:
                    status = await _ask(arm.port, settings.ready)
                    if 100 <= status < 500:
                        return ""
                    seen = f"GET {settings.ready} was answered with status {status}"
                except (OSError, ValueError, asyncio.IncompleteReadError):
                    pass
                await asyncio.sleep(POLL_S)
            return f"it ended with exit code {arm.process.code} before it was ready"
    return f"not ready after {settings.ready_timeout_s:g} s: {seen}"


async def _ask(port: int, path: str) -> int:
    """The status of one plain GET request."""
    reader, writer = await connect("127.0.0.1", port)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        line = await reader.readline()
        return int(line.split()[1]) if line.startswith(b"HTTP/") else 0
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def clear_leftovers(workspace: Workspace) -> int:
    """Before a run goes on after a crash: end the processes it left, remove its arms' copies; how many it ended."""
    ended = end_leftovers(workspace.processes)
    for folder in (*(workspace.data / "arms").glob("*"), *(workspace.data / "snapshots").glob("*")):
        shutil.rmtree(folder, ignore_errors=True)
    return ended
