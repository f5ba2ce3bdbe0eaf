"""A report written by hand, so that its renderings can be compared word for word."""

from perfcrew.records.evidence import Check
from perfcrew.records.report import ChangeRow, CriterionRow, MetricRow, PhaseRow, Report, UsageTable
from perfcrew.records.work import Finding, PerformanceContext, Place, Plan, PlanStep, RecipeRequest, Review


def _metric(name: str, base: float, candidate: float, ratio: float, *, exact: bool = False) -> MetricRow:
    return MetricRow(
        name=name, workload="api|v1", unit="ms", better="lower", base=base, candidate=candidate, ratio=ratio,
        ratio_low=ratio if exact else ratio * 0.9, ratio_high=ratio if exact else ratio * 1.1, confidence=0.95,
        outcome="improved" if ratio > 1 else "regressed", exact=exact,
    )  # fmt: skip


def _change(title: str, *, kept: bool, reason: str) -> ChangeRow:
    return ChangeRow(
        commit="1234567890abcdef" if kept else None, title=title, kept=kept, reason=reason,
        metrics=(_metric("http.p95_ms", 400, 100, 4.0),) if kept else (), step=f"fix:{title}", touched=("a.py",),
        lines_added=3, lines_removed=1, diff=None, samples=None,
    )  # fmt: skip


def write_report() -> Report:
    """The report."""
    step = PlanStep(
        id="fix:Join the *items*", title="Join the *items*", findings=(), layer="database", hypothesis="h",
        metric="http.p95_ms", workload="api|v1", predicted_ratio=3.0, impact="high", effort="low", risk="low",
        side_effects="none", rollback="revert", monitoring="P95", test_strategy="tests",
    )  # fmt: skip
    finding = Finding(
        id="n_plus_one@GET /", kind="n_plus_one", place=Place(), claim="30 <b>queries</b>\x1b[31m.",
        evidence=("queries@GET `/`/base",), share=0.625, severity="high", remedy="join", prevention="count",
        source="detector",
    )  # fmt: skip
    return Report(
        run_id="r1", outcome="improved", goals_met=False, reason="improved: P95.",
        metrics=(
            _metric("http.p95_ms", 1234.5, 200.25, 6.16),
            _metric("db.queries_per_request", 31, 1, 31.0, exact=True),
            _metric("memory.peak_mb", 60, 72, 0.83),
        ),
        changes=(_change("Join the *items*", kept=True, reason="improved: P95."),
                 _change("Cache", kept=False, reason="check behaviour failed")),
        checks=(Check(name="existing tests", passed=True, detail="34 passed"),
                Check(name="answers", passed=False, detail="/total: 3 became 4")),
        findings=(finding,),
        criteria=(CriterionRow(name="response time", met=True, detail="6.16× better"),),
        gates=(CriterionRow(name="alerts", met=None, detail="not yet"),),
        phases=(PhaseRow(name="baseline", seconds=60, started=0, group="a"),
                PhaseRow(name="memory-sync", seconds=45.2, started=0, group="a")),
        sequential_seconds=105.2, wall_seconds=61, usage=UsageTable(input_tokens=12000, output_tokens=900, usd=0.005),
        models=("example/m",), branch="perfcrew/r1", target="shop", base_commit="b" * 40, head_commit="c" * 40,
        request=RecipeRequest(context=PerformanceContext(issue="Slow\n# really")), answered_by="a recording",
        plans=(Plan(round=1, summary="s", steps=(step,), criteria=(), risks="r", rollback="b"),),
        reviews=(Review(role="tester", summary="Fine.", concerns=("One.",), checks=()),),
        notes=("No PostgreSQL here.",),
    )  # fmt: skip
