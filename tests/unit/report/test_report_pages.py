"""A run's report with a page: goals, criteria and the outcome come from the page's duel, and are computed again."""

from typing import Any

import pytest
from report_material import finish_run

from perfcrew.artifacts import Artifacts
from perfcrew.errors import VerificationError
from perfcrew.page_effects import page_effects
from perfcrew.records.report import PageDuel, Report
from perfcrew.records.work import Criterion
from perfcrew.report.build import build_report, seal_report
from perfcrew.report.verify import verify_report
from perfcrew.verdict import guard_checks
from tests.unit.test_page_effects import FAST, SLOW, make_duel, make_visits


def make_report(artifacts: Artifacts, cls: float) -> Report:
    raw: dict[str, Any] = make_duel(make_visits(8, lcp=SLOW, cls=0.0), make_visits(8, lcp=FAST, cls=cls))
    page = PageDuel(workload="shop", effects=page_effects(raw), samples=artifacts.put_json(raw))
    checks = (*finish_run(artifacts).checks, *guard_checks(page.effects))
    return build_report(finish_run(artifacts, pages=(page,), checks=checks))


def test_goals_on_vitals_are_judged_from_the_duel(artifacts: Artifacts) -> None:
    goal = Criterion(metric="page.lcp_ms", workload="shop", comparison="improve_by", value=1.5)
    material = finish_run(artifacts)
    target = material.target.model_copy(update={"goal": (goal,)})
    raw = make_duel(make_visits(8, lcp=SLOW), make_visits(8, lcp=FAST))
    page = PageDuel(workload="shop", effects=page_effects(raw), samples=artifacts.put_json(raw))
    report = build_report(finish_run(artifacts, pages=(page,), target=target))
    (row,) = [row for row in report.criteria if row.name.startswith("goal: largest contentful paint")]
    assert row.met is True and "better" in row.detail


def test_a_page_is_computed_again(artifacts: Artifacts) -> None:
    report = make_report(artifacts, 0.0)
    assert report.outcome == "improved" and any(row.name == "page.lcp_ms" for row in report.metrics)
    assert verify_report(report, artifacts).figures > 100
    (page,) = report.pages
    effects = (page.effects[0].model_copy(update={"ratio_low": 9.0}), *page.effects[1:])
    forged = report.model_copy(update={"pages": (page.model_copy(update={"effects": effects}),)})
    with pytest.raises(VerificationError, match=r"pages\[shop\]\.effects\[page\.lcp_ms@shop\]\.ratio_low"):
        verify_report(forged.model_copy(update={"seal": seal_report(forged)}), artifacts)


def test_a_page_that_became_worse_spoils_the_win(artifacts: Artifacts) -> None:
    report = make_report(artifacts, 0.3)
    assert report.outcome == "regressed" and "cumulative layout shift" in report.reason
    assert not report.goals_met


@pytest.mark.parametrize("altered", [{"passed": True}, {"name": "guard of another"}])
def test_a_guard_is_computed_again(artifacts: Artifacts, altered: dict[str, Any]) -> None:
    report = make_report(artifacts, 0.3)
    (*others, guard) = report.checks
    assert guard.name == "guard of shop" and not guard.passed
    forged = report.model_copy(update={"checks": (*others, guard.model_copy(update=altered))})
    with pytest.raises(VerificationError, match=r"checks\[guard of shop\]"):
        verify_report(forged.model_copy(update={"seal": seal_report(forged)}), artifacts)
