"""A report as Markdown (GitHub's dialect). What comes from the target is escaped."""

import re
from collections.abc import Iterable, Sequence

from perfcrew.records.report import ChangeRow, CriterionRow, MetricRow, Report
from perfcrew.report.figures import (
    clean,
    name_kind,
    name_outcome,
    show_change,
    show_figure,
    show_ratio,
    show_seconds,
)
from perfcrew.report.summary import (
    describe_interval,
    dropped_changes,
    head_line,
    kept_changes,
    predicted_steps,
    rank_findings,
    start_sentence,
    tick,
    word,
)
from perfcrew.report.timeline import saved_seconds
from perfcrew.report.usage import HEADER, describe_usage, usage_rows

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&#])")


def render_markdown(report: Report) -> str:
    """The whole report. Ends with a newline."""
    parts = [
        _head(report),
        _wrong(report),
        _done(report),
        _gained(report),
        _criteria("Success criteria", report.criteria),
        _criteria("Quality gates", report.gates),
        _checks(report),
        _plan(report),
        _phases(report),
        _cost(report),
        _section("Notes", [f"- {escape(note)}" for note in (*report.failures, *report.notes)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(clean(text).split()))


def _head(report: Report) -> str:
    goals = "goals met" if report.goals_met else "goals not met"
    lines = [
        f"# Performance report: {escape(report.target)}",
        f"**{name_outcome(report.outcome).capitalize()}, {goals}.** {escape(head_line(report))}",
        escape(start_sentence(report.reason)),
    ]
    facts = [
        f"- Run: `{report.run_id}`",
        f"- Base: `{report.base_commit[:12]}`",
        *([f"- Branch: {_code(report.branch)} at `{report.head_commit[:12]}`"] if report.branch else []),
        f"- Replies from: **{escape(report.answered_by)}**",
    ]
    return "\n\n".join(line for line in lines if line) + "\n\n" + "\n".join(facts)


def _wrong(report: Report) -> str:
    issue = report.request.context.issue
    lines = [f"> {escape(issue)}\n"] if issue else []
    for finding in rank_findings(report):
        share = "" if finding.share is None else f", {finding.share:.0%} of end-to-end time"
        lines.append(
            f"- **{escape(name_kind(finding.kind))}** ({finding.severity}{share}): {escape(finding.claim)} "
            f"Evidence: {', '.join(_code(item) for item in finding.evidence)}."
        )
    return _section("What was wrong", lines or ["No bottleneck was found."])


def _done(report: Report) -> str:
    kept = [_change(change) for change in kept_changes(report)]
    dropped = [_change(change) for change in dropped_changes(report)]
    lines = [
        *(["Kept:", "", *kept] if kept else ["Nothing was kept."]),
        *(["", "Dropped:", "", *dropped] if dropped else []),
    ]
    return _section("What was done", lines)


def _change(change: ChangeRow) -> str:
    commit = f" `{change.commit[:12]}`" if change.commit and change.kept else ""
    size = f" (+{change.lines_added} −{change.lines_removed})" if change.kept else ""
    return f"- **{escape(change.title)}**{commit}{size}: {escape(start_sentence(change.reason))}"


def _gained(report: Report) -> str:
    rows = [_metric(row) for row in report.metrics]
    header = ("Metric", "Workload", "Before", "After", "Change", "Times better", "Interval", "Outcome")
    base = kept_changes(report)
    note = [] if base else ["Nothing was kept: both columns are the base, measured against itself.", ""]
    return _section("What it gained", [*note, *_table(header, rows)] if rows else ["Nothing was measured."])


def _metric(row: MetricRow) -> tuple[str, ...]:
    return (
        f"`{row.name}`",
        escape(row.workload),
        show_figure(row.name, row.base),
        show_figure(row.name, row.candidate),
        show_change(row.base, row.candidate),
        show_ratio(row.ratio),
        describe_interval(row),
        name_outcome(row.outcome),
    )


def _criteria(title: str, rows: Iterable[CriterionRow]) -> str:
    lines = [f"- {tick(row.met)} {escape(row.name)} ({word(row.met)}): {escape(row.detail)}" for row in rows]
    return _section(title, lines)


def _checks(report: Report) -> str:
    lines = [f"- {tick(check.passed)} {escape(check.name)}: {escape(check.detail)}" for check in report.checks]
    for review in report.reviews:
        lines.append(f"- {escape(review.role)}: {escape(review.summary)}")
        lines.extend(f"  - {escape(concern)}" for concern in review.concerns)
    return _section("Checks and reviews", lines)


def _plan(report: Report) -> str:
    rows = [
        (
            escape(step.title),
            step.layer,
            f"`{step.metric}` of {escape(step.workload)}",
            show_ratio(step.predicted_ratio),
            show_ratio(row.ratio) if row else "–",
            fate,
        )
        for step, row, fate in predicted_steps(report)
    ]
    header = ("Step", "Layer", "Metric", "Predicted", "Measured", "Fate")
    return _section("Plan: predicted against measured", _table(header, rows) if rows else [])


def _phases(report: Report) -> str:
    rows = [(escape(phase.name), show_seconds(phase.started), show_seconds(phase.seconds)) for phase in report.phases]
    if not rows:
        return ""
    saved = (
        f"One after the other {show_seconds(report.sequential_seconds)}, wall clock "
        f"{show_seconds(report.wall_seconds)}; parallel branches saved {show_seconds(saved_seconds(report))}."
    )
    return _section("Phases", [*_table(("Phase", "Started at", "Took"), rows), "", saved])


def _cost(report: Report) -> str:
    models = ", ".join(_code(model) for model in report.models) or "none"
    rows = [[escape(cell) for cell in row] for row in usage_rows(report)]
    table = ["", *_table(HEADER, rows)] if rows else []
    return _section("Models and cost", [f"{escape(describe_usage(report))} Models: {models}.", *table])


def _section(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines) if lines else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = "|".join(" --- " for _ in header)
    return [f"| {' | '.join(header)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


def _code(text: str) -> str:
    """Inline code, whatever back quotes it holds."""
    flat = " ".join(clean(text).split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {flat} {fence}" if longest else f"`{flat}`"
