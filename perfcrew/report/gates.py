"""The recipe's quality gates, judged by code; None with the plain reason where perfcrew does not do it yet."""

from perfcrew.records.evidence import Check
from perfcrew.records.report import CriterionRow, Report
from perfcrew.report.criteria import evidence_after

TESTS_CHECK = "existing tests"
"""Name of the check that the target's own tests pass on the candidate."""
REVERT_CHECK = "the branch reverts to the base"
"""Name of the check that reverting the branch's commits gives the base tree."""
PERFORMANCE_CHECK = "performance test"
DASHBOARD_CHECK = "dashboard"
ALERTS_CHECK = "alert rules"
PAGE_CHECK = "documentation page"
ROLLBACK_CHECK = "rollback rehearsed"
MIGRATION_CHECK = "migrations go down and up again"
"""Names of the checks of what a branch brings along, and of the way back."""


def judge_gates(report: Report) -> tuple[CriterionRow, ...]:
    """The six quality gates of the recipe, in its order."""
    return (
        _judge_tests(report),
        _judge_made(report, "performance tests automated", PERFORMANCE_CHECK),
        _judge_made(report, "monitoring dashboards updated", DASHBOARD_CHECK),
        _judge_made(report, "alerts configured for regressions", ALERTS_CHECK),
        _judge_made(report, "documentation updated", PAGE_CHECK),
        _judge_rollback(report),
    )


def _judge_made(report: Report, name: str, check_name: str) -> CriterionRow:
    """A gate that a file on the branch passes."""
    made = report.handover
    if made is None:
        return _open(name, _why_nothing(report))
    if check_name in made.absent:
        return _open(name, made.absent[check_name])
    checks = [check for check in made.checks if check.name == check_name]
    detail = "; ".join(check.detail for check in checks)
    return CriterionRow(name=name, met=bool(checks) and all(check.passed for check in checks), detail=detail)


def _why_nothing(report: Report) -> str:
    if not any(change.kept for change in report.changes):
        return "nothing was kept, so there is no result to hold on to"
    if report.branch is None:
        return "no branch is offered"
    return "not made in this run: a recording stood in for the tools, and it has none"


def _judge_tests(report: Report) -> CriterionRow:
    name = "all existing tests pass"
    runs = evidence_after(report, "tests")
    if any("passed_all" in run.facts and run.facts["passed_all"] is None for run in runs):
        return _open(name, "the target describes no test command")
    checks = _find_checks(report, TESTS_CHECK)
    if checks:
        detail = "; ".join(check.detail or check.name for check in checks)
        return CriterionRow(name=name, met=all(check.passed for check in checks), detail=detail)
    if not runs:
        return _open(name, "the target's tests were not run on the final version")
    failed = sum(int(run.facts.get("failed") or 0) for run in runs)
    passed = sum(int(run.facts.get("passed") or 0) for run in runs)
    exits = [run.facts.get("exit") for run in runs]
    met = failed == 0 and all(code in (0, None) for code in exits)
    return CriterionRow(name=name, met=met, detail=f"{passed} passed, {failed} failed")


def _judge_rollback(report: Report) -> CriterionRow:
    name = "rollback plan tested"
    if not any(change.kept for change in report.changes):
        return _open(name, "nothing was kept, so there is nothing to roll back")
    made = report.handover.checks if report.handover else ()
    rehearsed = [check for check in made if check.name in (ROLLBACK_CHECK, MIGRATION_CHECK)]
    checks = [*_find_checks(report, REVERT_CHECK), *rehearsed]
    if checks:
        detail = "; ".join(check.detail or check.name for check in checks)
        return CriterionRow(name=name, met=all(check.passed for check in checks), detail=detail)
    return CriterionRow(name=name, met=False, detail="reverting the branch was not tried")


def _find_checks(report: Report, name: str) -> list[Check]:
    return [check for check in report.checks if check.name == name]


def _open(name: str, why: str) -> CriterionRow:
    return CriterionRow(name=name, met=None, detail=why)
