"""A report as one self-contained HTML page: no network; whatever comes from the target is escaped.

The page is whole without a script. Its own one adds reading values off plots, zoom, and ways into flame graphs; the
page's content security policy lets no other script run and nothing be fetched.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from perfcrew.artifacts import Artifacts
from perfcrew.records.report import MetricRow, Report
from perfcrew.records.work import PlanStep
from perfcrew.report import figures, summary
from perfcrew.report.excerpt import Excerpt
from perfcrew.report.plots import place_ratio
from perfcrew.report.timeline import place_agents, saved_seconds, time_ticks
from perfcrew.report.usage import HEADER, describe_gap, show_share, usage_rows
from perfcrew.report.views import Views

_FILTERS = {
    "bytes": figures.show_bytes,
    "clean": figures.clean,
    "interval": summary.describe_interval,
    "kind": figures.name_kind,
    "metric": figures.name_metric,
    "money": figures.show_money,
    "number": figures.show_number,
    "outcome": figures.name_outcome,
    "gain": summary.describe_gain,
    "ratio": figures.show_ratio,
    "seconds": figures.show_seconds,
    "sentence": summary.start_sentence,
    "share": show_share,
    "tick": summary.tick,
    "word": summary.word,
}
_HEADLINES = 4
_OPEN_FINDINGS = 6
"""Findings that are shown at once; the less grave ones can be opened."""
"""Metrics in large figures on the first screen."""
_TRACK = (0.2, 100.0)
"""Ratios beyond these lie on the track's ends."""
_RULES = ("default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'")
_SHORT = {
    "http.p50_ms": "P50",
    "http.p95_ms": "P95",
    "db.queries_per_request": "queries a request",
    "cpu.ms_per_request": "CPU a request",
    "http.rps": "throughput",
    "command.seconds": "wall time",
}


def render_html(report: Report, artifacts: Artifacts | None, excerpts: Mapping[str, Excerpt] | None = None) -> str:
    """The page. Where a raw file is missing or altered its plot is left out, and the page says so.

    Args:
        report: what is shown.
        artifacts: the run's raw files; without them there are no plots.
        excerpts: finding id to the code that it is about.
    """
    views = Views(artifacts)
    steps = summary.predicted_steps(report)
    return find_template("page.html").render(
        report=report,
        headline=summary.head_line(report),
        large=[(_SHORT[row.name], row) for row in _lead(report)],
        findings=summary.rank_findings(report),
        kept=summary.kept_changes(report),
        dropped=summary.dropped_changes(report),
        excerpts=excerpts or {},
        steps=list(zip(steps, _predictions(steps), strict=True)),
        tracks=_tracks(report.metrics),
        change=figures.show_change,
        figure=figures.show_figure,
        plots=views.duel(report.duel_samples or report.noise_samples, "final"),
        noise=views.noise(report.noise_samples) if report.duel_samples else (),
        counts=views.counts(report.duel_samples or report.noise_samples),
        throughput=views.throughput(report),
        memory=views.memory(report),
        waterfalls=views.waterfalls(report),
        profiles=views.profiles(report),
        rounds=[views.rounds(change.samples, number) for number, change in enumerate(report.changes, 1)],
        patches=[views.patch(change.diff) for change in report.changes],
        lanes=place_agents(report),
        ticks=time_ticks(report),
        saved=saved_seconds(report),
        usage=usage_rows(report),
        usage_header=HEADER,
        usage_gap=describe_gap(report),
        missing=views.missing,
    )


def find_template(name: str) -> Template:
    """A page's template; whatever is put into it is escaped."""
    environment = Environment(
        loader=PackageLoader("perfcrew.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    environment.globals.update(read_script("page.js"), open_findings=_OPEN_FINDINGS)
    return environment.get_template(name)


@cache
def read_script(name: str, *more: str) -> dict[str, str]:
    """A script of the pages', and the policy that lets it run and nothing else, but for what `more` allows."""
    text = files("perfcrew.report.page").joinpath(name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    rules = (*_RULES, f"script-src 'sha256-{digest}'", *more)
    return {"script": Markup(text), "policy": "; ".join(rules)}


def _predictions(steps: Sequence[tuple[PlanStep, MetricRow | None, str]]) -> list[dict[str, float]]:
    """Where each step's predicted and measured gain lie on one logarithmic track, in per cent."""
    known = [value for step, row, _ in steps for value in (step.predicted_ratio, *_ends(row))]
    low, high = _track_ends(known)
    placed = []
    for step, row, _ in steps:
        track = {"one": place_ratio(1.0, low, high), "predicted": place_ratio(step.predicted_ratio, low, high)}
        names = ("low", "high", "ratio")
        placed.append(track | {name: place_ratio(end, low, high) for name, end in zip(names, _ends(row), strict=False)})
    return placed


def _ends(row: MetricRow | None) -> tuple[float, ...]:
    return (row.ratio_low, row.ratio_high, row.ratio) if row else ()


def _track_ends(ratios: Sequence[float]) -> tuple[float, float]:
    return max(min([0.8, *ratios]), _TRACK[0]), min(max([1.25, *ratios]), _TRACK[1])


def _lead(report: Report) -> list[MetricRow]:
    first = next(iter(report.workloads), "")
    rows = {row.name: row for row in report.metrics if row.workload == first}
    return [rows[name] for name in _SHORT if name in rows][:_HEADLINES]


def _tracks(rows: tuple[MetricRow, ...]) -> list[dict[str, float]]:
    """Where each metric's ratio and interval lie on one logarithmic track, in per cent."""
    low, high = _track_ends([end for row in rows for end in _ends(row)])
    return [
        {
            "low": place_ratio(row.ratio_low, low, high),
            "high": place_ratio(row.ratio_high, low, high),
            "ratio": place_ratio(row.ratio, low, high),
            "one": place_ratio(1.0, low, high),
        }
        for row in rows
    ]
