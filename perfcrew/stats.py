"""Samples to figures: percentiles, slopes, intervals, and how each reported figure is computed again from its raw file.

Everything here is a pure function of raw samples. A `Measurement` names one of `RECOMPUTE` as its method, so that
whoever doubts a figure computes it again from the file that it refers to.

Raw files of load (`tools.load`): see `perfcrew.load_stats`.
Raw files of memory (`tools.memory`): see `perfcrew.memory_stats`.
Raw files of duels (`tools.duel`): see `perfcrew.duel_stats` and `perfcrew.duel_rounds`.
Raw files of pages (`tools.web_vitals`, `tools.page_duel`): see `perfcrew.page_stats` and `perfcrew.page_effects`.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from perfcrew.duel_rounds import TINY, duel_value
from perfcrew.errors import VerificationError
from perfcrew.load_stats import answered, bytes_per_response, capacity_rps, connections_per_request, error_rate
from perfcrew.memory_stats import peak_above_idle
from perfcrew.page_stats import page_value
from perfcrew.quantiles import median, percentile


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


def t_interval(samples: Sequence[float], alpha: float, cut: int = 0) -> tuple[float, float, float]:
    """Mean, and the ends of its two-sided (1 - alpha) interval by Student's t.

    With `cut`, so many samples at either end are left out: the trimmed mean with the interval of Tukey and McLaughlin
    (1963), whose spread is that of the winsorised samples and whose degrees of freedom are those of the samples left.
    One sample has no interval: its ends are minus and plus infinity.
    """
    values = np.sort(np.asarray(samples, dtype=float))
    left = len(values) - 2 * cut
    centre = float(values[cut : cut + left].mean())
    if left < 2:
        return centre, -math.inf, math.inf
    spread = float(np.clip(values, values[cut], values[-1 - cut]).std(ddof=1))
    half = spread * t_width(len(values), alpha, cut)
    return centre, centre - half, centre + half


def t_width(count: int, alpha: float, cut: int = 0) -> float:
    """Half the width of `t_interval` over so many samples whose spread is 1."""
    left = count - 2 * cut
    if left < 2:
        return math.inf
    return float(special.stdtrit(left - 1, 1 - alpha / 2)) * math.sqrt((count - 1) / (left * (left - 1)))


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


# --- load and memory ---


def _completed(load: Any) -> int:
    return max(len(load["requests"]), 1)


def memory_growth_kb(memory: Any) -> float:
    """Growth of memory in kB a request, once it has settled: the slope of USS over requests served (Theil–Sen)."""
    points = memory["points"][memory.get("settled", 0) :]
    return 1000 * theil_sen_slope([point[1] for point in points], [point[2] for point in points])


# --- computing reported figures again ---


def at_pointer(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


RECOMPUTE: dict[str, Callable[[Any, str], float]] = {
    "percentile": lambda load, q: percentile(answered(load), float(q)),
    "latency_max": lambda load, _: max(answered(load)),
    "bytes_per_response": lambda load, _: bytes_per_response(load),
    "connections_per_request": lambda load, _: connections_per_request(load),
    "capacity_rps": lambda search, _: capacity_rps(search),
    "latency_mean": lambda load, _: float(np.mean(answered(load))),
    "rps": lambda load, _: len(load["requests"]) / max(load["seconds"], TINY),
    "error_rate": lambda load, _: error_rate(load),
    "cpu_ms_per_request": lambda load, _: 1000 * load["cpu_s"] / _completed(load),
    "cpu_utilisation": lambda load, _: load["cpu_s"] / max(load["seconds"], TINY) / load["cores"],
    "command_seconds": lambda load, _: median(answered(load)) / 1000,
    "memory_peak_mb": lambda memory, _: max(point[2] for point in memory["points"]),
    "memory_peak_above_idle": lambda memory, _: peak_above_idle(memory),
    "memory_growth_kb": lambda memory, _: memory_growth_kb(memory),
    "lag_percentile": lambda loop, q: percentile(loop["lags_ms"], float(q)),
    "duel": duel_value,
    "page": page_value,
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
