"""Processes: the only place that starts any. Each has a group of its own, and nothing of it outlives its end.

A process gets the environment it is given and no other. Ended, timed out or cancelled means that the whole tree is
killed: inside a sandbox the kernel does that with the process namespace; outside one the group is killed, and
whatever left the group is found by a mark in its environment.
"""

import asyncio
import contextlib
import os
import re
import secrets
import shlex
import signal
import subprocess  # noqa: TID251  this is the one place
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import psutil

from perfcrew.errors import InstrumentError, UserError
from tools.process_output import Capped
from tools.process_tree import MARK, is_running, kill_tree, list_process

DRAIN_S = 5.0
"""How long the output of a process that has ended may take to arrive."""


class Confinement(Protocol):
    """What `tools.sandbox.Sandbox` offers here."""

    @property
    def contained(self) -> bool:
        """Whether the kernel ends every descendant with the first process."""
        ...

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside."""
        ...


@dataclass(frozen=True)
class Finished:
    """A process that has ended. `code` is negative for a signal, as in `subprocess`."""

    code: int
    out: str
    err: str
    seconds: float
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Whether it ended in time with exit code 0."""
        return self.code == 0 and not self.timed_out

    @property
    def last_line(self) -> str:
        """The last line that says anything, from the error output if there is one."""
        lines = [line.strip() for text in (self.out, self.err) for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else "no output"


def fill(template: str, placeholders: Mapping[str, str]) -> list[str]:
    """A command line from its template: split as a shell would, `{name}` replaced, `{{` and `}}` for plain braces.

    Only lower-case names are placeholders, so that `${HOME}` inside `sh -c '…'` stays as it is.

    Raises:
        UserError: a quote is not closed, the command is empty, or a placeholder is unknown.
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] not in placeholders:
            known = ", ".join(f"{{{name}}}" for name in sorted(placeholders))
            raise UserError(f"command {template!r}: unknown placeholder {{{match[1]}}}; known here: {known}")
        return placeholders[match[1]]

    try:
        words = shlex.split(template)
    except ValueError as error:
        raise UserError(f"command {template!r}: {error}") from error
    if not words:
        raise UserError("a command is empty")
    return [re.sub(r"\{\{|\}\}|(?<!\$)\{([a-z_]+)\}", replace, word) for word in words]


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


async def _spawn(
    argv: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    sandbox: Confinement | None,
    stdin: int,
    output: int | IO[bytes],
    prefix: Sequence[str] = (),
) -> tuple[asyncio.subprocess.Process, str]:
    mark = secrets.token_hex(8) if sandbox is not None and not sandbox.contained else ""
    command = list(argv) if sandbox is None else sandbox.wrap(argv)
    if not cwd.is_dir():
        raise InstrumentError(f"{cwd}: the folder to run {argv[0]} in is missing")
    try:
        child = await asyncio.create_subprocess_exec(  # noqa: TID251  this is the one place
            *prefix,
            *command,
            cwd=cwd,
            env={**environment, **({MARK: mark} if mark else {})},
            stdin=stdin,
            stdout=output,
            stderr=output if output == subprocess.PIPE else subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise InstrumentError(f"{argv[0]}: can't be started: {error.strerror}; is it installed?") from error
    return child, mark


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
    child, mark = await _spawn(argv, cwd, environment, sandbox, source, subprocess.PIPE)
    assert child.stdout is not None and child.stderr is not None
    out, err = Capped(cap), Capped(cap)
    streams = asyncio.gather(out.read(child.stdout), err.read(child.stderr), _feed(child, stdin))
    timed_out = False
    try:
        async with asyncio.timeout(timeout):
            await _exited(child)
    except TimeoutError:
        timed_out = True
    finally:
        # First the kill, which needs no await: a second cancellation can't prevent it.
        kill_tree(child.pid, mark)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(streams, DRAIN_S)
        await child.wait()
    assert child.returncode is not None
    return Finished(child.returncode, out.text(), err.text(), time.monotonic() - began, timed_out)


async def _feed(child: asyncio.subprocess.Process, content: bytes | None) -> None:
    if child.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(content or b"")
        await child.stdin.drain()
    child.stdin.close()


async def _exited(child: asyncio.subprocess.Process) -> None:
    """Wait for the process itself. `child.wait()` may wait for its pipes as well, which a daemon can hold open."""
    try:
        descriptor = os.pidfd_open(child.pid)
    except OSError:
        await child.wait()
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


@dataclass
class Process:
    """A process that runs in the background until it is stopped.

    `pid` is that of the process that we started: inside a sandbox the sandbox, see `pids`. Output goes to `log`.
    """

    pid: int
    log: Path
    contained: bool
    _child: asyncio.subprocess.Process
    _mark: str
    _listed: Path | None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.returncode is None

    @property
    def code(self) -> int | None:
        """Exit code, None while it runs."""
        return self._child.returncode

    def pids(self) -> list[int]:
        """Process ids, as seen from outside, of the program and its descendants, without the sandbox's own."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.pid)
            tops = root.children() if self.contained else []
            found = [child for top in tops for child in top.children(recursive=True)]
            if not self.contained:
                found = [root, *root.children(recursive=True)]
        return [process.pid for process in found if is_running(process.pid)]

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        return await self._child.wait()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Ask the whole tree to end (SIGTERM), wait, then kill what is left."""
        try:
            if self.alive and grace_s > 0:
                for pid in self.pids():
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(_exited(self._child), grace_s)
        finally:
            kill_tree(self.pid, self._mark)
            await self._child.wait()
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
    with log.open("ab") as output:
        child, mark = await _spawn(argv, cwd, environment, sandbox, subprocess.DEVNULL, output, pinned)
    listed = list_process(register, child.pid, mark) if register is not None else None
    return Process(child.pid, log, sandbox is not None and sandbox.contained, child, mark, listed)
