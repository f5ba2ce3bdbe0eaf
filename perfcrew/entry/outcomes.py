"""What an ordered phase came to, in a few lines."""

from rich.console import Console

from graphs.session import Done
from perfcrew.report.figures import name_metric, show_figure, show_ratio
from perfcrew.report.summary import describe_interval, rank_findings
from perfcrew.report.terminal import safe


def tell_done(done: Done, console: Console) -> None:
    """Print what a phase came to, in a few lines."""
    state, report = done.state, done.report
    console.print(safe(f"\n/agent:{done.order.role}", "bold"))
    match done.order.role:
        case "performance" if any(change.kept for change in report.changes):
            lines = [
                f"{name_metric(row.name)} of {row.workload}: {show_figure(row.name, row.base)} → "
                f"{show_figure(row.name, row.candidate)}, {show_ratio(row.ratio)} better ({describe_interval(row)})"
                for row in report.metrics
            ]
        case "performance":
            lines = [finding.claim for finding in rank_findings(report)]
        case "memory-sync":
            lines = [state["snapshot"].summary] if state["snapshot"] else []
        case "architect":
            plan = state["plans"][-1] if state["plans"] else None
            lines = [f"{step.title} ({step.metric} ×{step.predicted_ratio:g})" for step in plan.steps] if plan else []
        case "coder":
            lines = [f"{'kept' if row.kept else 'dropped'}: {row.title}: {row.reason}" for row in report.changes]
        case role:
            lines = [review.summary for review in report.reviews if review.role == role]
    for line in lines or ["nothing to report"]:
        console.print(safe(f"  {line}"))
