"""A duel as the page draws it: distributions, rounds, throughput against concurrency, counts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from perfcrew.duel_rounds import cell_value
from perfcrew.load_stats import answered
from perfcrew.quantiles import percentile
from perfcrew.report.figures import show_figure, show_number
from perfcrew.report.plots import Plot, Series, plot_density, plot_distribution, plot_points, plot_rounds

ARMS = ("base", "candidate")


def draw_duel(raw: Any, name: str) -> tuple[Plot, ...]:
    """A duel's latency distribution, its rounds and its throughput; of a command its rounds."""
    leading = leading_metric(raw)
    if not leading.startswith("http."):
        return (draw_rounds(raw, f"{name}-rounds", leading),)
    return (
        draw_distribution(raw, name),
        draw_density(raw, f"{name}-density"),
        draw_rounds(raw, f"{name}-rounds", leading),
        draw_rounds(raw, f"{name}-rps", "http.rps"),
    )


def draw_distribution(raw: Any, name: str) -> Plot:
    """Latencies of both arms, all rounds together."""
    pooled = _pool(raw)
    levels = (50, 90, 95, 99)
    rows = tuple(
        (arm, str(len(values)), *(f"{show_number(percentile(values, q))} ms" for q in levels))
        for arm, values in pooled.items()
        if values
    )
    drawing = plot_distribution(name, "response time", pooled, "ms")
    header = ("version", "requests", *(f"P{q}" for q in levels))
    note = "All rounds pooled; the effects above weigh each fresh start alike, so their figures differ a little."
    return Plot("Response times before and after", drawing, header, rows, note)


def draw_density(raw: Any, name: str) -> Plot:
    """Which latencies occur how often."""
    pooled = _pool(raw)
    rows = tuple(
        (arm, *(f"{show_number(value)} ms" for value in (min(values), percentile(values, 25), percentile(values, 75),
                                                         max(values))))
        for arm, values in pooled.items()
        if values
    )  # fmt: skip
    drawing = plot_density(name, "response time", pooled, "ms")
    return Plot("How response times are spread", drawing, ("version", "least", "P25", "P75", "most"), rows)


class Load(NamedTuple):
    """One time that an arm was under load."""

    arm: str
    latency_ms: Sequence[float]
    seconds: float


def draw_throughput(loads: Sequence[Load], name: str, title: str) -> Plot | None:
    """Throughput against concurrency, a mark for each time that an arm was under load.

    The concurrency is the mean number of requests under way, by Little's law: the sum of their times over the time.

    Args:
        loads: what is shown.
        name: unique on the page.
        title: of the plot.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for load in loads:
        if load.seconds > 0 and load.latency_ms:
            mean = sum(load.latency_ms) / 1000 / load.seconds
            points.setdefault(load.arm, []).append((mean, len(load.latency_ms) / load.seconds))
    series = [Series(arm, tuple(sorted(points[arm]))) for arm in ARMS if arm in points]
    if not series:
        return None
    rows = tuple(
        (one.arm, str(len(one.points)), *(f"{show_number(low)} to {show_number(high)}" for low, high in _ranges(one)))
        for one in series
    )
    x_title, y_title = "requests under way, mean", "completed requests a second"
    header = ("version", "times", "requests under way", "completed a second")
    note = "Requests under way: the sum of their response times over the time (Little's law)."
    return Plot(title, plot_points(name, title, series, x_title, y_title), header, rows, note,
                tuple(one.arm for one in series))  # fmt: skip


def list_loads(raw: Any, arm: str) -> list[Load]:
    """Each time under load in the raw file of a duel, of a search for the capacity, or of one load on an arm."""
    if "cells" in raw:
        return [Load(cell["arm"], cell["latency_ms"], float(cell["seconds"])) for cell in raw["cells"]]
    if raw.get("kind") == "command":
        return []
    return [Load(arm, answered(step), float(step["seconds"])) for step in raw.get("steps", (raw,))]


def _ranges(one: Series) -> Iterator[tuple[float, float]]:
    for at in (0, 1):
        values = [point[at] for point in one.points]
        yield min(values), max(values)


def _pool(raw: Any) -> dict[str, list[float]]:
    """Latencies by arm, all rounds together."""
    return {arm: [ms for cell in raw["cells"] if cell["arm"] == arm for ms in cell["latency_ms"]] for arm in ARMS}


def draw_rounds(raw: Any, name: str, metric: str) -> Plot:
    """One metric round by round."""
    cells = sorted(raw["cells"], key=lambda cell: (cell["start"], cell["round"], cell["order"]))
    found: dict[str, list[tuple[float, float]]] = {arm: [] for arm in ARMS}
    for position, cell in enumerate(cells):
        value = cell_value(cell, metric)
        if value is not None:
            found[cell["arm"]].append((float(position), value))
    borders = [i - 0.5 for i in range(1, len(cells)) if cells[i]["start"] != cells[i - 1]["start"]]
    unit = {"http.rps": "per second", "command.seconds": "s"}.get(metric, "ms")
    title = {"http.rps": "completed requests", "http.p95_ms": "P95", "http.p50_ms": "P50"}.get(metric, "wall time")
    series = [Series(arm, tuple(points)) for arm, points in found.items()]
    rows = tuple(
        (arm, str(len(points)), *(show_number(pick(y for _, y in points)) for pick in (min, max)))
        for arm, points in found.items()
        if points
    )
    drawing = plot_rounds(name, title, series, borders, unit)
    return Plot(f"{title[:1].upper()}{title[1:]} by round", drawing, ("version", "rounds", "least", "most"), rows)


def draw_counts(raw: Any) -> tuple[tuple[str, str, str, str, float, float], ...]:
    """Queries and bytes of both arms, as means over the requests."""
    shown = []
    for metric, title in (
        ("db.queries_per_request", "queries a request"),
        ("http.bytes_per_response", "bytes a response"),
    ):
        values = [raw["counts"].get(arm, {}).get(metric) for arm in ARMS]
        if all(values):
            before, after = (sum(value) / len(value) for value in values)
            most = max(before, after) or 1.0
            texts = (show_figure(metric, before), show_figure(metric, after))
            shown.append((title, metric, *texts, round(100 * before / most, 2), round(100 * after / most, 2)))
    return tuple(shown)


def leading_metric(raw: Any) -> str:
    """The metric whose rounds are shown: the tail where rounds have requests enough for one."""
    if raw["protocol"].get("kind", "http") == "command":
        return "command.seconds"
    return "http.p95_ms" if min(len(cell["latency_ms"]) for cell in raw["cells"]) >= 40 else "http.p50_ms"
