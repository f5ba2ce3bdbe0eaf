"""The files that a branch brings along: thresholds from the measured result, and checks that can fail."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from perfcrew.artifacts import Artifacts
from perfcrew.handover import places
from perfcrew.handover.alerts import as_rules, check_alerts
from perfcrew.handover.compose import Surroundings, compose
from perfcrew.handover.dashboard import check_dashboard, expressions_of
from perfcrew.handover.exporters import find_exporter, match_routes
from perfcrew.handover.page import check_page
from perfcrew.handover.thresholds import set_thresholds
from perfcrew.handover.workload import check_pipeline
from perfcrew.records.base import Better
from perfcrew.records.report import MetricRow, Report
from perfcrew.records.target import HeldOut, HttpRequest, Probe, Target, Workload
from tests.unit.report.report_material import finish_run
from tools.promtool import check_rules
from tools.target import load_target


@pytest.fixture(scope="module")
def target(artifacts: Artifacts) -> Target:
    """With something held out, and something that only this run may use."""
    known = finish_run(artifacts).target
    first = known.workload[0].model_copy(update={"held_out": HeldOut(params={"id": (7001,)})})
    hidden = Probe(name="secret", request=(HttpRequest(path="/hidden"),), held_out=True)
    return known.model_copy(update={"workload": (first, *known.workload[1:]), "probe": (hidden,)})


@pytest.fixture(scope="module")
def made(report: Report, target: Target) -> dict[str, str]:
    return compose(report, target, Surroundings(requirements="fastapi\nprometheus_fastapi_instrumentator>=7"))


def row(
    name: str = "http.p95_ms", *, base: float = 400, candidate: float = 100, low: float = 3.5,
    outcome: str = "improved", doubt: str = "", exact: bool = False, better: Better = "lower",
) -> MetricRow:  # fmt: skip
    return MetricRow(
        name=name, workload="w", unit="ms", better=better, base=base, candidate=candidate, ratio=base / candidate,
        ratio_low=low, ratio_high=5, confidence=0.99, outcome=outcome, doubt=doubt, exact=exact,
    )  # fmt: skip


def test_half_of_a_gain_is_where_it_counts_as_lost() -> None:
    (threshold,) = set_thresholds([row()])
    assert threshold.value == 200  # the geometric mean of 400 and 100
    # A small gain: the threshold must not come so near that noise would cross it.
    (near,) = set_thresholds([row(base=110, candidate=100, low=1.02)])
    assert near.value == pytest.approx(1.2 * 110 / 1.02, rel=0.01)


def test_what_did_not_improve_may_grow_by_half_and_counts_not_at_all() -> None:
    same, counted = set_thresholds(
        [row(base=100, candidate=100, outcome="no_significant_change", low=0.98),
         row("db.queries_per_request", base=45, candidate=5, exact=True)]
    )  # fmt: skip
    assert (same.value, counted.value) == (150, 5)


def test_figures_that_do_not_count_set_no_threshold() -> None:
    assert set_thresholds([row(doubt="the generator was the bottleneck"), row("http.rps", better="higher")]) == ()


def test_the_performance_test_is_a_description_that_we_read(
    made: dict[str, str], target: Target, report: Report, tmp_path: Path
) -> None:
    for path, text in made.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    read, _ = load_target(tmp_path, tmp_path / places.WORKLOAD)
    assert {(goal.metric, goal.value) for goal in read.goal} == {
        (each.metric, each.value) for each in set_thresholds(report.metrics)
    }
    assert read.target.start == target.target.start
    assert not read.workload[0].held_out and not read.probe
    assert "7001" not in made[places.WORKLOAD] and "/hidden" not in made[places.WORKLOAD]
    assert check_pipeline(made[places.PIPELINE]) == []


def test_a_pipeline_that_compares_nothing_is_seen(made: dict[str, str]) -> None:
    text = made[places.PIPELINE]
    assert check_pipeline(text.replace("perfcrew compare", "echo compare"))
    assert check_pipeline(text.replace("pull_request", "'").replace("jobs:", "works:"))
    assert "github.base_ref }}" not in yaml.safe_load(text)["jobs"]["compare"]["steps"][-1]["run"]


async def test_rules_and_dashboard_are_accepted(made: dict[str, str]) -> None:
    assert check_alerts(made[places.ALERTS]) == []
    assert check_dashboard(made[places.DASHBOARD]) == []
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    assert await check_rules(made[places.ALERTS]) == []
    assert await check_rules(as_rules(expressions_of(made[places.DASHBOARD]))) == []
    assert await check_rules(made[places.ALERTS].replace("histogram_quantile(", "histogram_quantile(("))


def test_alerts_carry_the_measured_thresholds(made: dict[str, str], report: Report) -> None:
    rules = yaml.safe_load(made[places.ALERTS])["groups"][0]["rules"]
    limit = next(each for each in set_thresholds(report.metrics) if each.metric == "http.p95_ms")
    (slow,) = [rule for rule in rules if rule["alert"].endswith("P95Slow")]
    assert slow["expr"].endswith(f"> {limit.value / 1000:g}")
    assert "http_request_duration_seconds_bucket{handler=~" in slow["expr"]
    assert any(rule["alert"].endswith("Unwatched") for rule in rules)


@pytest.mark.parametrize(
    ("broken", "said"),
    [({"panels": []}, "no panels"), ({"uid": "x" * 41}, "uid is longer"), ({"schemaVersion": None}, "no schemaVersion"),
     ({"templating": {"list": []}}, "is no variable")],
)  # fmt: skip
def test_a_dashboard_that_grafana_would_refuse_is_seen(
    made: dict[str, str], broken: dict[str, object], said: str
) -> None:
    board = {**json.loads(made[places.DASHBOARD]), **broken}
    assert any(said in problem for problem in check_dashboard(json.dumps(board)))


def test_panels_must_not_lie_on_each_other(made: dict[str, str]) -> None:
    board = json.loads(made[places.DASHBOARD])
    board["panels"][1]["gridPos"] = board["panels"][0]["gridPos"]
    assert any("lies on another" in problem for problem in check_dashboard(json.dumps(board)))


def test_the_page_tells_changes_effects_and_the_way_back(made: dict[str, str], report: Report) -> None:
    page = made[places.PAGE]
    assert check_page(page, report) == []
    kept = next(change for change in report.changes if change.kept)
    assert check_page(page.replace(kept.title, "something"), report)
    assert check_page(page.replace("git revert", "git undo"), report)


def test_names_of_metrics_follow_the_exporter_that_is_there() -> None:
    assert find_exporter("prometheus-flask-exporter==0.23")[0].histogram == "flask_http_request_duration_seconds"
    suggested, found = find_exporter("flask")
    assert (suggested.name, found) == ("OpenTelemetry", False)
    workload = Workload(name="w", request=(HttpRequest(path="/api/users/{id}/v1.0?x={y}"), HttpRequest(path="/a")))
    assert match_routes("route", workload) == 'route=~"/api/users/[^/]+/v1\\\\.0|/a"'


def test_a_password_is_never_committed(report: Report, target: Target) -> None:
    with_url = Target.model_validate(
        {**target.model_dump(), "database": {"engine": "postgresql", "url": "postgresql://me:hunter2@h/db"}}
    )
    text = compose(report, with_url, Surroundings(requirements="", password="hunter2"))[places.WORKLOAD]
    assert "hunter2" not in text
    assert "url" not in tomllib.loads(text)["database"]
