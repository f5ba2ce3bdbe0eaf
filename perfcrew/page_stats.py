"""One visit of a page to its vitals.

Raw files of vitals (`tools.web_vitals`) hold `visits`, a list; those of page duels (`tools.page_duel`) one a side.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfcrew.quantiles import median

LONG_TASK_MS = 50.0
QUIET_MS = 5000.0
QUIET_REQUESTS = 2
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


def page_value(raw: Any, argument: str) -> float:
    """The median of a metric over the visits of a raw file; `argument` is the metric, of a duel `arm/metric`.

    Raises:
        KeyError: the file has no such arm, or no visit such a metric.
    """
    arm, _, metric = argument.rpartition("/")
    visits = raw["visits"][arm] if arm else raw["visits"]
    return median([value for value in collect_values(visits)[metric] if value is not None])
