"""Where CPU time goes: py-spy samples the running server twice under load.

Once only what holds the interpreter lock (`--gil`): CPU work in Python. Once every thread (`--idle`), without those
that wait for work: where requests spend their time, waiting included. Nothing else is measured while it is attached.
"""

import asyncio
import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Workload
from tools.arm import Arm
from tools.facts import Row, pack_rows
from tools.load import LoadWorker, warm_up
from tools.process import run
from tools.stacks import Hot, Profile, parse_stacks, sum_stacks
from tools.workspace import Workspace

RATE = 100
"""Samples a second: a loss of 1 to 9 % in our trials, and 200 samples in 2 s."""
LEAD_S = 0.8
"""The load begins with the profiler and goes on this much longer, as attaching takes a while."""
START_S = 30.0
MIN_SAMPLES = 20
TOP = 10


async def profile_cpu(
    workspace: Workspace, arm: Arm, workload: Workload, *, seconds: float, worker: LoadWorker
) -> Evidence:
    """Profile an arm under a workload, `seconds` for each of the two recordings.

    Raises:
        InstrumentError: py-spy is missing or may not attach, the arm is no Python program, or it had nothing to do.
    """
    program = _find_spy()
    pid = _python_pid(arm.pids())
    await warm_up(worker, arm.url, workload)
    texts: list[str] = []
    pace: list[float] = []
    for mode in ("--gil", "--idle"):
        recording = asyncio.create_task(_record(workspace, program, pid, mode, seconds))
        try:
            seen = await worker.round(arm.url, workload, seconds=seconds + LEAD_S, seed=1)
            pace.append(len(seen.requests) / seen.seconds)
            texts.append(await recording)
        finally:
            recording.cancel()
    root = str(arm.workdir)
    gil, wall = (sum_stacks(parse_stacks(text, root)) for text in texts)
    if wall.total < MIN_SAMPLES:
        raise InstrumentError(f"py-spy saw the server at work in {wall.total} samples only; raise the workload's users")
    raw: dict[str, Any] = {
        "workload": workload.name, "arm": arm.name, "commit": arm.commit, "seconds": seconds, "rate": RATE,
        "root": root, "requests_per_s": pace, "gil": texts[0], "wall": texts[1],
    }  # fmt: skip
    busy = gil.total / (max(1, round(seconds)) * RATE)
    cpu_ms = 1000 * busy / max(pace[0], 1e-9)
    return Evidence(
        id=f"cpu@{workload.name}/{arm.name}",
        kind="cpu",
        title=_title(workload.name, arm.name, gil, busy),
        digest=render_profile(workload.name, arm.name, gil, wall, busy, cpu_ms),
        artifact=workspace.artifacts.put_json(raw),
        facts={
            "busy": busy,
            "cpu_ms": cpu_ms,
            **_overall(gil, wall),
            **pack_rows("hot", hot_rows(gil, wall, busy, cpu_ms)),
        },
    )


def _find_spy() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "py-spy"
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise InstrumentError("py-spy is not installed beside perfcrew; remedy: pip install py-spy")
    return found


def _python_pid(pids: Sequence[int]) -> int:
    """The outermost Python process of an arm; its children are profiled with it."""
    for pid in pids:
        try:
            process = psutil.Process(pid)
            name = Path(process.exe() or process.name()).name
        except psutil.Error:
            continue
        if name.startswith(("python", "pypy")):
            return pid
    raise InstrumentError("the server runs no Python process; CPU profiles of other runtimes are not taken yet")


async def _record(workspace: Workspace, program: str, pid: int, mode: str, seconds: float) -> str:
    output = workspace.folder / "profiles" / f"{pid}{mode}.raw"
    output.parent.mkdir(parents=True, exist_ok=True)
    # Whole seconds only: py-spy takes no fractions.
    duration = str(max(1, round(seconds)))
    done = await run(
        [
            program, "record", "--pid", str(pid), "--format", "raw", "--output", str(output), "--duration", duration,
            "--rate", str(RATE), "--subprocesses", "--full-filenames", mode,
        ],
        cwd=workspace.folder,
        environment={"PATH": os.defpath},
        timeout=seconds + START_S,
    )  # fmt: skip
    said = f"{done.err}\n{done.out}"
    if not done.ok or not output.exists():
        if "ermission" in said:
            raise InstrumentError(
                "py-spy may not attach to the server; remedy: run perfcrew as root, or "
                "`sysctl kernel.yama.ptrace_scope=0` (Docker: --cap-add SYS_PTRACE)"
            )
        raise InstrumentError(f"py-spy failed: {done.last_line}")
    text = output.read_text(encoding="utf-8", errors="replace")
    output.unlink()
    return text


def hot_rows(gil: Profile, wall: Profile, busy: float, cpu_ms: float) -> list[Row]:
    """The target's functions for detectors: shares of CPU and of requests' time, innermost own work first.

    `cpu_share` is of CPU samples, and `time_share` of one core's clock: the part of end-to-end time that a CPU-bound
    request spends there. `cpu_ms` is Python's CPU time a request.
    """
    places = sorted(gil.own, key=lambda place: -gil.own[place].inner)[:TOP]
    places += [place for place in sorted(wall.own, key=lambda place: -wall.own[place].inner)[:5] if place not in places]
    rows: list[Row] = []
    for place in places:
        cpu, clock = gil.own.get(place), wall.own.get(place)
        known = cpu or clock
        assert known is not None
        line = cpu.line if cpu and cpu.line else clock.line if clock else 0
        inner = _part(cpu.inner if cpu else 0, gil.total)
        rows.append({
            "path": known.path, "name": known.name, "line": line,
            "cpu_share": inner, "cpu_total": _part(cpu.samples if cpu else 0, gil.total),
            "time_share": inner * min(busy, 1.0), "ms": inner * cpu_ms,
            "serial_share": _part(_serial(gil, known), gil.total),
            "wall_share": _part(clock.inner if clock else 0, wall.total),
            "loop_share": _part(wall.loop.get(place, 0), wall.loop_total),
            "loop_cpu_share": _part(gil.loop.get(place, 0), wall.loop_total),
        })  # fmt: skip
    return rows


def _serial(profile: Profile, hot: Hot) -> int:
    return profile.serialising.get(f"{hot.path} {hot.name}", 0)


def _overall(gil: Profile, wall: Profile) -> dict[str, float]:
    serial = sum(gil.serialising.values())
    return {
        "samples": gil.total,
        "serial_share": _part(serial, gil.total),
        "framework_share": _part(gil.without_own, gil.total),
        "database_share": _part(sum(hot.database for hot in gil.own.values()), gil.total),
        "loop_database_share": _part(wall.loop_database, wall.loop_total),
        "pool_wait_share": _part(wall.pool_wait, wall.total),
    }


def _part(samples: int, total: int) -> float:
    return samples / total if total else 0.0


def _title(workload: str, arm: str, gil: Profile, busy: float) -> str:
    hottest = max(gil.own.values(), key=lambda hot: hot.inner, default=None)
    where = f"; most in {hottest.place} ({_part(hottest.inner, gil.total):.0%})" if hottest else ""
    return f"{workload} on {arm}: Python busy {busy:.0%} of a core{where}"


def render_profile(workload: str, arm: str, gil: Profile, wall: Profile, busy: float, cpu_ms: float) -> str:
    """The digest: CPU by own function and by package, time by own function, the hottest stack."""
    overall = _overall(gil, wall)
    lines = [
        f"{workload} on {arm} under load, {gil.total} CPU and {wall.total} time samples at {RATE} Hz; Python held its "
        f"lock {busy:.0%} of the time, {cpu_ms:.1f} ms a request. Shares of CPU samples unless said otherwise.",
        f"in database libraries called by the target {overall['database_share']:.0%}, serialising "
        f"{overall['serial_share']:.0%}, framework without the target {overall['framework_share']:.0%}, requests "
        f"waiting for a pooled connection {overall['pool_wait_share']:.0%} of their time",
        "\nBy deepest frame's package: " + _listed(gil.packages, gil.total, 8),
        "\nThe target's functions, cumulative (of it: innermost, without and inside database libraries):",
    ]
    ranked = sorted(gil.own.values(), key=lambda hot: (-hot.samples, -hot.inner))
    lines += [
        f"  {_part(hot.samples, gil.total):4.0%} ({_part(hot.inner, gil.total):.0%}, "
        f"{_part(hot.database, gil.total):.0%})  {hot.place}"
        for hot in ranked[:TOP]
    ]
    inmost = sorted((hot for hot in gil.own.values() if hot.lines), key=lambda hot: -hot.inner)
    lines += [f"  busiest lines of {hot.path} {hot.name}: {_busy_lines(hot)}" for hot in inmost[:3]]
    lines += ["\nSelf time, all code: " + _listed(gil.self_time, gil.total, TOP)]
    if gil.serialising:
        lines.append("Serialising on behalf of: " + _listed(gil.serialising, gil.total, 4))
    clock: dict[str, int] = {hot.place: hot.inner + hot.database for hot in wall.own.values()}
    lines.append("\nRequests' time, waiting included, by innermost own function: " + _listed(clock, wall.total, 6))
    if wall.loop or wall.loop_database:
        lines.append(
            f"Holding the event loop, share of its clock: database libraries "
            f"{_part(wall.loop_database, wall.loop_total):.0%}; {_listed(wall.loop, wall.loop_total, 5)}"
        )
    stack, count = gil.hottest
    lines.append(f"Hottest stack ({_part(count, gil.total):.0%}): {stack}")
    return "\n".join(lines)


def _listed(counts: Any, total: int, most: int) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])[:most]
    return "; ".join(f"{name} {_part(count, total):.0%}" for name, count in ranked if count) or "nothing"


def _busy_lines(hot: Hot) -> str:
    whole = sum(hot.lines.values())
    return ", ".join(f"line {line} {count / whole:.0%}" for line, count in hot.lines.most_common(3))
