"""Memory over a steady load: does it grow with the requests served, and by how much for each?"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

from perfcrew.errors import InstrumentError
from perfcrew.memory_stats import CONFIDENCE, LEAK_KB, judge_growth
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.stats import recompute
from tools.generator import Loaded, LoadWorker, Round, tell_failures
from tools.loaders import Loader, open_loader
from tools.process_tree import Footprint
from tools.workspace import Workspace

POINTS = 60
"""Readings of memory in one stretch of load: each takes 2 to 3 ms of a core that is not the server's."""

SETTLING = 0.25
"""Share of the requests at the beginning that is left out of the growth: caches fill, pools open."""

STRETCH_AGAIN = 3
"""How many stretches of load there may be until it is clear that memory does not grow."""


class Weighed(Loaded, Protocol):
    """An arm whose memory can be read."""

    def footprint(self) -> Footprint:
        """Memory of all its processes now."""
        ...


Reading = tuple[float, Footprint]


async def measure_memory(
    workspace: Workspace,
    arm: Weighed,
    workload: Workload,
    *,
    seconds: float,
    worker: LoadWorker | None = None,
    patient: bool = False,
) -> Evidence:
    """Memory of an arm's processes, read under load: USS, PSS and RSS.

    Facts: `growth_kb_per_request` (1 kB is 1,000 bytes) with `growth_low` and `growth_high`, `rising_share` (0 to 1),
    `leak` (1, 0, or None where it can't be told) and `leak_verdict` in words, `peak_mb`, `peak_above_idle_mb`,
    `requests`.

    Args:
        workspace: the run.
        arm: what is loaded.
        workload: by what.
        seconds: of load.
        worker: the load generator; one of its own without it.
        patient: load up to `STRETCH_AGAIN` times as long while it is not clear that memory does not grow; what settles
            late looks like a leak at first.

    Raises:
        InstrumentError: nothing was answered as expected, or memory can't be read.
    """
    async with open_loader(workspace, workload, worker=worker) as loader:
        warmed = await loader.warm_up(arm)
        idle = await asyncio.to_thread(arm.footprint)
        if not idle.rss:
            raise InstrumentError(
                "the memory of the server's processes can't be read; remedy: run perfcrew as their user"
            )
        raw: dict[str, Any] = {
            "kind": "memory", "workload": workload.name, "arm": arm.name, "commit": arm.commit,
            "users": workload.users, "warm_up_requests": warmed, "settled": 0, "idle": idle.uss, "points": [],
        }  # fmt: skip
        served, began = 0, 0.0
        for stretch in range(STRETCH_AGAIN if patient else 1):
            readings, seen = await _load(arm, loader, seconds, seed=2 + stretch)
            if not seen.latencies:
                raise InstrumentError(
                    f"workload {workload.name}: no request succeeded under load ({tell_failures(seen)})"
                )
            began = began or seen.began_s
            raw["points"] += _points(readings, seen, began, served)
            served += len(seen.requests)
            raw["settled"] = _settled(raw["points"])
            if judge_growth(raw).leak == "no":
                break
    return memory_evidence(workspace, raw)


async def _load(arm: Weighed, loader: Loader, seconds: float, seed: int) -> tuple[list[Reading], Round]:
    """A round, and readings by the clock while it went on; Locust may take a while to start its users."""
    began = time.perf_counter()
    loading = asyncio.ensure_future(loader.round(arm, seconds, seed))
    readings: list[Reading] = []
    try:
        while not loading.done():
            due = began + seconds * (len(readings) + 1) / POINTS
            await asyncio.wait({loading}, timeout=max(due - time.perf_counter(), 0))
            readings.append((time.perf_counter(), await asyncio.to_thread(arm.footprint)))
        seen = await loading
    finally:
        loading.cancel()
    within = [(at, reading) for at, reading in readings if 0 <= at - seen.began_s <= seconds]
    return within or readings[-1:], seen


def _points(readings: Sequence[Reading], seen: Round, began: float, served: int) -> list[list[float]]:
    """Readings with the number of requests served by then. The generator's clock is the machine's, as ours is."""
    ends = sorted(row[0] + row[1] / 1000 for row in seen.requests)
    return [
        [at - began, served + float(sum(end <= at - seen.began_s for end in ends)), reading.uss, reading.pss,
         reading.rss]
        for at, reading in readings
    ]  # fmt: skip


def _settled(points: Sequence[Sequence[float]]) -> int:
    first, last = points[0][1], points[-1][1]
    return sum(point[1] < first + SETTLING * (last - first) for point in points)


def memory_evidence(workspace: Workspace, raw: dict[str, Any]) -> Evidence:
    """Evidence from a raw file of memory."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}/{raw['arm']}"
    values = {short: recompute(method, raw) for short, (_, method) in _FIGURES.items()}
    growth = judge_growth(raw)
    measurements = tuple(
        Measurement(
            id=f"{short}@{place}", metric=metric, unit=METRICS[metric].unit, better=METRICS[metric].better,
            workload=raw["workload"], arm=raw["arm"], commit=raw["commit"], value=values[short],
            count=len(raw["points"]), method=method, samples=samples, instrument="psutil USS",
            environment=workspace.environment,
        )
        for short, (metric, method) in _FIGURES.items()
    )  # fmt: skip
    verdict = _VERDICTS[growth.leak]
    return Evidence(
        id=f"memory@{place}", kind="memory", title=f"{place}: peak {values['peak']:.0f} MB, {verdict}",
        digest=_render(raw, values, verdict),
        measurements=measurements, artifact=samples,
        facts={
            "growth_kb_per_request": values["growth"], "growth_low": _finite(growth.low),
            "growth_high": _finite(growth.high), "rising_share": growth.rising,
            "leak": {"yes": 1, "no": 0, "can't tell": None}[growth.leak], "leak_verdict": growth.leak,
            "peak_mb": values["peak"], "peak_above_idle_mb": values["above_idle"], "requests": growth.requests,
        },
    )  # fmt: skip


_FIGURES = {
    "peak": ("memory.peak_mb", "memory_peak_mb"),
    "above_idle": ("memory.peak_above_idle_mb", "memory_peak_above_idle"),
    "growth": ("memory.growth_kb_per_request", "memory_growth_kb"),
}
_VERDICTS = {
    "yes": "this is a leak", "no": f"no leak of {LEAK_KB:g} kB a request", "can't tell": "can't tell whether it leaks",
}  # fmt: skip


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _render(raw: dict[str, Any], values: dict[str, float], verdict: str) -> str:
    points, growth = raw["points"], judge_growth(raw)
    first, last = points[0], points[-1]
    lines = [
        f"{raw['users']} users; USS (what the processes have to themselves) from {first[2]:.1f} MB to {last[2]:.1f} MB",
        f"peak {values['peak']:.1f} MB: {values['above_idle']:.1f} MB above the idle server's {raw['idle']:.1f} MB, "
        f"{values['above_idle'] / raw['users']:.2f} MB for each request in flight",
    ]
    if len(last) > 4:
        lines.append(f"at the end PSS {last[3]:.1f} MB, RSS {last[4]:.1f} MB (RSS counts shared pages once a process)")
    interval = f"{growth.low:.2f} to {growth.high:.2f}" if _finite(growth.low) is not None else "no interval"
    lines.append(
        f"after settling it grew by {values['growth']:.2f} kB a request ({CONFIDENCE:.0%} interval {interval}) over "
        f"{growth.requests:.0f} requests, {growth.total_mb:.1f} MB in all, rising in {growth.rising:.0%} of the "
        f"stretches, {growth.later:.2f} kB a request in the later half: {verdict}"
    )
    return "\n".join(lines)
