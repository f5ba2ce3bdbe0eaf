"""Memory over a steady load: does it grow with the requests served, and by how much for each?"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.stats import recompute, rising_share
from tools.generator import Loaded, LoadWorker, Round, tell_failures, warm_up
from tools.workspace import Workspace

POINTS = 24
"""Samples of memory in one measurement."""

SETTLING = POINTS // 4
"""Points at the beginning that are left out of the growth: caches fill, pools open, the allocator finds its size."""

LEAK_MB = 1.0
LEAK_RISING = 0.6
"""A leak is growth of more than `LEAK_MB` over the load, in more than this share of the steps between samples."""


async def measure_memory(
    workspace: Workspace, arm: Loaded, workload: Workload, *, seconds: float, worker: LoadWorker
) -> Evidence:
    """USS of an arm's processes, sampled under load. USS is what they have to themselves: what ending them would free.

    Facts: `growth_kb_per_request` (1 kB is 1,000 bytes), `rising_share` (0 to 1), `leak` (0 or 1), `peak_mb`,
    `requests`.

    Raises:
        InstrumentError: nothing was answered as expected, or memory can't be read.
    """
    warmed = await warm_up(worker, arm.url, workload)
    began = time.perf_counter()
    loading = asyncio.ensure_future(worker.round(arm.url, workload, seconds=seconds, seed=2))
    try:
        readings = await _sample(arm, began, seconds)
        seen = await loading
    finally:
        loading.cancel()
    if not seen.latencies:
        raise InstrumentError(f"workload {workload.name}: no request succeeded under load ({tell_failures(seen)})")
    raw = {
        "kind": "memory", "workload": workload.name, "arm": arm.name, "commit": arm.commit, "users": workload.users,
        "warm_up_requests": warmed, "settled": SETTLING, "points": _points(readings, seen),
    }  # fmt: skip
    return memory_evidence(workspace, raw)


async def _sample(arm: Loaded, began: float, seconds: float) -> list[tuple[float, float]]:
    readings = []
    for number in range(POINTS):
        due = began + seconds * (number + 1) / POINTS
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        readings.append((time.perf_counter() - began, await asyncio.to_thread(arm.uss_mb)))
    return readings


def _points(readings: Sequence[tuple[float, float]], seen: Round) -> list[list[float]]:
    """Readings with the number of requests served by then. The two clocks begin within a millisecond or so."""
    ends = sorted(row[0] + row[1] / 1000 for row in seen.requests)
    return [[at, float(sum(end <= at for end in ends)), uss] for at, uss in readings]


def memory_evidence(workspace: Workspace, raw: dict[str, Any]) -> Evidence:
    """Evidence from a raw file of memory."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}/{raw['arm']}"
    peak, growth = recompute("memory_peak_mb", raw), recompute("memory_growth_kb", raw)
    settled = raw["points"][raw["settled"] :]
    rising = rising_share([point[2] for point in settled])
    requests = settled[-1][1] - settled[0][1]
    total_mb = growth * requests / 1000
    leak = total_mb > LEAK_MB and rising > LEAK_RISING
    told = (
        f"grew by {total_mb:.1f} MB over {requests:.0f} requests ({growth:.2f} kB each), in {rising:.0%} of the steps"
    )
    figures = {"peak": ("memory.peak_mb", "memory_peak_mb", peak),
               "growth": ("memory.growth_kb_per_request", "memory_growth_kb", growth)}  # fmt: skip
    measurements = tuple(
        Measurement(
            id=f"{short}@{place}", metric=metric, unit=METRICS[metric].unit, better=METRICS[metric].better,
            workload=raw["workload"], arm=raw["arm"], commit=raw["commit"], value=value, count=len(raw["points"]),
            method=method, samples=samples, instrument="psutil USS", environment=workspace.environment,
        )
        for short, (metric, method, value) in figures.items()
    )  # fmt: skip
    verdict = "this is a leak" if leak else "no leak seen"
    return Evidence(
        id=f"memory@{place}", kind="memory", title=f"{place}: peak {peak:.0f} MB, {verdict}",
        digest=(
            f"USS from {raw['points'][0][2]:.1f} MB to {raw['points'][-1][2]:.1f} MB, peak {peak:.1f} MB\n"
            f"after settling it {told}: {verdict} (one has more than {LEAK_MB:g} MB, in more than {LEAK_RISING:.0%} "
            "of the steps)"
        ),
        measurements=measurements, artifact=samples,
        facts={"growth_kb_per_request": growth, "rising_share": rising, "leak": int(leak), "peak_mb": peak,
               "requests": requests},
    )  # fmt: skip
