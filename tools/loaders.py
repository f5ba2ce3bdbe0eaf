"""How a workload is put on an arm: requests by the load generator, or a command that is run again and again."""

import contextlib
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from perfcrew.errors import InstrumentError
from perfcrew.records.target import Workload
from tools.generator import Loaded, LoadWorker, Round, Stop, warm_up
from tools.launch import Place, run_at
from tools.locust_load import open_locust
from tools.workspace import Workspace

COMMAND_TIMEOUT_S = 120.0

_STOPWATCH = (
    """bash -c 'IFS= read -r key; a=$EPOCHREALTIME; "$@" </dev/null; code=$?; b=$EPOCHREALTIME; """
    """echo "$key" >&2; times >&2; echo "$key $a $b" >&2; exit $code' bash """
)
"""Put before a command: wall time in microseconds and CPU time in milliseconds, taken inside the sandbox, whose own
start does not count and whose processes the kernel does not count as ours. Four lines: a key that the shell alone was
told, without which the command could print such lines as well; the shell's CPU time, that of the command with all that
it waited for, each as user and system; then the key with the wall clock before and after."""

_MINUTES = re.compile(r"(\d+)m([\d.,]+)s")


class Loader(Protocol):
    """A workload, ready to be put on arms."""

    @property
    def instrument(self) -> str:
        """Name and version."""
        ...

    async def warm_up(self, arm: Any) -> int:
        """Some load that nobody counts; says how many requests or runs that were."""
        ...

    async def round(self, arm: Any, seconds: float, seed: int, stop: Stop | None = None) -> Round:
        """One round's raw samples. It may end early where `stop` says so, if the loader can."""
        ...


@dataclass(frozen=True)
class HttpLoader:
    """Requests, by the load generator."""

    worker: LoadWorker
    workload: Workload
    held_out: bool = False
    instrument: ClassVar[str] = LoadWorker.instrument

    async def warm_up(self, arm: Loaded) -> int:
        """A few requests by few users."""
        return await warm_up(self.worker, arm.url, self.workload, held_out=self.held_out)

    async def round(self, arm: Loaded, seconds: float, seed: int, stop: Stop | None = None) -> Round:
        """One round of requests."""
        return await self.worker.round(
            arm.url, self.workload, seconds=seconds, seed=seed, held_out=self.held_out, stop=stop
        )


class Furnished(Protocol):
    """An arm with a place in which commands of the target run."""

    url: str
    place: Place


@dataclass(frozen=True)
class CommandLoader:
    """A command of the target's, run one after the other in the arm's place, where its placeholders are the arm's."""

    workspace: Workspace
    command: str
    instrument: ClassVar[str] = "bash, EPOCHREALTIME and times"

    async def warm_up(self, arm: Furnished) -> int:
        """One run.

        Raises:
            InstrumentError: it failed.
        """
        _, failure, _ = await self._run(arm)
        if failure:
            raise InstrumentError(f"command {self.command!r}: {failure}")
        return 1

    async def round(self, arm: Furnished, seconds: float, seed: int, stop: Stop | None = None) -> Round:  # noqa: ARG002  a command is the same each time
        """Runs until the seconds are over, at least one."""
        rows: list[tuple[Any, ...]] = []
        failures: Counter[str] = Counter()
        cpu_s = 0.0
        began = time.perf_counter()
        while not rows or time.perf_counter() - began < seconds:
            start = time.perf_counter() - began
            latency_ms, failure, used = await self._run(arm)
            cpu_s += used
            if failure:
                failures[failure] += 1
            rows.append((start, latency_ms, 0, 0, 0, not failure, False))
        return Round(tuple(rows), time.perf_counter() - began, 0, dict(failures), 0.0, cpu_s)

    async def _run(self, arm: Furnished) -> tuple[float, str, float]:
        """Wall time in ms, what failed, CPU seconds."""
        key = secrets.token_hex(16)
        done = await run_at(
            self.workspace, arm.place, _STOPWATCH + self.command,
            timeout=COMMAND_TIMEOUT_S, network=self.workspace.reach, extra={"url": arm.url}, stdin=f"{key}\n".encode(),
        )  # fmt: skip
        lines = done.err.splitlines()
        own = lines.index(key) if key in lines else len(lines)
        told = lines[own + 1 : own + 4]
        if done.timed_out or len(told) < 3 or not told[2].startswith(f"{key} "):
            why = f"took over {COMMAND_TIMEOUT_S:g} s" if done.timed_out else f"can't be timed: {done.last_line[:200]}"
            return done.seconds * 1000, why, 0.0
        before, after = (float(word.replace(",", ".")) for word in told[2].split()[1:])
        cpu_s = sum(60 * int(minutes) + float(s.replace(",", ".")) for minutes, s in _MINUTES.findall(told[1]))
        said = lines[own - 1] if own else (done.out.strip().splitlines() or ["no output"])[-1]
        return (after - before) * 1000, "" if done.ok else f"exit {done.code}: {said[:200]}", cpu_s


@contextlib.asynccontextmanager
async def open_loader(
    workspace: Workspace, workload: Workload, *, worker: LoadWorker | None = None, held_out: bool = False
) -> AsyncIterator[Loader]:
    """A loader for a workload, with a load generator of its own unless one is given that can do it."""
    if workload.kind == "command":
        other = workload.held_out.command if held_out and workload.held_out else None
        yield CommandLoader(workspace, other or workload.command or "")
    elif workload.kind == "locust" or workspace.load_workers:
        async with open_locust(workspace, workload, held_out=held_out) as locust:
            yield locust
    elif worker is not None:
        yield HttpLoader(worker, workload, held_out)
    else:
        async with LoadWorker.start(workspace) as own:
            yield HttpLoader(own, workload, held_out)
