"""What a report concludes from what a run records."""

import json
from typing import Any

import pytest
from report_material import HEAD, finish_run, simulate_duel

from perfcrew.artifacts import Artifacts
from perfcrew.duel_stats import duel_effects
from perfcrew.records.evidence import Check, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.report import CriterionRow, Handover, PhaseRow, Report
from perfcrew.records.target import Target
from perfcrew.records.work import Change, Criterion
from perfcrew.report.build import Comparison, Material, build_report, seal_report
from perfcrew.report.criteria import judge_criteria, judge_criterion
from perfcrew.report.gates import ALERTS_CHECK, DASHBOARD_CHECK, MIGRATION_CHECK, PAGE_CHECK
from perfcrew.report.timeline import busy_seconds, place_agents, saved_seconds, time_ticks
from perfcrew.verdict import decide

STABLE = {
    "schema", "run_id", "outcome", "goals_met", "metrics", "changes", "checks", "findings", "criteria", "gates",
    "phases", "sequential_seconds", "wall_seconds", "usage", "models", "branch",
}  # fmt: skip
STABLE_METRIC = {
    "name", "workload", "unit", "better", "base", "candidate", "ratio", "ratio_low", "ratio_high", "confidence",
}  # fmt: skip


def find(rows: tuple[CriterionRow, ...], start: str) -> CriterionRow:
    (row,) = [row for row in rows if row.name.startswith(start)]
    return row


def drop(change: Change) -> Change:
    return change.model_copy(update={"kept": False, "commit": None, "reason": "did not win its duel"})


def drop_all(material: Material) -> dict[str, Any]:
    return {"changes": tuple(drop(change) for change in material.changes), "final": None, "branch": None}


def test_the_stable_json(report: Report) -> None:
    plain = json.loads(report.model_dump_json(by_alias=True))
    assert set(plain) >= STABLE
    assert plain["schema"] == 1
    assert set(plain["metrics"][0]) >= STABLE_METRIC
    assert {"commit", "title", "kept", "reason", "metrics"} <= set(plain["changes"][0])
    assert {"name", "passed", "detail"} <= set(plain["checks"][0])
    assert {"name", "seconds"} <= set(plain["phases"][0])
    assert set(plain["usage"]) >= {"input_tokens", "output_tokens", "cached_tokens", "usd", "model_calls"}
    assert Report.model_validate(plain) == report


def test_a_gain_that_reaches_the_goals(report: Report) -> None:
    assert (report.outcome, report.goals_met) == ("improved", True)
    by_name = {row.name: row for row in report.metrics}
    assert by_name["http.p95_ms"].ratio_low > 3
    assert (by_name["db.queries_per_request"].base, by_name["db.queries_per_request"].candidate) == (31, 1)
    assert [change.outcome for change in report.changes] == ["improved", "underpowered", None]
    assert report.seal == seal_report(report)


def test_goals_need_every_check(artifacts: Artifacts) -> None:
    failed = Check(name="behaviour", passed=False, detail="GET /api/dashboard /total: 3 became 4")
    report = build_report(finish_run(artifacts, checks=(failed,)))
    assert (report.outcome, report.goals_met) == ("incomplete", False)
    assert "behaviour" in report.reason and "3 became 4" in report.reason


def test_an_unreached_goal(artifacts: Artifacts) -> None:
    report = build_report(finish_run(artifacts, ratio=2.5))
    assert (report.outcome, report.goals_met) == ("improved", False)
    assert find(report.criteria, "goal: response time, P95").met is False
    assert find(report.criteria, "response time improved").met is True


def test_the_plans_criteria_stand_in_for_goals(artifacts: Artifacts) -> None:
    material = finish_run(artifacts, ratio=1.6, queries=9)
    target = material.target.model_copy(update={"goal": ()})
    report = build_report(finish_run(artifacts, ratio=1.6, queries=9, target=target))
    assert (report.outcome, report.goals_met) == ("improved", False)
    assert find(report.criteria, "plan: queries a request").met is False
    assert build_report(finish_run(artifacts, ratio=1.6, target=target)).goals_met is True


def test_nothing_kept_compares_the_base_with_itself(artifacts: Artifacts) -> None:
    material = finish_run(artifacts)
    report = build_report(finish_run(artifacts, **drop_all(material)))
    assert (report.outcome, report.goals_met) == ("no_significant_change", False)
    assert [row.name for row in report.metrics] == [effect.metric for effect in report.noise]
    assert "base with itself" in report.reason
    assert find(report.criteria, "zero performance regressions").met is True
    assert find(report.criteria, "database queries").met is False
    assert find(report.gates, "rollback").met is None


def test_nothing_kept_for_noise_alone(artifacts: Artifacts) -> None:
    noisy = finish_run(artifacts).changes[1]
    report = build_report(finish_run(artifacts, changes=(noisy,), final=None))
    assert report.outcome == "underpowered"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"failures": ("tester: no reply",)}, "tester: no reply"),
        ({"final": None}, "as a whole was not measured"),
        ({"final": None, "noise": None, "changes": ()}, "could not be measured"),
    ],
)
def test_incomplete(artifacts: Artifacts, changed: dict[str, Any], told: str) -> None:
    report = build_report(finish_run(artifacts, **changed))
    assert (report.outcome, report.goals_met) == ("incomplete", False)
    assert told in report.reason


def test_a_branch_that_became_worse(artifacts: Artifacts) -> None:
    raw = simulate_duel(0.5, seed=8)
    final = Comparison(effects=duel_effects(raw), samples=artifacts.put_json(raw))
    report = build_report(finish_run(artifacts, final=final))
    assert report.outcome == decide(final.effects, report.checks).outcome == "regressed"
    row = find(report.criteria, "zero performance regressions")
    assert row.met is False and "http.p95_ms of dashboard 0.5" in row.detail


def test_the_recipes_criteria(report: Report) -> None:
    met = {row.name: row.met for row in report.criteria[:7]}
    assert met == {
        "response time improved by more than 50 %": True,
        "database queries optimised (no N+1)": True,
        "memory usage reduced by more than 30 %": False,
        "CPU utilisation below 70 % under load": True,
        "all Core Web Vitals in the good range": None,
        "zero performance regressions": True,
        "load capacity increased by more than 100 %": True,
    }


def test_an_n_plus_one_that_is_left_is_named(artifacts: Artifacts) -> None:
    material = finish_run(artifacts)
    evidence = [item for item in material.evidence if item.id != "queries@GET /api/dashboard/candidate"]
    (base,) = [item for item in evidence if item.kind == "queries"]
    still = base.model_copy(update={"id": "queries@GET /api/dashboard/candidate"})
    row = find(build_report(finish_run(artifacts, evidence=(*evidence, still))).criteria, "database queries")
    assert row.met is False
    assert "GET /api/dashboard: 30 × SELECT ? FROM items" in row.detail
    unknown = find(build_report(finish_run(artifacts, evidence=tuple(evidence))).criteria, "database queries")
    assert unknown.met is None


def test_what_was_not_measured_is_not_judged(artifacts: Artifacts) -> None:
    material = finish_run(artifacts, evidence=())
    goal = Criterion(metric="memory.growth_kb_per_request", workload="dashboard", comparison="at_most", value=1)
    target = material.target.model_copy(update={"goal": (goal,)})
    report = build_report(finish_run(artifacts, evidence=(), target=target))
    assert find(report.criteria, "goal: memory growth").met is None
    assert report.goals_met is False


def test_a_goal_reads_the_candidates_own_measurement(artifacts: Artifacts) -> None:
    goals = (
        Criterion(metric="cpu.utilisation", workload="dashboard", comparison="at_most", value=0.99),
        Criterion(metric="http.rps", workload="dashboard", comparison="at_least", value=1e6),
    )
    target = finish_run(artifacts).target.model_copy(update={"goal": goals})
    report = build_report(finish_run(artifacts, target=target))
    assert find(report.criteria, "goal: share of the server's cores").met is True
    assert find(report.criteria, "goal: completed requests").met is False


def test_the_recipes_gates(report: Report, artifacts: Artifacts) -> None:
    assert [row.met for row in report.gates] == [True, None, None, None, None, True]
    assert all(row.detail for row in report.gates)
    unchecked = build_report(finish_run(artifacts, checks=()))
    assert find(unchecked.gates, "all existing tests").met is None
    assert find(unchecked.gates, "rollback").met is False


def test_gates_are_met_by_what_the_branch_brings_along(artifacts: Artifacts) -> None:
    made = Handover(
        commit="d" * 40,
        files=("docs/perfcrew/README.md",),
        checks=(
            Check(name=PAGE_CHECK, passed=True, detail="told"),
            Check(name=ALERTS_CHECK, passed=False, detail="no rule"),
            Check(name=MIGRATION_CHECK, passed=False, detail="left an index"),
        ),
        absent={DASHBOARD_CHECK: "no server"},
    )
    gates = build_report(finish_run(artifacts, handover=made)).gates
    assert [find(gates, name).met for name in ("documentation", "alerts", "monitoring dashboards", "rollback")] == [
        True, False, None, False,
    ]  # fmt: skip
    assert "left an index" in find(gates, "rollback").detail
    # What should have been made and was not is no open question.
    assert find(gates, "performance tests").met is False


def test_parallel_phases_save_what_they_overlap(artifacts: Artifacts) -> None:
    phases = (
        PhaseRow(name="a", seconds=60, started=0, group="g"),
        PhaseRow(name="b", seconds=40, started=10, group="g"),
        PhaseRow(name="c", seconds=5, started=100),
    )
    report = build_report(finish_run(artifacts, phases=phases, wall_seconds=110))
    assert report.sequential_seconds == 105
    assert busy_seconds(report) == 65
    assert saved_seconds(report) == 40


def test_each_agent_has_a_lane(artifacts: Artifacts) -> None:
    phases = (
        PhaseRow(name="intake", seconds=10, started=0),
        PhaseRow(name="performance_baseline", seconds=60, started=10, group="g"),
        PhaseRow(name="memory_sync", seconds=40, started=10, group="g"),
        PhaseRow(name="performance_validation", seconds=50, started=150),
    )
    report = build_report(finish_run(artifacts, phases=phases, wall_seconds=200))
    lanes = [
        (agent, [(phase.name, start, length) for phase, start, length in row]) for agent, row in place_agents(report)
    ]
    assert lanes == [
        ("no agent", [("intake", 0.0, 5.0)]),
        ("performance", [("performance_baseline", 5.0, 30.0), ("performance_validation", 75.0, 25.0)]),
        ("memory-sync", [("memory_sync", 5.0, 20.0)]),
    ]
    assert time_ticks(report) == [(0.0, 0.0), (60.0, 30.0), (120.0, 60.0), (180.0, 90.0)]


def test_the_run_is_named(report: Report) -> None:
    assert (report.target, report.head_commit, report.branch) == ("dashboard", HEAD, "perfcrew/r-0001")
    assert report.workloads == {"dashboard": "http"}


@pytest.mark.parametrize(
    ("values", "met", "detail"),
    [
        ({"page.lcp_ms": 2400.0, "page.cls": 0.05, "page.inp_ms": 120.0}, True, "front: INP 120 ms (good)"),
        ({"page.lcp_ms": 2600.0, "page.cls": 0.05}, False, "front: LCP 2,600 ms (needs improvement)"),
        ({"page.lcp_ms": 2400.0, "page.cls": 0.3, "page.inp_ms": 120.0}, False, "front: CLS 0.300 (poor)"),
        ({"page.lcp_ms": 2400.0, "page.cls": 0.05}, None, "front: INP not measured"),
        ({}, None, "front: LCP not measured"),
    ],
)
def test_core_web_vitals_of_a_page(
    artifacts: Artifacts, values: dict[str, float], met: bool | None, detail: str
) -> None:
    known = build_report(finish_run(artifacts))
    samples = artifacts.put_json({"values": {name: [value] for name, value in values.items()}})
    measured = tuple(
        Measurement(
            id=f"{name}@front/candidate", metric=name, unit=METRICS[name].unit, better="lower", workload="front",
            arm="candidate", commit=HEAD, value=value, count=1, method=f"median:/values/{name}", samples=samples,
            instrument="x", environment="test",
        )
        for name, value in values.items()
    )  # fmt: skip
    more = {"workloads": {**known.workloads, "front": "page"}, "measurements": (*known.measurements, *measured)}
    row = find(judge_criteria(known.model_copy(update=more)), "all Core Web Vitals")
    assert row.met is met and detail in row.detail


def test_core_web_vitals_without_a_page(report: Report) -> None:
    row = find(report.criteria, "all Core Web Vitals")
    assert row.met is None and row.detail == "not applicable: the target describes no page workload"


@pytest.mark.parametrize(("comparison", "value"), [("at_most", 10_000.0), ("improve_by", 1.0), ("at_least", 0.0)])
def test_a_figure_that_does_not_count_meets_no_goal(artifacts: Artifacts, comparison: str, value: float) -> None:
    known = build_report(finish_run(artifacts))
    (row,) = [row for row in known.metrics if row.name == "http.p95_ms"]
    goal = Criterion.model_validate(
        {"metric": "http.p95_ms", "workload": row.workload, "comparison": comparison, "value": value}
    )
    assert judge_criterion(known, goal, "goal").met is True
    doubted = row.model_copy(update={"doubt": "the load generator was the bottleneck"})
    metrics = tuple(doubted if one is row else one for one in known.metrics)
    told = judge_criterion(known.model_copy(update={"metrics": metrics}), goal, "goal")
    assert told.met is None
    assert told.detail == "measured, but does not count: the load generator was the bottleneck"


def test_doubtful_measurements_judge_no_criterion(artifacts: Artifacts) -> None:
    known = build_report(finish_run(artifacts))
    rows = tuple(row.model_copy(update={"doubt": "bound"}) for row in known.metrics)
    raw = tuple(item.model_copy(update={"doubt": "bound"}) for item in known.measurements)
    evidence = tuple(
        one.model_copy(
            update={"measurements": tuple(item.model_copy(update={"doubt": "bound"}) for item in one.measurements)}
        )
        for one in known.evidence
    )
    doubted = known.model_copy(update={"metrics": rows, "measurements": raw, "evidence": evidence})
    criteria = judge_criteria(doubted)
    for name in ("response time", "memory usage", "load capacity"):
        assert find(criteria, name).met is None
        assert find(criteria, name).detail in ("measured, but does not count: bound", "not measured in this run")
    assert find(criteria, "response time").detail == "measured, but does not count: bound"


@pytest.mark.parametrize(
    ("kind", "more", "judged"),
    [
        ("page", {"page": {"path": "/"}}, {"response time", "database", "memory", "CPU", "load capacity"}),
        ("command", {"command": "make"}, {"database", "CPU", "all Core", "load capacity"}),
        ("http", {"request": [{"path": "/"}]}, {"database", "all Core"}),
    ],
)
def test_what_a_target_does_not_have_is_not_applicable(
    artifacts: Artifacts, kind: str, more: dict[str, Any], judged: set[str]
) -> None:
    given = {"target": {"name": "t", "start": "s"}, "workload": [{"name": "w", "kind": kind, **more}]}
    nothing = finish_run(artifacts, target=Target.model_validate(given), evidence=(), final=None, measurements=())
    rows = judge_criteria(build_report(nothing))
    out = [row.name for row in rows if row.detail.startswith("not applicable: ")]
    assert {name for name in judged if any(row.startswith(name) for row in out)} == judged and len(out) == len(judged)
    assert all(row.met is None for row in rows if row.name in out)
