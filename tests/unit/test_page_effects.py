"""Two versions' visits to effects: exact intervals, floors, false alarms, and the figures computed again."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from perfcrew.artifacts import Artifacts
from perfcrew.errors import VerificationError
from perfcrew.page_effects import ALPHA, FAMILY, is_settled, page_effects, plan_looks, rank_cut, rank_interval
from perfcrew.records.evidence import Effect
from perfcrew.records.survey import Bout, Comparison, Revision
from perfcrew.report.comparing import conclude
from perfcrew.report.comparison_text import render_comparison
from perfcrew.report.survey_seal import seal
from perfcrew.report.survey_verify import verify_comparison
from perfcrew.verdict import decide

NAMES = {"lcp": "LCP", "cls": "CLS", "inp": "INP", "fcp": "FCP", "ttfb": "TTFB"}


def make_visits(count: int, **columns: Any) -> list[dict[str, Any]]:
    """Visits with these vitals, each a value for all or one a visit; `bytes` is what was loaded, `blocked` the TBT."""
    rows = {name: value if isinstance(value, list) else [value] * count for name, value in columns.items()}
    visits = []
    for at in range(count):
        row = {"fcp": 500.0, **{name: column[at] for name, column in rows.items()}}
        vitals = {NAMES[name]: {"value": value} for name, value in row.items() if name in NAMES and value is not None}
        visits.append(
            {
                "vitals": vitals, "requests": [], "loaded_until": 9000.0, "first_input": None,
                "long_tasks": [[600.0, 50.0 + row.get("blocked", 0.0)]], "bytes": row.get("bytes"),
                "request_count": row.get("requests"),
            }
        )  # fmt: skip
    return visits


def make_duel(base: list[dict[str, Any]], candidate: list[dict[str, Any]], alpha: float = ALPHA) -> dict[str, Any]:
    return {
        "kind": "page-duel", "name": "compare", "workload": "shop", "commits": {"base": "a", "candidate": "b"},
        "protocol": plan_looks(alpha, quick=False), "visits": {"base": base, "candidate": candidate},
    }  # fmt: skip


def effects_of(base: list[dict[str, Any]], candidate: list[dict[str, Any]]) -> dict[str, Effect]:
    return {effect.metric: effect for effect in page_effects(make_duel(base, candidate))}


SLOW = [3000.0, 3060.0, 2990.0, 3020.0, 3010.0, 2995.0, 3033.0, 3001.0]
FAST = [value / 2 + at for at, value in enumerate(SLOW)]


def test_a_clear_gain_is_found_and_a_clear_loss() -> None:
    gained = effects_of(make_visits(8, lcp=SLOW, cls=0.2), make_visits(8, lcp=FAST, cls=0.0))
    assert gained["page.lcp_ms"].outcome == "improved" and 1.9 < gained["page.lcp_ms"].ratio < 2.1
    assert gained["page.cls"].outcome == "improved" and gained["page.cls"].ratio == pytest.approx(20)
    lost = effects_of(make_visits(8, lcp=FAST), make_visits(8, lcp=SLOW))
    assert lost["page.lcp_ms"].outcome == "regressed"


def test_a_page_whose_vitals_became_worse_is_no_win() -> None:
    base, candidate = make_visits(8, lcp=SLOW, cls=0.0), make_visits(8, lcp=FAST, cls=0.3)
    verdict = decide(page_effects(make_duel(base, candidate)), (), aim="page.lcp_ms")
    assert verdict.outcome == "regressed" and "cumulative layout shift (CLS) from 0 to 0.3" in verdict.reason
    fine = decide(page_effects(make_duel(base, make_visits(8, lcp=FAST, cls=0.0))), ())
    assert fine.accepted and fine.reason.startswith("improved: largest contentful paint (LCP) from 3,0")


def test_what_no_eye_sees_is_no_change() -> None:
    found = effects_of(
        make_visits(8, inp=16.0, cls=[0.0, 0.004] * 4, blocked=[0.0, 3.0] * 4),
        make_visits(8, inp=24.0, cls=0.003, blocked=[0.0, 40.0] * 4),
    )
    assert {effect.outcome for effect in found.values()} == {"no_significant_change"}


def test_what_may_still_matter_is_too_noisy_to_tell() -> None:
    wild = [100.0, 900.0, 200.0, 700.0, 150.0, 800.0, 300.0, 500.0]
    found = effects_of(make_visits(8, inp=wild), make_visits(8, inp=wild[::-1]))
    assert found["page.inp_ms"].outcome == "underpowered"
    assert not is_settled(tuple(found.values()))
    few = effects_of(make_visits(2, lcp=SLOW[:2]), make_visits(2, lcp=FAST[:2]))["page.lcp_ms"]
    assert few.outcome == "underpowered" and few.ratio_high == 1000


def test_visits_without_a_value_do_not_count() -> None:
    found = effects_of(make_visits(8, inp=[None, *[100.0] * 7]), make_visits(8, inp=[*[100.0] * 7, None]))
    assert found["page.inp_ms"].ratio == 1.0 and found["page.inp_ms"].outcome == "no_significant_change"


def test_counts_that_repeat_are_exact() -> None:
    effect = effects_of(make_visits(8, bytes=500_000), make_visits(8, bytes=250_000))["page.bytes"]
    assert effect.exact and effect.confidence == 1.0 and effect.outcome == "improved"
    assert effect.ratio == pytest.approx(2)


@given(
    base=st.lists(st.floats(1, 1e4), min_size=7, max_size=9, unique=True),
    candidate=st.lists(st.floats(1, 1e4), min_size=7, max_size=9, unique=True),
    alpha=st.sampled_from([0.001, 0.01, 0.05]),
)
def test_the_interval_is_the_exact_test_turned_round(base: list[float], candidate: list[float], alpha: float) -> None:
    if set(base) & set(candidate):
        return
    _, low, high = rank_interval(base, candidate, alpha)
    less = mannwhitneyu(candidate, base, alternative="less", method="exact").pvalue <= alpha / 2
    more = mannwhitneyu(candidate, base, alternative="greater", method="exact").pvalue <= alpha / 2
    assert (low > 1, high < 1) == (bool(less), bool(more))


def test_looks_can_find_something_whatever_part_of_the_risk_they_have() -> None:
    for pages in (1, 2, 5, 12):
        for quick in (False, True):
            plan = plan_looks(ALPHA / pages, quick=quick)
            for pairs, share in zip(plan["looks"], plan["shares"], strict=True):
                assert pairs >= 5 and rank_cut(pairs, pairs, ALPHA / pages * share / len(FAMILY)) >= 1


def test_equal_pages_seldom_differ() -> None:
    """With tails, steps and two modes, as throttled visits have them: fewer than 1 in 100 duels calls a difference."""
    noise = random.Random(7)
    wrong = 0
    for _ in range(400):
        sides = [
            make_visits(
                7,
                lcp=[noise.gauss(1350, 60) + (noise.random() < 0.1) * 900 for _ in range(7)],
                inp=[8.0 * round(noise.lognormvariate(2.3, 0.4)) for _ in range(7)],
                cls=[0.12 if noise.random() < 0.8 else 0.15 for _ in range(7)],
                ttfb=[6.0 if noise.random() < 0.8 else 190.0 for _ in range(7)],
                blocked=[max(noise.gauss(60, 60), 0.0) for _ in range(7)],
            )
            for _ in range(2)
        ]
        found = page_effects(make_duel(sides[0], sides[1]))
        wrong += any(effect.outcome in ("improved", "regressed") for effect in found)
    assert wrong <= 4


def make_comparison(artifacts: Artifacts) -> Comparison:
    raw = make_duel(make_visits(8, lcp=SLOW), make_visits(8, lcp=FAST))
    effects = page_effects(raw)
    verdict = decide(effects, ())
    bout = Bout(
        workload="shop",
        outcome=verdict.outcome,
        reason=verdict.reason,
        effects=effects,
        samples=artifacts.put_json(raw),
    )
    outcome, reason = conclude((bout,), ())
    sides = {"base": Revision(name="main", commit="a" * 40), "candidate": Revision(name="fast", commit="b" * 40)}
    return seal(Comparison(**sides, outcome=outcome, reason=reason, environment={}, bouts=(bout,), run_id="run-1"))


def test_a_page_duel_is_computed_again_from_its_visits(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    comparison = make_comparison(artifacts)
    assert verify_comparison(comparison, artifacts).figures > 20
    (bout,) = comparison.bouts
    better = bout.effects[0].model_copy(update={"candidate": 10.0})
    changed = bout.model_copy(update={"effects": (better, *bout.effects[1:])})
    with pytest.raises(VerificationError, match=r"shop\.effects\[page\.lcp_ms@shop\]\.candidate"):
        verify_comparison(seal(comparison.model_copy(update={"bouts": (changed,)})), artifacts)


def test_a_comparison_of_pages_shows_vitals_and_no_empty_noise(tmp_path: Path) -> None:
    text = render_comparison(make_comparison(Artifacts(tmp_path)))
    assert "LCP" in text and "🟢 improved" in text
    assert "base against itself: \n" not in text and "visited by turns" in text
