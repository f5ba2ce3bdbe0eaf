"""The page for those who keep the target running: what was changed, what it gained, how to watch and to undo it."""

from collections.abc import Iterable, Sequence

from perfcrew.handover.exporters import Exporter
from perfcrew.handover.places import ALERTS, DASHBOARD, PIPELINE, WORKLOAD
from perfcrew.handover.thresholds import Threshold
from perfcrew.records.report import ChangeRow, MetricRow, Report
from perfcrew.report.figures import name_metric, show_figure, show_interval, show_ratio


def write_page(
    report: Report, thresholds: Sequence[Threshold], exporter: Exporter, found: bool, migrations: Sequence[str]
) -> str:
    """The page as Markdown.

    Args:
        report: of the run.
        thresholds: that alerts, dashboard and performance test use.
        exporter: by whose names metrics are asked for.
        found: whether the target has that exporter.
        migrations: files that change the schema.
    """
    kept = [change for change in report.changes if change.kept]
    parts = [
        f"# Performance of {report.target}",
        "Written by perfcrew from what it measured; every figure is in the report of run "
        f"`{report.run_id}`, and `perfcrew verify` computes it again.",
        "## What was changed",
        *(_tell_change(change) for change in kept),
        "## What it gained",
        _table(report.metrics),
        "A ratio says how many times better; its interval is that of a duel in which both versions took the same load "
        "in turns. Counted figures have none.",
        "## What would be a regression",
        _limits(thresholds),
        "An improved metric counts as lost when half of its gain is, on a scale of ratios. Times depend on the "
        "machine: set those of the alerts by what your own monitoring shows after the deploy.",
        "## How it is watched",
        _watched(exporter, found),
        "## How to take it back",
        _rollback(kept, migrations),
    ]
    return "\n\n".join(parts) + "\n"


def _tell_change(change: ChangeRow) -> str:
    gained = [row for row in change.metrics if row.outcome == "improved"]
    told = "\n".join(f"- {_tell_row(row)}" for row in gained)
    files = ", ".join(f"`{path}`" for path in change.touched)
    return f"### {change.title}\n\nCommit `{(change.commit or '')[:12]}`, {files}.\n\n{told}"


def _tell_row(row: MetricRow) -> str:
    figures = f"{show_figure(row.name, row.base)} → {show_figure(row.name, row.candidate)}"
    interval = "counted" if row.exact else show_interval(row.ratio_low, row.ratio_high)
    return f"{name_metric(row.name)} of {row.workload}: {figures}, {show_ratio(row.ratio)} better ({interval})"


def _table(rows: Iterable[MetricRow]) -> str:
    lines = ["| metric | workload | before | after | better | interval |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row.doubt:
            continue
        interval = "counted" if row.exact else show_interval(row.ratio_low, row.ratio_high)
        figures = f"{show_figure(row.name, row.base)} | {show_figure(row.name, row.candidate)}"
        lines.append(f"| {name_metric(row.name)} | {row.workload} | {figures} | {show_ratio(row.ratio)} | {interval} |")
    return "\n".join(lines)


def _limits(thresholds: Iterable[Threshold]) -> str:
    lines = ["| metric | workload | before | measured | threshold |", "|---|---|---|---|---|"]
    for each in thresholds:
        figures = " | ".join(show_figure(each.metric, value) for value in (each.base, each.measured, each.value))
        lines.append(f"| {name_metric(each.metric)} | {each.workload} | {figures} |")
    return "\n".join(lines)


def _watched(exporter: Exporter, found: bool) -> str:
    known = (
        f"They use the names of {exporter.name}, which the requirements name."
        if found
        else f"No exporter of metrics was found, so they use the names of {exporter.name}: export "
        f"`{exporter.histogram}`, or put your own names into both files. An alert tells when nothing arrives."
    )
    return "\n".join(
        (
            f"- `{WORKLOAD}` is the performance test, and `{PIPELINE}` runs it for each pull request: "
            f"`perfcrew compare main HEAD --config {WORKLOAD} --goals`.",
            f"- `{DASHBOARD}`: in Grafana, Dashboards, New, Import.",
            f"- `{ALERTS}`: under `rule_files` of Prometheus. {known}",
        )
    )


def _rollback(kept: Sequence[ChangeRow], migrations: Sequence[str]) -> str:
    lines = ["Each change is one commit. Take back the newest first; all of them, newest first:", ""]
    lines += [f"    git revert --no-edit {change.commit}" for change in reversed(kept)]
    if migrations:
        names = ", ".join(f"`{path}`" for path in migrations)
        lines += ["", f"Before that, take the schema back with the migrations' own way: {names}."]
    lines += ["", "The commit with this page is the last one and changes no code; leave it out if you do not want it."]
    return "\n".join(lines)


def check_page(text: str, report: Report) -> list[str]:
    """What a reader of the page would miss."""
    problems = []
    for change in report.changes:
        if not change.kept:
            continue
        if change.title not in text:
            problems.append(f"does not tell of {change.title!r}")
        if f"git revert --no-edit {change.commit}" not in text:
            problems.append(f"does not say how to take back {change.title!r}")
    missing = [row.name for row in report.metrics if not row.doubt and _row_cells(row) not in text]
    return problems + [f"does not tell the effect on {name}" for name in missing]


def _row_cells(row: MetricRow) -> str:
    return f"| {name_metric(row.name)} | {row.workload} | {show_figure(row.name, row.base)} |"
