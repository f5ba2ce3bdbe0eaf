"""What the page draws from raw files. One that is missing or altered leaves a line that says so."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from markupsafe import Markup

from perfcrew.artifacts import Artifacts
from perfcrew.errors import VerificationError
from perfcrew.load_stats import answered
from perfcrew.quantiles import percentile
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Evidence
from perfcrew.records.report import Report
from perfcrew.records.survey import Survey
from perfcrew.report.criteria import arm_after
from perfcrew.report.diff import DiffLine, read_diff
from perfcrew.report.duel_views import (
    Load,
    draw_counts,
    draw_duel,
    draw_rounds,
    draw_throughput,
    leading_metric,
    list_loads,
)
from perfcrew.report.figures import show_bytes, show_number
from perfcrew.report.flame import Hot, rank_functions, read_stacks
from perfcrew.report.flame_svg import flame_svg
from perfcrew.report.page_views import draw_waterfall, waterfall_rows
from perfcrew.report.plots import Plot, Series, plot_distribution, plot_lines

V = TypeVar("V")
DIFF_LINES = 400
"""Lines of a diff that the page shows."""


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

    def noise(self, ref: ArtifactRef | None) -> tuple[Plot, ...]:
        """What the base against itself shows: the distribution alone."""
        return tuple(replace(plot, title=f"{plot.title}: both are the base") for plot in self.duel(ref, "noise")[:1])

    def rounds(self, ref: ArtifactRef | None, number: int) -> tuple[Plot, ...]:
        """The rounds of the own duel of a change, by its number."""
        if not ref:
            return ()
        nothing: tuple[Plot, ...] = ()
        drawn = self._try(ref, lambda raw: (draw_rounds(raw, f"change-{number}", leading_metric(raw)),), nothing)
        return tuple(replace(plot, title=f"Change {number}: {plot.title}") for plot in drawn)

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

    def waterfalls(self, report: Report | Survey) -> tuple[Plot, ...]:
        """A visit of each page, request by request: the first one, of both versions where a duel compared them."""
        found: list[tuple[ArtifactRef | None, str]]
        if isinstance(report, Report) and report.pages:
            found = [(page.samples, arm) for page in report.pages for arm in ("base", "candidate")]
        else:
            found = [(item.artifact, "") for item in _of_arms(report, "vitals")]
        shown: list[Plot | None] = []
        for number, (ref, arm) in enumerate(found):
            if ref:
                shown.append(self._try(ref, partial(draw_visit, name=f"visit-{number}", arm=arm), None))
        return tuple(plot for plot in shown if plot)

    def throughput(self, report: Report | Survey) -> tuple[Plot, ...]:
        """Throughput against concurrency of each workload, from all that loaded it."""
        refs: dict[str, list[tuple[str, ArtifactRef]]] = {}
        for evidence in (*_of_arms(report, "capacity"), *_of_arms(report, "load")):
            workload, _, arm = evidence.id.partition("@")[2].rpartition("/")
            if evidence.artifact:
                refs.setdefault(workload, []).append((arm, evidence.artifact))
        duel = (report.duel_samples or report.noise_samples) if isinstance(report, Report) else None
        if duel and isinstance(report, Report) and report.workloads:
            refs.setdefault(next(iter(report.workloads)), []).append(("", duel))
        shown: list[Plot | None] = []
        for number, (workload, found) in enumerate(refs.items()):
            nothing: list[Load] = []
            loads = [load for arm, ref in found for load in self._try(ref, partial(list_loads, arm=arm), nothing)]
            title = f"Throughput against concurrency: {workload}"
            shown.append(draw_throughput(loads, f"throughput-{number}", title))
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


def draw_load(raw: Any, name: str) -> Plot | None:
    """Latencies under one workload; None for one that is a command."""
    latencies = answered(raw)
    if raw["kind"] == "command" or not latencies:
        return None
    levels = (50, 90, 95, 99)
    drawing = plot_distribution(name, "response time", {"base": latencies}, "ms")
    row = (raw["workload"], str(len(latencies)), *(f"{show_number(percentile(latencies, q))} ms" for q in levels))
    header = ("workload", "requests", *(f"P{q}" for q in levels))
    return Plot(f"Response times: {raw['workload']}", drawing, header, (row,), arms=("base",))


def draw_visit(raw: Any, name: str, arm: str = "") -> Plot:
    """The first visit of a page as a waterfall; of a duel that of an arm."""
    visit = (raw["visits"][arm] if arm else raw["visits"])[0]
    title = f"Waterfall of {raw['workload']}: the first visit{f' of the {arm}' if arm else ''}"
    rows = tuple(
        (address, kind, f"{start:,.0f} ms", f"{first:,.0f} ms", f"{end:,.0f} ms", show_bytes(size))
        for address, kind, start, first, end, size in waterfall_rows(visit)
    )
    header = ("request", "type", "start", "first byte", "end", "on the wire")
    return Plot(title, draw_waterfall(visit, name, title), header, rows)


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


def _memory_points(raw: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(point[0]), float(point[2])) for point in raw["points"])


def _of_arms(report: Report | Survey, kind: str) -> list[Evidence]:
    """Evidence of the base, then of the candidate where something was kept."""
    arms = dict.fromkeys(("base", "base" if isinstance(report, Survey) else arm_after(report)))
    return [item for arm in arms for item in report.evidence if item.kind == kind and item.id.endswith(f"/{arm}")]
