"""Samples to figures: percentiles, slopes, intervals, and how each reported figure is computed again from its raw file.

Everything here is a pure function of raw samples. A `Measurement` names one of `RECOMPUTE` as its method, so that
whoever doubts a figure computes it again from the file that it refers to.

Raw files of load (`tools.load`), as JSON objects:
    requests   list of [start_s, latency_ms, status, bytes, index, ok, lead]: see `tools.load_worker`
    seconds    wall time of the measuring window, until its last answer
    cpu_s      CPU seconds of the server's processes over the window; cores: how many it may use
Raw files of memory (`tools.memory`): points, a list of [seconds, requests served, USS in MB], and settled, the number
of points at the beginning that don't count for growth.
Raw files of duels (`tools.duel`): see `perfcrew.duel_stats`.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from perfcrew.errors import VerificationError

FEW_SAMPLES = 40
"""With fewer requests than this in some round, tails are taken over all rounds of a start instead of round by round."""

TINY = 1e-9
"""What stands in for zero where a ratio is formed: less than any clock or counter resolves."""


def percentile(samples: Sequence[float], q: float) -> float:
    """The q-th percentile (0 to 100), linearly interpolated between the closest ranks.

    The definition is number 7 of Hyndman and Fan (1996), the default of NumPy, R and spreadsheets. Exact: no
    histogram, no buckets. `percentile([x], q)` is x.

    Raises:
        ValueError: no samples, or q outside 0 to 100.
    """
    if not samples:
        raise ValueError("no samples")
    if not 0 <= q <= 100:
        raise ValueError(f"percentile {q} is not between 0 and 100")
    ordered = sorted(samples)
    rank = q / 100 * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (rank - below))


def median(samples: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    return percentile(samples, 50)


def mad(samples: Sequence[float]) -> float:
    """Median absolute deviation from the median, in the samples' unit (not scaled to a normal's sigma)."""
    centre = median(samples)
    return median([abs(sample - centre) for sample in samples])


def theil_sen_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The median of the slopes through all pairs of points (Theil 1950, Sen 1968): deaf to single outliers.

    With fewer than two different x there is no slope: 0.0.
    """
    if len(set(x)) < 2:
        return 0.0
    from scipy.stats import theilslopes  # a second of imports that only leaks need

    # Many equal values make SciPy take the root of a negative number for an interval that nobody asked for.
    with np.errstate(invalid="ignore"):
        return float(theilslopes(np.asarray(y, dtype=float), np.asarray(x, dtype=float)).slope)


def rising_share(y: Sequence[float]) -> float:
    """The share of steps of a series that go up, 0 to 1; a series that stands still has 0."""
    steps = [after - before for before, after in itertools.pairwise(y)]
    return sum(step > 0 for step in steps) / len(steps) if steps else 0.0


def t_interval(samples: Sequence[float], alpha: float) -> tuple[float, float, float]:
    """Mean, and the ends of its two-sided (1 - alpha) interval by Student's t.

    One sample has no interval: its ends are minus and plus infinity.
    """
    values = np.asarray(samples, dtype=float)
    centre = float(values.mean())
    if len(values) < 2:
        return centre, -math.inf, math.inf
    half = float(special.stdtrit(len(values) - 1, 1 - alpha / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    return centre, centre - half, centre + half


def rate_ratio_interval(
    events: tuple[int, int], trials: tuple[int, int], alpha: float, limit: float = 1000.0
) -> tuple[float, float, float]:
    """First rate over second, and the ends of its exact (1 - alpha) interval, all within 1/limit and limit.

    Given the total of both counts, the first count is binomial (Przyborowski and Wilenski 1940), so the interval is
    Clopper and Pearson's on that share. With no events at all nothing differs:
    the ratio and both ends are 1.
    """
    first, second = events
    total = first + second
    if total == 0:
        return 1.0, 1.0, 1.0

    def as_ratio(share: float) -> float:
        odds = share / (1 - share) if share < 1 else math.inf
        return min(max(odds * trials[1] / trials[0], 1 / limit), limit)

    low = float(special.betaincinv(first, second + 1, alpha / 2)) if first else 0.0
    high = float(special.betaincinv(first + 1, second, 1 - alpha / 2)) if second else 1.0
    return as_ratio(first / total), as_ratio(low), as_ratio(high)


# --- load ---


def answered(load: Any) -> list[float]:
    """Latencies in ms of the requests that count: answered as expected, and not a user's first of the window."""
    return [float(request[1]) for request in load["requests"] if request[5] and not request[6]]


def error_rate(load: Any) -> float:
    """Failed requests over all requests; each user's first is among them, and so are those that never got an answer."""
    cut = int(load.get("cut", 0))
    failed = sum(not request[5] for request in load["requests"]) + cut
    return failed / max(len(load["requests"]) + cut, 1)


def _completed(load: Any) -> int:
    return max(len(load["requests"]), 1)


def memory_growth_kb(memory: Any) -> float:
    """Growth of memory in kB a request, once it has settled: the slope of USS over requests served (Theil–Sen)."""
    points = memory["points"][memory.get("settled", 0) :]
    return 1000 * theil_sen_slope([point[1] for point in points], [point[2] for point in points])


# --- duels: what one arm did ---

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
    if metric == "cpu.ms_per_request":
        return float(1000 * cell["cpu_s"] / requests)
    if metric == "cpu.utilisation":
        return float(cell["cpu_s"] / max(cell["seconds"], TINY) / cell.get("cores", 1))
    raise VerificationError(f"no way to compute {metric} from a duel's rounds")


def start_numbers(duel: Any) -> list[int]:
    """The starts in which both arms were measured, in order."""
    seen = {(cell["start"], cell["arm"]) for cell in duel["cells"]}
    return sorted({start for start, _ in seen if (start, "base") in seen and (start, "candidate") in seen})


def start_value(duel: Any, start: int, arm: str, metric: str) -> float | None:
    """A metric of one arm over one start: the median of its rounds, so that a neighbour's burst in one does not count.

    Tails of rounds with few requests are no tails: if any round of the start, of either arm, has fewer than
    `FEW_SAMPLES`, percentiles are taken over all requests of the arm in that start. The rule is one for both arms, so
    it favours neither.
    """
    of_start = [cell for cell in duel["cells"] if cell["start"] == start]
    mine = [cell for cell in of_start if cell["arm"] == arm]
    if metric in _QUANTILES and any(len(cell["latency_ms"]) < FEW_SAMPLES for cell in of_start):
        pooled = [latency for cell in mine for latency in cell["latency_ms"]]
        return percentile(pooled, _QUANTILES[metric]) if pooled else None
    values = [value for cell in mine if (value := cell_value(cell, metric)) is not None]
    return median(values) if values else None


def start_pairs(duel: Any, metric: str) -> list[tuple[float, float]]:
    """A metric of base and candidate, start by start; starts in which either has no value are left out."""
    if metric == "memory.peak_mb":
        found: list[Any] = [memory_at_equal_work(duel, start) for start in start_numbers(duel)]
    elif metric == "start.seconds":
        seconds = {(start["start"], start["arm"]): float(start["seconds"]) for start in duel["starts"]}
        found = [(seconds[number, "base"], seconds[number, "candidate"]) for number in start_numbers(duel)]
    else:
        arms = ("base", "candidate")
        found = [tuple(start_value(duel, start, arm, metric) for arm in arms) for start in start_numbers(duel)]
    return [pair for pair in found if pair is not None and None not in pair]


def geometric_mean(values: Sequence[float]) -> float:
    """The mean on the scale on which ratios add up; zeros count as `TINY`."""
    return math.exp(float(np.mean([math.log(max(value, TINY)) for value in values])))


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
    """One arm's value of a metric over a whole duel. The argument is `base/http.p95_ms` or `candidate/…`."""
    arm, metric = argument.split("/", 1)
    side = ("base", "candidate").index(arm)
    if metric in duel["counts"].get(arm, {}):
        return float(np.mean(duel["counts"][arm][metric]))
    if metric == "http.error_rate":
        cells = [cell for cell in duel["cells"] if cell["arm"] == arm]
        return float(sum(cell["errors"] for cell in cells) / max(sum(cell["requests"] for cell in cells), 1))
    return geometric_mean([pair[side] for pair in start_pairs(duel, metric)])


# --- computing reported figures again ---


def at_pointer(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


RECOMPUTE: dict[str, Callable[[Any, str], float]] = {
    "percentile": lambda load, q: percentile(answered(load), float(q)),
    "latency_mean": lambda load, _: float(np.mean(answered(load))),
    "rps": lambda load, _: len(load["requests"]) / max(load["seconds"], TINY),
    "error_rate": lambda load, _: error_rate(load),
    "cpu_ms_per_request": lambda load, _: 1000 * load["cpu_s"] / _completed(load),
    "cpu_utilisation": lambda load, _: load["cpu_s"] / max(load["seconds"], TINY) / load["cores"],
    "command_seconds": lambda load, _: median(answered(load)) / 1000,
    "memory_peak_mb": lambda memory, _: max(point[2] for point in memory["points"]),
    "memory_growth_kb": lambda memory, _: memory_growth_kb(memory),
    "duel": duel_value,
    "value": lambda raw, pointer: float(at_pointer(raw, pointer)),
    "mean": lambda raw, pointer: float(np.mean(at_pointer(raw, pointer))),
    "median": lambda raw, pointer: median(at_pointer(raw, pointer)),
    "max": lambda raw, pointer: float(max(at_pointer(raw, pointer))),
    "sum": lambda raw, pointer: float(sum(at_pointer(raw, pointer))),
    "length": lambda raw, pointer: float(len(at_pointer(raw, pointer))),
}  # fmt: skip
"""Method name to a function of the raw file's JSON and the method's argument (what follows the colon).

The last six work on any raw file; their argument is a JSON pointer."""


def recompute(method: str, artifact_json: Any) -> float:
    """Compute a figure again from its raw file, by a method such as `percentile:95` or `duel:base/http.p95_ms`.

    Raises:
        VerificationError: no such method, or the raw file does not hold what it needs.
    """
    name, _, argument = method.partition(":")
    if name not in RECOMPUTE:
        raise VerificationError(f"{method}: no such method of computing a figure")
    try:
        return RECOMPUTE[name](artifact_json, argument)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise VerificationError(f"{method}: the raw file does not hold what it needs ({error!r})") from error
