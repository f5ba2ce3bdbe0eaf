"""Where CPU time goes: the running server's processes are sampled under load.

Python: py-spy, from outside, twice. Once only what holds the interpreter lock (`--gil`): CPU work in Python. Once every
thread (`--idle`), without those that wait for work: where requests spend their time, waiting included. On demand a
third time with C frames (`--native`), at two to three times the cost. Node: V8's own sampling profiler, by a session
inside the process, so that no port is opened. What the profiler costs is measured beside it: load without it runs
before, between and after the recordings.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import pack_rows
from perfcrew.records.target import Workload
from tools.arm import Arm, start_arm
from tools.control import ask_processes
from tools.handlers import find_handlers
from tools.lease import quiet_lease
from tools.load import LoadWorker, split_cores
from tools.loaders import Loader, open_loader
from tools.node_profile import RATE as NODE_RATE
from tools.node_profile import read_profiles
from tools.profile_digest import hot_rows, line_rows, native_rows, overall, render_profile, title_profile
from tools.spy import RATE, find_spy, record_stacks
from tools.stacks import Profile, parse_stacks, sum_stacks
from tools.workspace import Workspace

LEAD_S = 0.8
"""The load begins with the profiler and goes on this much longer, as attaching takes a while."""
CPU_SECONDS = 3.0
MIN_SAMPLES = 20
LONGER = (1, 4)
"""A server that got too little of the machine to be seen at work is recorded once more, so much longer."""
Recorders = Mapping[str, Callable[[], Awaitable[str]]]
MODES = {"gil": "--gil", "wall": "--idle", "native": "--gil --native"}


@dataclass
class Pace:
    """What load came through: requests a second and CPU ms a request, with the profiler attached and without."""

    rps: dict[str, list[float]] = field(default_factory=lambda: {"with": [], "without": []})
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: {"with": [], "without": []})

    def overhead(self) -> dict[str, float]:
        """Loss of requests a second, and added CPU a request of the server's own processes; 0.1 means ten per cent."""
        rps, cpu = ({which: sum(values) / len(values) for which, values in by.items() if values}
                    for by in (self.rps, self.cpu_ms))  # fmt: skip
        if len(rps) < 2 or not rps["without"] or not cpu["without"]:
            return {}
        return {"rps_loss": 1 - rps["with"] / rps["without"], "cpu_added": cpu["with"] / cpu["without"] - 1}

    def forget(self, which: str) -> None:
        """Take the last figures back: the profiler was not at work in them."""
        self.rps[which].pop()
        self.cpu_ms[which].pop()


@dataclass(frozen=True)
class _Bench:
    """An arm under load, with the profiler or without."""

    arm: Arm
    loader: Loader
    pace: Pace

    async def load(self, which: str, seconds: float) -> None:
        before = self.arm.cpu_seconds()
        seen = await self.loader.round(self.arm, seconds, 1)
        # Locust sends before the round as well, while it starts its users.
        self.pace.rps[which].append(sum(row[0] >= 0 for row in seen.requests) / seen.seconds)
        self.pace.cpu_ms[which].append(1000 * (self.arm.cpu_seconds() - before) / max(len(seen.requests), 1))

    async def record(self, recording: Awaitable[str], seconds: float) -> str:
        task = asyncio.ensure_future(recording)
        try:
            await self.load("with", seconds + LEAD_S)
            return await task
        finally:
            task.cancel()


async def measure_cpu(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """CPU profile under load of a fresh start, Python or Node, with C frames and with what the profiler itself cost.

    Raises:
        InstrumentError: the profiler is missing or may not attach, or the server is neither Python nor Node.
    """
    return await _profile_fresh(workspace, commit, workload, arm, thorough=True)


async def sketch_cpu(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """The same without C frames and without the profiler's cost, in half the time."""
    return await _profile_fresh(workspace, commit, workload, arm, thorough=False)


async def _profile_fresh(
    workspace: Workspace, commit: str, workload: Workload, arm: str, *, thorough: bool
) -> Evidence:
    seconds = CPU_SECONDS / 4 if workspace.quick else CPU_SECONDS
    workspace.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="trace-", dir=workspace.folder))
    try:
        async with (
            quiet_lease(workspace),
            start_arm(workspace, commit, arm, trace=folder, watch="profile", cpus=split_cores()[0]) as running,
        ):
            return await profile_cpu(workspace, running, workload, seconds=seconds, thorough=thorough)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def profile_cpu(
    workspace: Workspace,
    arm: Arm,
    workload: Workload,
    *,
    seconds: float,
    worker: LoadWorker | None = None,
    thorough: bool = False,
) -> Evidence:
    """Profile an arm under a workload, `seconds` for each recording.

    Args:
        workspace: the run.
        arm: the running server; one of Node must have been started with `watch="profile"`.
        workload: what it is asked.
        seconds: of each recording.
        worker: the load generator; one of its own without it.
        thorough: record C functions as well, and load without the profiler in between for what it costs.

    Raises:
        InstrumentError: the profiler is missing or may not attach, the server is neither Python nor Node, or it had
            nothing to do.
    """
    runtime, pid = find_runtime(arm.pids())
    handlers = await asyncio.to_thread(find_handlers, arm.workdir)
    async with open_loader(workspace, workload, worker=worker) as loader:
        await loader.warm_up(arm)
        for longer in LONGER:
            recorders = _recorders(workspace, arm, runtime, pid, seconds * longer, thorough)
            raw = await _record_raw(_Bench(arm, loader, Pace()), runtime, recorders, seconds * longer, thorough)
            gil, wall = (sum_stacks(parse_stacks(raw[mode], raw["root"]), handlers) for mode in ("gil", "wall"))
            if wall.total >= MIN_SAMPLES:
                return _profile_evidence(workspace, {**raw, "workload": workload.name}, gil, wall)
    raise InstrumentError(
        f"the profiler saw the server at work in {wall.total} samples only; raise the workload's users"
    )


async def _record_raw(
    bench: _Bench, runtime: str, recorders: Recorders, seconds: float, thorough: bool
) -> dict[str, Any]:
    texts, without_c = await _record_all(bench, recorders, seconds, thorough)
    arm, pace = bench.arm, bench.pace
    return {
        "arm": arm.name, "commit": arm.commit, "seconds": seconds, "runtime": runtime,
        "rate": RATE if runtime == "python" else NODE_RATE, "root": str(arm.workdir),
        "requests_per_s": pace.rps["with"], "pace": {"rps": pace.rps, "cpu_ms": pace.cpu_ms},
        "overhead": pace.overhead(), "gil": texts["gil"], "wall": texts.get("wall", texts["gil"]),
        "native": texts.get("native", ""), "without_c": without_c,
    }  # fmt: skip


async def _record_all(
    bench: _Bench, recorders: Recorders, seconds: float, thorough: bool
) -> tuple[dict[str, str], str]:
    """Stacks by mode, and why there are none with C frames; where it is thorough with load beside the profiler."""
    texts: dict[str, str] = {}
    without_c = ""
    for mode, record in recorders.items():
        if thorough:
            await bench.load("without", seconds / 2)
        try:
            texts[mode] = await bench.record(record(), seconds)
        except InstrumentError as error:
            if mode != "native":
                raise
            # Of some programs, such as deep generators, py-spy can't bring C and Python frames together.
            without_c = str(error)
            bench.pace.forget("with")
    if thorough:
        await bench.load("without", seconds / 2)
    return texts, without_c


def _profile_evidence(workspace: Workspace, raw: dict[str, Any], gil: Profile, wall: Profile) -> Evidence:
    busy = gil.total / (max(1, round(raw["seconds"])) * raw["rate"])
    cpu_ms = 1000 * busy / max(raw["requests_per_s"][0], 1e-9)
    native = native_rows(raw["native"], raw["root"])
    return Evidence(
        id=f"cpu@{raw['workload']}/{raw['arm']}", kind="cpu", title=title_profile(raw, gil, busy),
        digest=render_profile(raw, gil, wall, busy, cpu_ms, native),
        artifact=workspace.artifacts.put_json(raw),
        facts={
            "busy": busy, "cpu_ms": cpu_ms, "runtime": raw["runtime"], **raw["overhead"], **overall(gil, wall),
            **pack_rows("hot", hot_rows(gil, wall, busy, cpu_ms)), **pack_rows("line", line_rows(gil)),
            **pack_rows("native", native),
            **pack_rows("spent", [{"endpoint": name, "cpu_share": count / gil.total}
                                  for name, count in gil.endpoints.most_common(8)]),
        },
    )  # fmt: skip


def find_runtime(pids: Sequence[int]) -> tuple[str, int]:
    """`python` or `node`, and the outermost such process of an arm; its children are profiled with it.

    Raises:
        InstrumentError: there is neither.
    """
    seen = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            name = Path(process.exe() or process.name()).name
        except psutil.Error:
            continue
        seen.append(name)
        for runtime, names in (("python", ("python", "pypy")), ("node", ("node",))):
            if name.startswith(names):
                return runtime, pid
    others = f" but {', '.join(dict.fromkeys(seen))}" if seen else ""
    raise InstrumentError(f"the server runs no Python process and no Node{others}; others are not profiled yet")


def _recorders(workspace: Workspace, arm: Arm, runtime: str, pid: int, seconds: float, native: bool) -> Recorders:
    if runtime == "node":
        folder = arm.place.trace
        if folder is None:
            raise InstrumentError("this start of the Node server can't be profiled: it was made without the profiler")
        return {"gil": lambda: _record_node(folder, seconds)}
    program = find_spy()

    def bind(mode: str) -> Callable[[], Awaitable[str]]:
        return lambda: record_stacks(workspace, program, pid, MODES[mode], seconds)

    return {mode: bind(mode) for mode in MODES if native or mode != "native"}


async def _record_node(folder: Path, seconds: float) -> str:
    if not await ask_processes(folder, "cpu_start"):
        raise InstrumentError("the Node server did not load the profiler; its start command must keep NODE_OPTIONS")
    await asyncio.sleep(max(1, round(seconds)))
    answers = await ask_processes(folder, "cpu_stop")
    return read_profiles(answer["profile"] for answer in answers.values() if "profile" in answer).stacks
