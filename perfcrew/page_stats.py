"""One visit of a page to its vitals, and the visits of two versions to effects.

A raw page duel is a JSON object: workload; alpha; values, for `base` and `candidate` metric to one value a visit, where
visits of the same number were made one after the other (a missing value is null).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfcrew.quantiles import median
from perfcrew.records.base import Outcome
from perfcrew.records.evidence import Effect
from perfcrew.records.metrics import METRICS
from perfcrew.records.vitals import CORE, VITALS
from perfcrew.stats import t_interval

LONG_TASK_MS = 50.0
QUIET_MS = 5000.0
QUIET_REQUESTS = 2
ALPHA = 0.05
MATTERS = 0.10
"""A relative change of a vital that a user would want to know of."""
FLOORS: dict[str, tuple[float, float]] = {
    "page.lcp_ms": (0.05, 40.0), "page.cls": (0.10, 0.01), "page.inp_ms": (0.10, 16.0), "page.tbt_ms": (0.10, 50.0),
    "page.fcp_ms": (0.05, 40.0), "page.ttfb_ms": (0.05, 20.0), "page.fid_ms": (0.20, 16.0), "page.tti_ms": (0.05, 50.0),
    "page.bytes": (0.01, 0.0), "page.requests": (0.01, 0.0), "page.unused_bytes": (0.01, 0.0),
}  # fmt: skip
"""Metric to relative and absolute change (in its unit), both of which a difference must exceed. The absolute ones are
about what a frame, the clock's steps for events, and the measured spread of five throttled visits leave open."""
_RESOLUTION: dict[str, float] = {"page.cls": 0.01, "page.tbt_ms": 10.0, "page.inp_ms": 8.0, "page.fid_ms": 1.0}
"""What smaller values count as where a ratio is formed."""

Spans = Sequence[Sequence[float]]
"""Long tasks as pairs of start and duration, or requests as pairs of start and end, in ms since navigation."""


def find_interactive(fcp_ms: float, tasks: Spans, requests: Spans, seen_until_ms: float) -> float | None:
    """Time to interactive: the end of the last long task before the first five quiet seconds after FCP.

    Quiet is a time without long tasks and with at most two requests under way (Lighthouse's definition). None where the
    observation ended before five such seconds had passed.
    """
    busy = [(start, start + duration) for start, duration in tasks if duration >= LONG_TASK_MS]
    busy += _crowded(requests)
    quiet_from = fcp_ms
    for start, end in sorted(busy):
        if end <= fcp_ms:
            continue
        if start - quiet_from >= QUIET_MS:
            break
        quiet_from = max(quiet_from, end)
    if seen_until_ms - quiet_from < QUIET_MS:
        return None
    ends = [start + duration for start, duration in tasks if duration >= LONG_TASK_MS]
    return max([fcp_ms, *(end for end in ends if end <= quiet_from)])


def _crowded(requests: Spans) -> list[tuple[float, float]]:
    """The times in which more than two requests are under way."""
    steps = sorted([(start, 1) for start, _ in requests] + [(end, -1) for _, end in requests])
    found, open_ones, since = [], 0, 0.0
    for at, step in steps:
        before, open_ones = open_ones, open_ones + step
        if before <= QUIET_REQUESTS < open_ones:
            since = at
        elif open_ones <= QUIET_REQUESTS < before:
            found.append((since, at))
    return found


def blocking_time(tasks: Spans, start_ms: float, end_ms: float) -> float:
    """Total blocking time: what long tasks take beyond 50 ms each, within a span (Lighthouse's definition)."""
    total = 0.0
    for start, duration in tasks:
        if duration < LONG_TASK_MS:
            continue
        inside = min(start + duration, end_ms) - max(start, start_ms)
        total += max(0.0, inside - LONG_TASK_MS)
    return total


def visit_values(visit: Mapping[str, Any]) -> dict[str, float | None]:
    """A visit's vitals by metric; None for what did not happen, such as an interaction.

    `visit` holds vitals (by name, with their value), long_tasks, requests (start and end), first_input, and
    loaded_until, the time in ms until which only loading was watched, before the first interaction.
    """
    vitals = {name: entry["value"] for name, entry in visit["vitals"].items()}
    fcp = vitals.get("FCP")
    until = float(visit["loaded_until"])
    tasks = [task for task in visit["long_tasks"] if task[0] < until]
    interactive = None if fcp is None else find_interactive(fcp, tasks, visit["requests"], until)
    blocked = None if fcp is None else blocking_time(tasks, fcp, until if interactive is None else interactive)
    first = visit.get("first_input")
    return {
        "page.lcp_ms": vitals.get("LCP"),
        # A page that never shifted reports nothing.
        "page.cls": vitals.get("CLS", 0.0),
        "page.inp_ms": vitals.get("INP"),
        "page.tbt_ms": blocked,
        "page.fcp_ms": fcp,
        "page.ttfb_ms": vitals.get("TTFB"),
        "page.fid_ms": None if first is None else first["delay"],
        "page.tti_ms": interactive,
        "page.bytes": visit.get("bytes"),
        "page.requests": visit.get("request_count"),
    }


def collect_values(visits: Iterable[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Metric to one value a visit, for metrics that some visit has."""
    rows = [visit_values(visit) for visit in visits]
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def page_effects(duel: Any) -> tuple[Effect, ...]:
    """The effects of a raw page duel: vitals first, then what is counted.

    The unit is a pair of visits. The log of the ratio is taken in each, with small values counted as what can be
    resolved; Student's t over the pairs gives the interval. Alpha is shared equally among the Core Web Vitals, which
    decide (Bonferroni); the other vitals are shown with intervals as wide.
    """
    alpha = float(duel["alpha"]) / len(CORE)
    names = [vital.metric for vital in VITALS] + [name for name in FLOORS if METRICS[name].basis == "counted"]
    found = (_effect(duel, name, alpha) for name in names)
    return tuple(effect for effect in found if effect is not None)


def _effect(duel: Any, metric: str, alpha: float) -> Effect | None:
    sides = (duel["values"]["base"].get(metric, ()), duel["values"]["candidate"].get(metric, ()))
    pairs = [(before, after) for before, after in zip(*sides, strict=False) if before is not None and after is not None]
    if len(pairs) < 2:
        return None
    known, least = METRICS[metric], _RESOLUTION.get(metric, 1.0)
    logs = [math.log(max(before, least)) - math.log(max(after, least)) for before, after in pairs]
    exact = known.basis == "counted" and len(set(pairs)) == 1
    ratio, low, high = (math.exp(min(max(value, -50.0), 50.0)) for value in t_interval(logs, alpha))
    base, candidate = median([pair[0] for pair in pairs]), median([pair[1] for pair in pairs])
    relative, absolute = FLOORS[metric]
    return Effect(
        metric=metric, workload=duel["workload"], unit=known.unit, better=known.better, base=base, candidate=candidate,
        ratio=ratio, ratio_low=low, ratio_high=high, confidence=1.0 if exact else round(1 - alpha * len(CORE), 6),
        floor=relative, exact=exact, outcome=_judge((ratio, low, high), relative, abs(base - candidate) > absolute),
    )  # fmt: skip


def _judge(ratios: tuple[float, float, float], relative: float, visible: bool) -> Outcome:
    """As in a duel of loads, and besides the difference must exceed what a page's clock and frames leave open."""
    ratio, low, high = ratios
    if visible and low > 1 and ratio > 1 + relative:
        return "improved"
    if visible and high < 1 and 1 / ratio > 1 + relative:
        return "regressed"
    if visible and (high > 1 + MATTERS or low < 1 / (1 + MATTERS)):
        return "underpowered"
    return "no_significant_change"
