"""Processes: the only place that starts any. Each has a group of its own, and nothing of it outlives its end.

A process gets the environment it is given and no other. Ended, timed out or cancelled means that the whole tree is
killed: inside a sandbox the kernel does that with the process namespace; outside one the group is killed, and
whatever left the group is found by a mark in its environment.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess  # noqa: TID251  this is the one place
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from perfcrew.errors import InstrumentError
from tools.process_output import Capped, Finished
from tools.process_tree import MARK, Tree, list_process, wait_for_end
from tools.quota import Confinement, Watch, take_stock

DRAIN_S = 5.0
"""How long the output of a process that has ended may take to arrive."""
COMPANION_S = 2.0
"""How long a companion may take to end."""


def probe(argv: Sequence[str], timeout: float = 10.0) -> tuple[int, str]:
    """Run a short command at once and give its exit code and output; 127 where it can't be started."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath},
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode(errors="replace").strip()


@dataclass(frozen=True)
class Companion:
    """A program of ours that works beside this process."""

    _child: subprocess.Popen[bytes]

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def end(self) -> str:
        """Let it end; the first line that it said of errors."""
        try:
            said = self._child.communicate(timeout=COMPANION_S)[1]
        except subprocess.TimeoutExpired:
            self._child.kill()
            said = self._child.communicate()[1]
        return next(iter(said.decode(errors="replace").splitlines()), "")


def accompany(argv: Sequence[str], descriptor: int) -> Companion:
    """Start a program that ends by itself once its standard input, or its line to us, is closed.

    Args:
        argv: the program.
        descriptor: the one of ours that it gets, under the same number.

    Raises:
        InstrumentError: it can't be started.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath},
            pass_fds=(descriptor,),
            start_new_session=True,
        )
    except OSError as error:
        raise InstrumentError(f"{argv[0]}: can't be started: {error.strerror}; is it installed?") from error
    return Companion(child)


async def _spawn(
    argv: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    sandbox: Confinement | None,
    stdin: int,
    output: int | IO[bytes],
    prefix: Sequence[str] = (),
) -> tuple[asyncio.subprocess.Process, Tree]:
    if not cwd.is_dir():
        raise InstrumentError(f"{cwd}: the folder to run {argv[0]} in is missing")
    mark = secrets.token_hex(8) if sandbox is not None and not sandbox.contained else ""
    reading, writing = os.pipe() if sandbox is not None and sandbox.contained else (None, None)
    try:
        command = list(argv) if sandbox is None else sandbox.wrap(argv, writing)
        child = await asyncio.create_subprocess_exec(  # noqa: TID251  this is the one place
            *prefix,
            *command,
            cwd=cwd,
            env={**environment, **({MARK: mark} if mark else {})},
            stdin=stdin,
            stdout=output,
            stderr=output if output == subprocess.PIPE else subprocess.STDOUT,
            start_new_session=True,
            pass_fds=() if writing is None else (writing,),
        )
    except (OSError, InstrumentError) as error:
        if reading is not None:
            os.close(reading)
        if isinstance(error, InstrumentError):
            raise
        raise InstrumentError(f"{argv[0]}: can't be started: {error.strerror}; is it installed?") from error
    finally:
        if writing is not None:
            os.close(writing)
    if reading is not None:
        os.set_blocking(reading, False)
    return child, Tree(child.pid, mark, reading)


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    sandbox: Confinement | None = None,
    stdin: bytes | None = None,
    cap: int = 200_000,
) -> Finished:
    """Run a command to its end.

    Args:
        argv: the command; its first word is looked up on the given environment's PATH.
        cwd: working directory.
        environment: all that the process sees of an environment.
        timeout: seconds after which the whole tree is killed.
        sandbox: confines it; None for perfcrew's own tools.
        stdin: what it reads; nothing by default.
        cap: bytes kept of each output, half from its beginning and half from its end.

    Raises:
        InstrumentError: it can't be started.
    """
    began = time.monotonic()
    source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    stock = take_stock(sandbox.writable if sandbox is not None else ())
    child, tree = await _spawn(argv, cwd, environment, sandbox, source, subprocess.PIPE)
    assert child.stdout is not None and child.stderr is not None
    out, err = Capped(cap), Capped(cap)
    streams = asyncio.gather(out.read(child.stdout), err.read(child.stderr), _feed(child, stdin))
    watch = Watch(tree, sandbox.quota, sandbox.writable, stock) if sandbox is not None else None
    watching = asyncio.create_task(watch.kill_when_exceeded()) if watch else None
    timed_out = False
    try:
        async with asyncio.timeout(timeout):
            await wait_for_end(child.pid)
    except TimeoutError:
        timed_out = True
    finally:
        # First the kill, which needs no await: a second cancellation can't prevent it.
        tree.kill()
        if watching is not None:
            watching.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(streams, DRAIN_S)
        await child.wait()
        await tree.gone()
    assert child.returncode is not None
    seen = (watch.exceeded, watch.detached) if watch else ()
    return Finished(child.returncode, out.text(), err.text(), time.monotonic() - began, timed_out, *seen)


async def _feed(child: asyncio.subprocess.Process, content: bytes | None) -> None:
    if child.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(content or b"")
        await child.stdin.drain()
    child.stdin.close()


@dataclass
class Process:
    """A process that runs in the background until it is stopped.

    `pid` is that of the process that we started: inside a sandbox the sandbox, see `pids`. Output goes to `log`.
    """

    pid: int
    log: Path
    _child: asyncio.subprocess.Process
    _tree: Tree
    _listed: Path | None
    _watch: Watch | None = None
    _watching: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.returncode is None

    @property
    def code(self) -> int | None:
        """Exit code, None while it runs."""
        return self._child.returncode

    @property
    def exceeded(self) -> str:
        """The limit for which it was killed; empty where it kept within them."""
        return self._watch.exceeded if self._watch else ""

    def pids(self) -> list[int]:
        """Process ids, as seen from outside, of the program and its descendants, without the sandbox's own."""
        return self._tree.pids()

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        return await self._child.wait()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Ask the whole tree to end (SIGTERM), wait, then kill what is left."""
        try:
            if self.alive and grace_s > 0:
                self._tree.signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wait_for_end(self.pid), grace_s)
        finally:
            self._tree.kill()
            if self._watching is not None:
                self._watching.cancel()
            await self._child.wait()
            await self._tree.gone()
            if self._listed is not None:
                self._listed.unlink(missing_ok=True)


async def start(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    sandbox: Confinement | None = None,
    cpus: frozenset[int] | None = None,
    register: Path | None = None,
) -> Process:
    """Start a process in the background.

    Args:
        argv: the command.
        cwd: working directory.
        environment: all that the process sees of an environment.
        log: file that gets its output, appended.
        sandbox: confines it.
        cpus: cores it may use; all by default.
        register: folder where the process is listed until its end, so that `end_leftovers` finds it after a crash.

    Raises:
        InstrumentError: it can't be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pinned = ("/usr/bin/taskset", "-c", ",".join(map(str, sorted(cpus)))) if cpus else ()
    stock = take_stock(sandbox.writable if sandbox is not None else ())
    with log.open("ab") as output:
        child, tree = await _spawn(argv, cwd, environment, sandbox, subprocess.DEVNULL, output, pinned)
    listed = list_process(register, child.pid, tree.mark) if register is not None else None
    if sandbox is None:
        return Process(child.pid, log, child, tree, listed)
    watch = Watch(tree, sandbox.quota, sandbox.writable, stock)
    watching = asyncio.create_task(watch.kill_when_exceeded())
    watching.add_done_callback(lambda _: _tell(log, watch.exceeded))
    return Process(child.pid, log, child, tree, listed, watch, watching)


def _tell(log: Path, exceeded: str) -> None:
    """Whoever reads the log shall see why it ends there."""
    if exceeded:
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(f"\n[perfcrew ended it: {exceeded}]\n")
