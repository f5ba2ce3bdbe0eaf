"""A report as one self-contained HTML page: no script, no network; whatever comes from the target is escaped."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from perfcrew.artifacts import Artifacts
from perfcrew.records.report import MetricRow, Report
from perfcrew.report import figures, summary
from perfcrew.report.plots import place_ratio
from perfcrew.report.timeline import place_phases, saved_seconds
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
"""Metrics in large figures on the first screen."""
_TRACK = (0.2, 100.0)
"""Ratios beyond these lie on the track's ends."""
_SHORT = {
    "http.p50_ms": "P50",
    "http.p95_ms": "P95",
    "db.queries_per_request": "queries a request",
    "cpu.ms_per_request": "CPU a request",
    "http.rps": "throughput",
    "command.seconds": "wall time",
}


def render_html(report: Report, artifacts: Artifacts | None) -> str:
    """The page. Where a raw file is missing or altered its plot is left out, and the page says so."""
    views = Views(artifacts)
    return find_template("page.html").render(
        report=report,
        headline=summary.head_line(report),
        large=[(_SHORT[row.name], row) for row in _lead(report)],
        findings=summary.rank_findings(report),
        kept=summary.kept_changes(report),
        dropped=summary.dropped_changes(report),
        steps=summary.predicted_steps(report),
        tracks=_tracks(report.metrics),
        change=figures.show_change,
        figure=figures.show_figure,
        plots=views.duel(report.duel_samples or report.noise_samples, "final"),
        noise=views.duel(report.noise_samples, "noise")[:1] if report.duel_samples else (),
        counts=views.counts(report.duel_samples or report.noise_samples),
        memory=views.memory(report),
        profiles=views.profiles(report),
        rounds=[views.rounds(change.samples, f"change-{i}") for i, change in enumerate(report.changes)],
        patches=[views.patch(change.diff) for change in report.changes],
        phases=place_phases(report),
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
    return environment.get_template(name)


def _lead(report: Report) -> list[MetricRow]:
    first = next(iter(report.workloads), "")
    rows = {row.name: row for row in report.metrics if row.workload == first}
    return [rows[name] for name in _SHORT if name in rows][:_HEADLINES]


def _tracks(rows: tuple[MetricRow, ...]) -> list[dict[str, float]]:
    """Where each metric's ratio and interval lie on one logarithmic track, in per cent."""
    ends = [end for row in rows for end in (row.ratio_low, row.ratio_high, row.ratio)]
    low, high = max(min(0.8, *ends), _TRACK[0]), min(max(1.25, *ends), _TRACK[1])
    return [
        {
            "low": place_ratio(row.ratio_low, low, high),
            "high": place_ratio(row.ratio_high, low, high),
            "ratio": place_ratio(row.ratio, low, high),
            "one": place_ratio(1.0, low, high),
        }
        for row in rows
    ]
