"""Does memory grow with the requests served? A pure judgement of readings, by the request and not by the clock.

Two versions of one program, one twice as fast, serve different numbers of requests in equal time: any rule about total
growth would tell them apart. So growth is judged in kB a request, with an interval, and the answer may be "can't tell".

Raw files of memory (`tools.memory`): `points`, a list of [seconds, requests served, USS in MB, and where known PSS and
RSS]; `settled`, the number of points at the beginning that don't count for growth; `idle`, the USS before the load.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import special

LEAK_KB = 1.0
"""Growth a request from which on it is a leak: a gigabyte in a million requests."""
LEAK_TOTAL_MB = 0.5
"""Less than this in all may be an allocator's step, whatever the interval says."""
LEAK_RISING = 0.7
"""The least share of stretches in which a leak rises."""
STRETCHES = 7
"""Averages over equal numbers of requests between which growth is read."""
CONFIDENCE = 0.95
Answer = Literal["yes", "no", "can't tell"]


class Growth(NamedTuple):
    """Growth of memory in kB (1,000 bytes) a request over the settled part of a load, and whether it is a leak."""

    leak: Answer
    mean: float
    low: float
    high: float
    rising: float
    """Share of the stretches in which it rose, 0 to 1."""
    later: float
    """Growth a request in the later half: what fills up and stops has little there."""
    requests: float
    """Requests over which it was judged."""

    @property
    def total_mb(self) -> float:
        """Growth over all these requests."""
        return self.mean * self.requests / 1000


def judge_growth(memory: Any, most: float = math.inf) -> Growth:
    """Judge a raw file of memory.

    The settled readings are averaged over `STRETCHES` equal stretches of requests. The steps between neighbouring
    averages, each divided by its requests, give the mean and Student's interval; what is the noise of an average lies
    in two steps with opposite signs, so the interval is rather too wide than too narrow.

    Args:
        memory: the raw file.
        most: judge only readings up to this many requests, to compare versions at equal work.
    """
    points = [point for point in memory["points"][memory.get("settled", 0) :] if point[1] <= most]
    averages = _average([(float(point[1]), float(point[2])) for point in points])
    steps = [1000 * (after[1] - before[1]) / (after[0] - before[0]) for before, after in itertools.pairwise(averages)]
    requests = points[-1][1] - points[0][1] if points else 0.0
    if len(steps) < STRETCHES - 1:
        return Growth("can't tell", float(np.mean(steps)) if steps else 0.0, -math.inf, math.inf, 0.0, 0.0, requests)
    mean = float(np.mean(steps))
    half = float(special.stdtrit(len(steps) - 1, (1 + CONFIDENCE) / 2) * np.std(steps, ddof=1) / math.sqrt(len(steps)))
    rising = sum(step > 0 for step in steps) / len(steps)
    later = float(np.mean(steps[len(steps) // 2 :]))
    found = Growth("can't tell", mean, mean - half, mean + half, rising, later, requests)
    return found._replace(leak=_answer(found))


def _answer(growth: Growth) -> Answer:
    if growth.high <= LEAK_KB:
        return "no"
    steady = growth.rising >= LEAK_RISING and growth.later >= growth.mean / 2
    return "yes" if growth.low > LEAK_KB and growth.total_mb > LEAK_TOTAL_MB and steady else "can't tell"


def _average(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Mean requests and mean memory of equal stretches of requests; a stretch without a reading is left out."""
    if not points or points[-1][0] <= points[0][0]:
        return []
    borders = np.linspace(points[0][0], points[-1][0], STRETCHES + 1)
    places = np.clip(np.searchsorted(borders, [served for served, _ in points], side="right") - 1, 0, STRETCHES - 1)
    found = []
    for stretch in range(STRETCHES):
        inside = [point for point, place in zip(points, places, strict=True) if place == stretch]
        if inside:
            served, used = np.mean(inside, axis=0)
            found.append((float(served), float(used)))
    return found


def peak_above_idle(memory: Any) -> float:
    """The highest USS under load above what the idle server had after its warm-up, in MB."""
    return max(0.0, max(float(point[2]) for point in memory["points"]) - float(memory["idle"]))
