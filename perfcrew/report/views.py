"""What the page draws from raw files. One that is missing or altered leaves a line that says so."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from markupsafe import Markup

from perfcrew.artifacts import Artifacts
from perfcrew.duel_rounds import cell_value
from perfcrew.errors import VerificationError
from perfcrew.load_stats import answered
from perfcrew.quantiles import percentile
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Evidence
from perfcrew.records.report import Report
from perfcrew.records.survey import Survey
from perfcrew.report.criteria import arm_after
from perfcrew.report.diff import DiffLine, read_diff
from perfcrew.report.figures import show_bytes, show_figure, show_number
from perfcrew.report.flame import Hot, rank_functions, read_stacks
from perfcrew.report.flame_svg import flame_svg
from perfcrew.report.page_views import draw_waterfall, waterfall_rows
from perfcrew.report.plots import Series, plot_distribution, plot_lines, plot_rounds

V = TypeVar("V")
ARMS = ("base", "candidate")
DIFF_LINES = 400
"""Lines of a diff that the page shows."""


@dataclass(frozen=True)
class Plot:
    """A drawing and the table of what it shows, for those who read rather than look."""

    title: str
    drawing: Markup
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Profile:
    """A CPU profile: the flame graph, and the functions with the largest own share."""

    title: str
    drawing: Markup
    hot: tuple[Hot, ...]


@dataclass(frozen=True)
class Patch:
    """A diff as the page shows it."""

    lines: tuple[DiffLine, ...] = ()
    cut: int = 0


@dataclass(frozen=True)
class Views:
    """Everything on the page that comes from raw files."""

    artifacts: Artifacts | None
    missing: list[str] = field(default_factory=list)

    def duel(self, ref: ArtifactRef | None, name: str) -> tuple[Plot, ...]:
        """Distribution, rounds and throughput of a duel."""
        return self._try(ref, lambda raw: draw_duel(raw, name), ()) if ref else ()

    def rounds(self, ref: ArtifactRef | None, name: str) -> tuple[Plot, ...]:
        """The rounds of a change's own duel."""
        return self._try(ref, lambda raw: (draw_rounds(raw, name, _leading(raw)),), ()) if ref else ()

    def counts(self, ref: ArtifactRef | None) -> tuple[tuple[str, str, str, str, float, float], ...]:
        """Counted metrics of a duel: title, unit-bearing values of both arms, their share of the larger in per cent."""
        return self._try(ref, draw_counts, ()) if ref else ()

    def memory(self, report: Report | Survey) -> tuple[Plot, ...]:
        """Memory over the load, both arms in one plot for each workload."""
        found: dict[str, list[Series]] = {}
        for evidence in _of_arms(report, "memory"):
            if evidence.artifact:
                nothing: tuple[tuple[float, float], ...] = ()
                points = self._try(evidence.artifact, _memory_points, nothing)
                workload = evidence.id.removeprefix("memory@").rpartition("/")[0]
                found.setdefault(workload, []).append(Series(evidence.id.rpartition("/")[2], points))
        return tuple(
            draw_memory(workload, series, f"memory-{number}")
            for number, (workload, series) in enumerate(found.items())
            if any(one.points for one in series)
        )

    def profiles(self, report: Report | Survey) -> tuple[Profile, ...]:
        """CPU profiles of both arms, drawn to one scale."""
        found = [(item, self._try(item.artifact, _stacks, None)) for item in _of_arms(report, "cpu") if item.artifact]
        taken = [(item, stacks) for item, stacks in found if stacks]
        return draw_profiles(taken)

    def loads(self, survey: Survey) -> tuple[Plot, ...]:
        """Latency distributions, one for each workload under load."""
        shown: list[Plot | None] = []
        for number, evidence in enumerate(_of_arms(survey, "load")):
            if evidence.artifact:
                shown.append(self._try(evidence.artifact, partial(draw_load, name=f"load-{number}"), None))
        return tuple(plot for plot in shown if plot)

    def waterfalls(self, survey: Survey) -> tuple[Plot, ...]:
        """The first visit of each page, request by request."""
        shown: list[Plot | None] = []
        for number, evidence in enumerate(_of_arms(survey, "vitals")):
            if evidence.artifact:
                shown.append(self._try(evidence.artifact, partial(draw_visit, name=f"visit-{number}"), None))
        return tuple(plot for plot in shown if plot)

    def patch(self, ref: ArtifactRef | None) -> Patch:
        """A diff's lines, cut where it is long."""
        lines = read_diff(self._try_text(ref) or "") if ref else []
        return Patch(tuple(lines[:DIFF_LINES]), max(0, len(lines) - DIFF_LINES))

    def _try(self, ref: ArtifactRef, draw: Callable[[Any], V], otherwise: V) -> V:
        text = self._try_text(ref)
        if text is None:
            return otherwise
        try:
            return draw(json.loads(text))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self.missing.append(f"{ref.name}: not in the form that can be drawn ({error!r})")
            return otherwise

    def _try_text(self, ref: ArtifactRef) -> str | None:
        if self.artifacts is None:
            return None
        try:
            content = self.artifacts.get(ref)
        except VerificationError as error:
            self.missing.append(str(error).replace(f"{self.artifacts.folder}/", ""))
            return None
        return (gzip.decompress(content) if ref.suffix.endswith(".gz") else content).decode(errors="replace")


def draw_duel(raw: Any, name: str) -> tuple[Plot, ...]:
    """A duel's latency distribution, its rounds and its throughput."""
    leading = _leading(raw)
    plots = [draw_distribution(raw, name), draw_rounds(raw, f"{name}-rounds", leading)]
    if leading.startswith("http."):
        plots.append(draw_rounds(raw, f"{name}-rps", "http.rps"))
    return tuple(plots)


def draw_distribution(raw: Any, name: str) -> Plot:
    """Latencies of both arms, all rounds together."""
    pooled = {arm: [ms for cell in raw["cells"] if cell["arm"] == arm for ms in cell["latency_ms"]] for arm in ARMS}
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


def draw_load(raw: Any, name: str) -> Plot | None:
    """Latencies under one workload; None for one that is a command."""
    latencies = answered(raw)
    if raw["kind"] == "command" or not latencies:
        return None
    levels = (50, 90, 95, 99)
    drawing = plot_distribution(name, "response time", {"base": latencies}, "ms")
    row = (raw["workload"], str(len(latencies)), *(f"{show_number(percentile(latencies, q))} ms" for q in levels))
    header = ("workload", "requests", *(f"P{q}" for q in levels))
    return Plot(f"Response times: {raw['workload']}", drawing, header, (row,))


def draw_visit(raw: Any, name: str) -> Plot:
    """The first visit of a page as a waterfall."""
    title = f"Waterfall of {raw['workload']}: the first visit"
    rows = tuple(
        (address, kind, f"{start:,.0f} ms", f"{first:,.0f} ms", f"{end:,.0f} ms", show_bytes(size))
        for address, kind, start, first, end, size in waterfall_rows(raw["visits"][0])
    )
    header = ("request", "type", "start", "first byte", "end", "on the wire")
    return Plot(title, draw_waterfall(raw["visits"][0], name, title), header, rows)


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


def draw_memory(workload: str, series: list[Series], name: str) -> Plot:
    """Unique set size over the time of the load."""
    rows = tuple(
        (
            one.arm,
            *(show_bytes(1e6 * mb) for mb in (one.points[0][1], one.points[-1][1], max(y for _, y in one.points))),
        )
        for one in series
        if one.points
    )
    drawing = plot_lines(name, f"Memory under load: {workload}", series, "seconds of load", "USS (MB)")
    return Plot(f"Memory over time: {workload}", drawing, ("version", "at first", "at last", "peak"), rows)


def draw_profiles(taken: Sequence[tuple[Evidence, Counter[tuple[str, ...]]]]) -> tuple[Profile, ...]:
    """The samples that held the interpreter, as flame graphs whose widths compare as CPU time a request does."""
    costs = [float(item.facts.get("cpu_ms") or 0.0) for item, _ in taken]
    most = max(costs, default=0.0)
    shown = []
    for number, ((item, stacks), cost) in enumerate(zip(taken, costs, strict=True)):
        others = [other for place, (_, other) in enumerate(taken) if place != number]
        title = f"{item.id.rpartition('/')[2]}: {item.title}"
        drawing = flame_svg(
            stacks, name=f"flame-{number}", title=title, compared=others[0] if others else None,
            scale=cost / most if most else 1.0,
        )  # fmt: skip
        shown.append(Profile(title, drawing, tuple(rank_functions(stacks))))
    return tuple(shown)


def _stacks(raw: Any) -> Counter[tuple[str, ...]]:
    return read_stacks(raw["gil"], raw["root"])


def _leading(raw: Any) -> str:
    """The metric whose rounds are shown: the tail where rounds have requests enough for one."""
    if raw["protocol"].get("kind", "http") == "command":
        return "command.seconds"
    return "http.p95_ms" if min(len(cell["latency_ms"]) for cell in raw["cells"]) >= 40 else "http.p50_ms"


def _memory_points(raw: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(point[0]), float(point[2])) for point in raw["points"])


def _of_arms(report: Report | Survey, kind: str) -> list[Evidence]:
    """Evidence of the base, then of the candidate where something was kept."""
    arms = dict.fromkeys(("base", "base" if isinstance(report, Survey) else arm_after(report)))
    return [item for arm in arms for item in report.evidence if item.kind == kind and item.id.endswith(f"/{arm}")]
