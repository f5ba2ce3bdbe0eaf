"""What one arm did in a duel: rounds to starts, starts to figures. See `perfcrew.duel_stats` for the raw file.

The arms take turns in rounds of a fraction of a second, so the machine is in the same state for a round and for its
neighbour of the other arm. Their ratio is formed pair by pair, and a start's ratio is the median of its pairs: a
burst by a neighbour spoils single pairs, and a drift moves both sides of each. On a shared two-core machine the tail
(P95) of one start against another of the same code differed by 1.9 % (standard deviation) read so, and by 3.4 % where
each arm's median was taken by itself.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from perfcrew.errors import VerificationError
from perfcrew.quantiles import median, percentile

FEW_SAMPLES, FEW_IN_TAIL = 20, 2
"""Percentiles are taken over blocks of at least so many requests, and so many beyond the percentile: 40 for P95, 200
for P99. Rounds with fewer are put together."""

TINY = 1e-9
"""What stands in for zero where a ratio is formed: less than any clock or counter resolves."""

Cells = Sequence[Any]

_QUANTILES = {"http.p50_ms": 50.0, "http.p90_ms": 90.0, "http.p95_ms": 95.0, "http.p99_ms": 99.0}


def cell_value(cell: Any, metric: str) -> float | None:
    """A metric over one round of a duel, in its unit; None where no request was answered as expected."""
    latencies = cell["latency_ms"]
    requests = cell["requests"]
    if not latencies or not requests:
        return None
    if metric in _QUANTILES:
        return percentile(latencies, _QUANTILES[metric])
    if metric == "command.seconds":
        return median(latencies) / 1000
    if metric == "http.mean_ms":
        return float(np.mean(latencies))
    if metric == "http.rps":
        return float(requests / max(cell["seconds"], TINY))
    if metric == "http.writes_per_s":
        return float(cell["writes"] / max(cell["seconds"], TINY)) if cell.get("writes") else None
    if metric == "cpu.ms_per_request":
        return float(1000 * cell["cpu_s"] / requests)
    if metric == "cpu.utilisation":
        return float(cell["cpu_s"] / max(cell["seconds"], TINY) / cell.get("cores", 1))
    raise VerificationError(f"no way to compute {metric} from a duel's rounds")


def latency_doubt(duel: Any) -> str:
    """Why a duel's latencies and rates do not count: in most rounds of an arm the load generator was the bottleneck."""
    for side in ("base", "candidate"):
        faults = [cell.get("faults", ()) for cell in duel["cells"] if cell["arm"] == side]
        doubtful = [fault for fault in faults if fault]
        if len(doubtful) > len(faults) / 2:
            return f"in {len(doubtful)} of {len(faults)} rounds of the {side}: {doubtful[-1][0]}"
    return ""


def start_numbers(duel: Any) -> list[int]:
    """The starts in which both arms were measured, in order."""
    seen = {(cell["start"], cell["arm"]) for cell in duel["cells"]}
    return sorted({start for start, _ in seen if (start, "base") in seen and (start, "candidate") in seen})


def start_pairs(duel: Any, metric: str) -> list[tuple[float, float]]:
    """A metric of base and candidate, start by start; starts in which either has no value are left out."""
    numbers = start_numbers(duel)
    if metric == "memory.peak_mb":
        found: list[Any] = [memory_at_equal_work(duel, start) for start in numbers]
    elif metric == "start.seconds":
        seconds = {(start["start"], start["arm"]): float(start["seconds"]) for start in duel["starts"]}
        timed = [number for number in numbers if {(number, "base"), (number, "candidate")} <= seconds.keys()]
        found = [(seconds[number, "base"], seconds[number, "candidate"]) for number in timed]
    else:
        by_start: dict[int, list[Any]] = {}
        for cell in duel["cells"]:
            by_start.setdefault(cell["start"], []).append(cell)
        found = [_pair(by_start[number], metric) for number in numbers]
    return [pair for pair in found if pair is not None]


def _pair(cells: Cells, metric: str) -> tuple[float, float] | None:
    """Both arms over one start, such that their quotient is the median of the quotients of neighbouring rounds.

    Their geometric middle is that of the arms' own medians.
    """
    base, candidate = (_by_round(cells, arm) for arm in ("base", "candidate"))
    rounds = sorted(base.keys() & candidate.keys())
    size = _block_size(cells, metric)
    blocks = [rounds[at : at + size] for at in range(0, max(len(rounds) - size + 1, 1), size)]
    blocks[-1] = rounds[(len(blocks) - 1) * size :]
    logs = []
    for block in blocks:
        values = [_block_value([arm[number] for number in block], metric) for arm in (base, candidate)]
        if values[0] is not None and values[1] is not None:
            logs.append([math.log(max(value, TINY)) for value in values if value is not None])
    if not logs:
        return None
    middle = sum(median([log[side] for log in logs]) for side in (0, 1)) / 2
    half = median([before - after for before, after in logs]) / 2
    return math.exp(middle + half), math.exp(middle - half)


def _by_round(cells: Cells, arm: str) -> dict[int, Any]:
    return {cell["round"]: cell for cell in cells if cell["arm"] == arm}


def _block_size(cells: Cells, metric: str) -> int:
    """How many rounds a percentile is taken over. The rule is one for both arms, so it favours neither."""
    if metric not in _QUANTILES:
        return 1
    counts = [[len(cell["latency_ms"]) for cell in cells if cell["arm"] == arm] for arm in ("base", "candidate")]
    usual = max(min(median(each) if each else 0 for each in counts), 1)
    needed = max(FEW_SAMPLES, round(FEW_IN_TAIL / (1 - _QUANTILES[metric] / 100)))
    return math.ceil(needed / usual)


def _block_value(block: Cells, metric: str) -> float | None:
    if len(block) == 1:
        return cell_value(block[0], metric)
    pooled = [latency for cell in block for latency in cell["latency_ms"]]
    return percentile(pooled, _QUANTILES[metric]) if pooled else None


def trimmed(starts: int) -> int:
    """How many of the starts' ratios are left out at either end: one in seven.

    A start can be an accident as a whole: one of 84 recorded starts ran at half its speed from beginning to end.
    """
    return starts // 7


def typical_pair(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Both arms over all starts, such that their quotient is the trimmed mean (on a log scale) of the starts' ratios.

    Their geometric middle is that of the arms' geometric means.
    """
    logs = [(math.log(max(before, TINY)), math.log(max(after, TINY))) for before, after in pairs]
    cut = trimmed(len(logs))
    ratios = sorted(before - after for before, after in logs)
    half = float(np.mean(ratios[cut : len(ratios) - cut])) / 2
    middles = sorted((before + after) / 2 for before, after in logs)
    middle = float(np.mean(middles[cut : len(middles) - cut]))
    return math.exp(middle + half), math.exp(middle - half)


def memory_at_equal_work(duel: Any, start: int) -> tuple[float, float] | None:
    """USS in MB of base and candidate in one start, after the same number of requests served.

    The faster arm serves more in the same time; compared at the end of its time, what it keeps for each request would
    be held against it. So both are read, by linear interpolation, where the one that served less ended.
    """
    series: dict[str, list[tuple[float, float]]] = {"base": [], "candidate": []}
    for point in [*duel["starts"], *duel["cells"]]:
        if point["start"] == start and point.get("uss_mb") is not None:
            series[point["arm"]].append((float(point["served"]), float(point["uss_mb"])))
    if not series["base"] or not series["candidate"]:
        return None
    common = min(max(served for served, _ in points) for points in series.values())
    read = [_interpolate(common, sorted(points)) for points in series.values()]
    return read[0], read[1]


def _interpolate(x: float, points: Sequence[tuple[float, float]]) -> float:
    return float(np.interp(x, [point[0] for point in points], [point[1] for point in points]))


def duel_value(duel: Any, argument: str) -> float:
    """One arm's value of a metric over a whole duel. The argument is `base/http.p95_ms` or `candidate/…`.

    `NAME:base/http.p99_ms` is that of workload NAME, which was measured beside the duel's own.
    """
    beside, _, rest = argument.rpartition(":")
    if beside:
        return duel_value(duel["beside"][beside], rest)
    arm, metric = argument.split("/", 1)
    side = ("base", "candidate").index(arm)
    if metric in duel["counts"].get(arm, {}):
        return float(np.mean(duel["counts"][arm][metric]))
    if metric == "http.error_rate":
        cells = [cell for cell in duel["cells"] if cell["arm"] == arm]
        return float(sum(cell["errors"] for cell in cells) / max(sum(cell["requests"] for cell in cells), 1))
    pairs = start_pairs(duel, metric)
    if not pairs:
        raise VerificationError(f"{metric}: no start of the duel has it for both arms")
    return typical_pair(pairs)[side]
