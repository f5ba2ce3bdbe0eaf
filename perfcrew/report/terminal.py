"""A report on the terminal: what it gained, what was ticked, what was kept and dropped, where the rest is."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    rank_findings,
    start_sentence,
    tick,
)
from perfcrew.report.timeline import saved_seconds
from perfcrew.report.usage import describe_usage, usage_rows

_STYLES = {"improved": "green", "regressed": "red", "underpowered": "yellow", "incomplete": "red"}
_MOST_FINDINGS = 8


def print_report(report: Report, console: Console, page: Path | None = None) -> None:
    """Print the final summary. `page` is where the HTML report is."""
    style = _STYLES.get(report.outcome, "")
    goals = "goals met" if report.goals_met else "goals not met"
    console.print()
    console.print(Text(f"{name_outcome(report.outcome).capitalize()}, {goals}", style=f"bold {style}"))
    console.print(safe(head_line(report)))
    console.print(safe(start_sentence(report.reason)), style="dim")
    console.print(Text("Replies from: ").append(safe(report.answered_by, "bold")))
    _print_findings(report, console)
    _print_metrics(report.metrics, console)
    _print_changes(report, console)
    _print_criteria("Success criteria", report.criteria, console)
    _print_criteria("Quality gates", report.gates, console)
    _print_failed_checks(report, console)
    _print_end(report, console, page)


def safe(text: str, style: str = "") -> Text:
    """Text from the target as a terminal may show it: no control characters, no markup."""
    return Text(clean(text), style=style)


def _print_findings(report: Report, console: Console) -> None:
    findings = rank_findings(report)
    if not findings:
        return
    _title("What was wrong", console)
    for finding in findings[:_MOST_FINDINGS]:
        share = "" if finding.share is None else f", {finding.share:.0%} of the time"
        head = safe(f"• {name_kind(finding.kind)} ({finding.severity}{share}): ", "bold")
        console.print(head.append(safe(finding.claim)))
    if len(findings) > _MOST_FINDINGS:
        console.print(f"  and {len(findings) - _MOST_FINDINGS} more in the report", style="dim")


def _print_metrics(rows: Iterable[MetricRow], console: Console) -> None:
    table = Table(title="Before and after", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("metric", "workload"):
        table.add_column(name, overflow="fold")
    for name in ("before", "after", "change", "better", "interval"):
        table.add_column(name, justify="right")
    table.add_column("outcome")
    for row in rows:
        table.add_row(
            row.name,
            safe(row.workload),
            show_figure(row.name, row.base),
            show_figure(row.name, row.candidate),
            show_change(row.base, row.candidate),
            show_ratio(row.ratio),
            describe_interval(row),
            Text(name_outcome(row.outcome), style=_STYLES.get(row.outcome, "")),
        )
    if table.row_count:
        console.print()
        console.print(table)


def _print_changes(report: Report, console: Console) -> None:
    _title("Changes", console)
    for change in kept_changes(report):
        console.print(_change(change, "kept", "green"))
    for change in dropped_changes(report):
        console.print(_change(change, "dropped", "yellow"))
    if not report.changes:
        console.print("none", style="dim")


def _change(change: ChangeRow, fate: str, style: str) -> Text:
    commit = f" {change.commit[:12]}" if change.commit and change.kept else ""
    return (
        Text(f"{fate:8}", style=style)
        .append(safe(f"{change.title}{commit}: ", "bold"))
        .append(safe(start_sentence(change.reason)))
    )


def _print_criteria(title: str, rows: Iterable[CriterionRow], console: Console) -> None:
    _title(title, console)
    for row in rows:
        style = "green" if row.met else "dim" if row.met is None else "red"
        mark = Text(f"{tick(row.met)} ", style=style)
        console.print(mark.append(safe(row.name)).append(safe(f"  {row.detail}", "dim")))


def _print_failed_checks(report: Report, console: Console) -> None:
    failed = [check for check in report.checks if not check.passed]
    _title(f"Checks: {len(report.checks) - len(failed)} of {len(report.checks)} passed", console)
    for check in failed:
        console.print(Text("✗ ", style="red").append(safe(f"{check.name}: {check.detail}")))


def _print_end(report: Report, console: Console, page: Path | None) -> None:
    console.print()
    saved = show_seconds(saved_seconds(report))
    console.print(f"{show_seconds(report.wall_seconds)} wall clock; parallel branches saved {saved}.")
    console.print(safe(describe_usage(report)))
    for role, phase, model, calls, given, cached, taken, cost in usage_rows(report):
        shown = f"  {role}, {phase}: {calls} calls of {model}, {given} in ({cached} cached), {taken} out, {cost}"
        console.print(safe(shown, "dim"))
    for note in (*report.failures, *report.notes):
        console.print(Text("Note: ", style="yellow").append(safe(note)))
    if report.branch:
        console.print(Text("Branch: ").append(safe(report.branch, "bold")))
    if page is not None:
        console.print(Text("Report: ").append(safe(str(page), "bold")), soft_wrap=True)


def _title(title: str, console: Console) -> None:
    console.print()
    console.print(Text(title, style="bold"))
