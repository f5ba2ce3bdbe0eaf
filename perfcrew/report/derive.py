"""What a report concludes: a pure function of what it records, so that `verify` can draw every conclusion again."""

from collections.abc import Iterable

from perfcrew.records.base import Record, RunOutcome
from perfcrew.records.evidence import Effect
from perfcrew.records.report import CriterionRow, MetricRow, Report
from perfcrew.report.criteria import goals_of, judge_criteria, judge_criterion
from perfcrew.report.gates import judge_gates
from perfcrew.verdict import decide, run_outcome


class Conclusions(Record):
    """The fields of a report that follow from its other fields."""

    outcome: RunOutcome
    reason: str
    goals_met: bool
    metrics: tuple[MetricRow, ...]
    criteria: tuple[CriterionRow, ...]
    gates: tuple[CriterionRow, ...]
    sequential_seconds: float


def derive(report: Report) -> Conclusions:
    """Draw the conclusions. Fields of `report` that are conclusions themselves are not read."""
    kept = any(change.kept for change in report.changes)
    # With nothing kept the run ends with the base, and the A/A duel is its comparison with the base.
    metrics = row_metrics(final_effects(report) if kept else report.noise)
    measured = report.model_copy(update={"metrics": metrics})
    outcome, reason = _judge_outcome(report, kept)
    goals = [judge_criterion(measured, goal, "goal") for goal in goals_of(report)]
    passed = all(check.passed for check in report.checks)
    return Conclusions(
        outcome=outcome,
        reason=reason,
        goals_met=outcome == "improved" and passed and all(goal.met is True for goal in goals),
        metrics=metrics,
        criteria=judge_criteria(measured),
        gates=judge_gates(measured),
        sequential_seconds=sum(phase.seconds for phase in report.phases),
    )


def final_effects(report: Report) -> tuple[Effect, ...]:
    """What the composed branch does to the primary workload, and to each page."""
    return (*report.effects, *(effect for page in report.pages for effect in page.effects))


def row_metrics(effects: Iterable[Effect]) -> tuple[MetricRow, ...]:
    """Effects as the report's rows."""
    return tuple(MetricRow(name=effect.metric, **effect.model_dump(exclude={"metric", "floor"})) for effect in effects)


def _judge_outcome(report: Report, kept: bool) -> tuple[RunOutcome, str]:
    if report.failures:
        return "incomplete", f"Validation could not be done: {'; '.join(report.failures)}"
    if kept and not report.effects:
        return "incomplete", "Changes were kept, but the branch as a whole was not measured against the base"
    if kept:
        final = decide(final_effects(report), report.checks, samples=report.duel_samples)
        return run_outcome(final), final.reason
    if not report.noise:
        return "incomplete", "The base could not be measured, so nothing could be compared with it"
    return _judge_nothing_kept(report)


def _judge_nothing_kept(report: Report) -> tuple[RunOutcome, str]:
    tried = [change for change in report.changes if change.attempts or change.outcome]
    if not tried:
        return "no_significant_change", "No change was tried; the figures compare the base with itself"
    count = f"{len(tried)} change{'s' if len(tried) > 1 else ''} tried and none kept"
    figures = "the figures compare the base with itself"
    if all(change.outcome == "underpowered" for change in tried):
        return "underpowered", f"{count}: the measurements were too noisy to tell; {figures}"
    return "no_significant_change", f"{count}; {figures}"
