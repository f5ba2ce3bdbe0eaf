"""The recipe's quality gates, judged by code; None with the plain reason where perfcrew does not do it yet."""

from fnmatch import fnmatch

from perfcrew.records.evidence import Check
from perfcrew.records.report import CriterionRow, Report
from perfcrew.report.criteria import evidence_after

TESTS_CHECK = "existing tests"
"""Name of the check that the target's own tests pass on the candidate."""
REVERT_CHECK = "the branch reverts to the base"
"""Name of the check that reverting the branch's commits gives the base tree."""
_DOCUMENTATION = ("*.md", "*.rst", "docs/*", "doc/*")
_NO_TESTS = "perfcrew writes no performance test yet; `perfcrew run` repeats the workloads and goals of perfcrew.toml"
_NO_DASHBOARDS = "perfcrew does not write dashboards yet; each plan step says what to watch"
_NO_ALERTS = "perfcrew does not write alert rules yet; the goals are the thresholds"


def judge_gates(report: Report) -> tuple[CriterionRow, ...]:
    """The six quality gates of the recipe, in its order."""
    return (
        _judge_tests(report),
        _open("performance tests automated", _NO_TESTS),
        _open("monitoring dashboards updated", _NO_DASHBOARDS),
        _open("alerts configured for regressions", _NO_ALERTS),
        _judge_documentation(report),
        _judge_rollback(report),
    )


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


def _judge_documentation(report: Report) -> CriterionRow:
    name = "documentation updated"
    kept = [path for change in report.changes if change.kept for path in change.touched]
    pages = sorted({path for path in kept if any(fnmatch(path, glob) for glob in _DOCUMENTATION)})
    if pages:
        return CriterionRow(name=name, met=True, detail=f"changed: {', '.join(pages)}")
    return _open(name, "no kept change touches a documentation file; perfcrew does not write documentation yet")


def _judge_rollback(report: Report) -> CriterionRow:
    name = "rollback plan tested"
    if not any(change.kept for change in report.changes):
        return _open(name, "nothing was kept, so there is nothing to roll back")
    checks = _find_checks(report, REVERT_CHECK)
    if checks:
        detail = "; ".join(check.detail or check.name for check in checks)
        return CriterionRow(name=name, met=all(check.passed for check in checks), detail=detail)
    return CriterionRow(name=name, met=False, detail="reverting the branch was not tried")


def _find_checks(report: Report, name: str) -> list[Check]:
    return [check for check in report.checks if check.name == name]


def _open(name: str, why: str) -> CriterionRow:
    return CriterionRow(name=name, met=None, detail=why)
