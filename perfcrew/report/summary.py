"""What a reader wants first: what was wrong, what was done, what it gained. Plain text, shared by every rendering."""

from perfcrew.records.report import ChangeRow, MetricRow, Report
from perfcrew.records.work import Finding, PlanStep
from perfcrew.report.figures import name_metric, name_outcome, show_figure, show_interval, show_ratio

_HEADLINES = ("http.p95_ms", "http.p50_ms", "command.seconds", "cpu.ms_per_request", "db.queries_per_request")
_SEVERITIES = ("critical", "high", "medium", "low")


def head_line(report: Report) -> str:
    """The run in one sentence."""
    row = head_row(report)
    if report.outcome == "improved" and row is not None:
        figures = f"{show_figure(row.name, row.base)} → {show_figure(row.name, row.candidate)}"
        return f"{start_sentence(name_metric(row.name))} of {row.workload} {show_ratio(row.ratio)} better: {figures}"
    return {
        "improved": "The branch is better than the base.",
        "regressed": "The branch is worse than the base.",
        "no_significant_change": "No significant change.",
        "underpowered": "The measurements were too noisy to tell.",
        "incomplete": "The run could not be completed.",
    }[report.outcome]


def head_row(report: Report) -> MetricRow | None:
    """The metric that the headline names: the first improved one in order of what users feel."""
    rows = [row for row in report.metrics if row.outcome == "improved"]
    return next((row for name in _HEADLINES for row in rows if row.name == name), rows[0] if rows else None)


def describe_interval(row: MetricRow) -> str:
    """The ratio's interval, or that it is exact."""
    return "exact" if row.exact else show_interval(row.ratio_low, row.ratio_high)


def rank_findings(report: Report) -> tuple[Finding, ...]:
    """Findings by severity, then by share of end-to-end time."""
    return tuple(sorted(report.findings, key=lambda item: (_SEVERITIES.index(item.severity), -(item.share or 0.0))))


def kept_changes(report: Report) -> tuple[ChangeRow, ...]:
    """The changes on the branch."""
    return tuple(change for change in report.changes if change.kept)


def dropped_changes(report: Report) -> tuple[ChangeRow, ...]:
    """The changes that were tried and not kept."""
    return tuple(change for change in report.changes if not change.kept)


def predicted_steps(report: Report) -> list[tuple[PlanStep, MetricRow | None, str]]:
    """Each planned step with what its metric did in the step's own duel, and what became of the step."""
    waiting: dict[str, list[ChangeRow]] = {}
    for tried in report.changes:
        waiting.setdefault(tried.step, []).append(tried)
    steps: list[tuple[PlanStep, MetricRow | None, str]] = []
    for step in (step for plan in report.plans for step in plan.steps):
        # A later round may plan a step of the same name: each gets the change that followed it.
        ready = waiting.get(step.id)
        change = ready.pop(0) if ready else None
        rows = change.metrics if change else ()
        row = next((row for row in rows if row.name == step.metric and row.workload == step.workload), None)
        steps.append((step, row, "not tried" if change is None else "kept" if change.kept else "dropped"))
    return steps


def start_sentence(text: str) -> str:
    """The same text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def describe_gain(row: MetricRow) -> tuple[str, str]:
    """The ratio and what it means: (`6.2×`, `better`), (`1.3×`, `worse`), (`1.02×`, `no significant change`)."""
    if row.outcome == "regressed" and row.ratio > 0:
        return show_ratio(1 / row.ratio), "worse"
    return show_ratio(row.ratio), "better" if row.outcome == "improved" else name_outcome(row.outcome)


def tick(met: bool | None) -> str:
    """A criterion's mark in text."""
    return "✓" if met else "–" if met is None else "✗"


def word(met: bool | None) -> str:
    """A criterion's mark in words, for those who can't see the mark."""
    return "met" if met else "not judged" if met is None else "not met"
