"""What a comparison comes to, its text forms, and its verification."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from perfcrew.artifacts import Artifacts
from perfcrew.duel_stats import duel_effects
from perfcrew.errors import VerificationError
from perfcrew.records.base import ArtifactRef, Outcome
from perfcrew.records.evidence import Check, Effect
from perfcrew.records.survey import Bout, Comparison, Revision
from perfcrew.records.work import Criterion
from perfcrew.report.comparing import conclude, goal_checks, guarded
from perfcrew.report.comparison_text import print_comparison, render_comparison
from perfcrew.report.survey_seal import seal
from perfcrew.report.survey_verify import verify_comparison
from perfcrew.verdict import decide

PASSED, FAILED = (
    Check(name="same answers: a", passed=True),
    Check(name="same answers: b", passed=False, detail="GET /\nx"),
)


def bout(workload: str, outcome: Outcome) -> Bout:
    ref = ArtifactRef(sha256="0", suffix=".json.gz", size=1)
    return Bout(workload=workload, outcome=outcome, reason=f"{outcome} so.", effects=(), samples=ref)


@pytest.mark.parametrize(
    ("outcomes", "total"),
    [
        (["improved", "no_significant_change"], "improved"),
        (["improved", "regressed"], "regressed"),
        (["underpowered", "improved"], "improved"),
        (["underpowered", "no_significant_change"], "underpowered"),
        (["no_significant_change"], "no_significant_change"),
        ([], "underpowered"),
    ],
)
def test_the_worst_workload_decides(outcomes: list[Outcome], total: Outcome) -> None:
    assert conclude([bout(f"w{i}", outcome) for i, outcome in enumerate(outcomes)], (PASSED,))[0] == total


def test_a_win_that_breaks_a_guard_of_another_workload_is_no_win(tmp_path: Path) -> None:
    """The tail of `browse` doubles while its median and P95 stay as they are."""
    artifacts = Artifacts(tmp_path)
    won, spoilt = duel("compare", 0.5), {**duel("compare", 1.0), "workload": "browse"}
    for cell in spoilt["cells"]:
        tail = 200.0 if cell["arm"] == "candidate" else 100.5
        cell["latency_ms"] = [*cell["latency_ms"][:-1], tail + 0.1 * cell["start"]]
    won_alone, both = [make_bout(artifacts, won)], [make_bout(artifacts, won), make_bout(artifacts, spoilt)]
    assert conclude(guarded(won_alone, artifacts), ())[0] == "improved"
    assert both[1].outcome == "no_significant_change" and conclude(both, ())[0] == "improved"
    outcome, reason = conclude(guarded(both, artifacts), ())
    assert outcome == "regressed"
    assert reason.startswith("guard of browse: worse beyond noise: response time, P99 from 1")
    assert "which does not make up for home: improved" in reason


def make_bout(artifacts: Artifacts, raw: dict[str, Any]) -> Bout:
    effects, noise = duel_effects(raw), {**duel("noise", 1.0), "workload": raw["workload"]}
    verdict = decide(effects, ())
    return Bout(
        workload=raw["workload"], outcome=verdict.outcome, reason=verdict.reason, effects=effects,
        samples=artifacts.put_json(raw), noise=duel_effects(noise), noise_samples=artifacts.put_json(noise),
    )  # fmt: skip


def test_other_answers_are_a_regression_whatever_the_speed() -> None:
    assert conclude([bout("w", "improved")], (PASSED, FAILED)) == ("regressed", "check same answers: b failed: GET /")


def duel(name: str, factor: float) -> dict[str, Any]:
    """A raw duel in which the candidate takes `factor` of the base's time."""
    cells, starts = [], []
    for start in range(5):
        for arm, takes in (("base", 1.0), ("candidate", factor)):
            starts.append({"start": start, "arm": arm, "seconds": 1.0, "uss_mb": 40.0, "served": 10})
            for number in range(2):
                base = 100 * takes * (1 + 0.001 * (start + number))
                cells.append(
                    {"start": start, "arm": arm, "round": number, "order": 0 if arm == "base" else 1, "cpu_s": takes,
                     "cores": 1, "seconds": 1.0, "latency_ms": [base + i * 0.01 for i in range(50)], "requests": 50,
                     "errors": 0, "failures": {}, "cut": 0, "bytes": 5000, "client_cpu_s": 0.1, "uss_mb": 40.0,
                     "served": 60 + 50 * number}
                )  # fmt: skip
    protocol = {"looks": [5], "shares": [1.0], "alpha": 0.04, "matter": 0.1, "kind": "http", "floors": {}}
    counted = {"db.queries_per_request": [5.0, 5.0], "memory.allocations_per_request": [1221.0, 1221.0]}
    counts = dict.fromkeys(("base", "candidate"), counted)
    return {"kind": "duel", "name": name, "workload": "home", "counts": counts, "cells": cells, "starts": starts,
            "protocol": protocol, "commits": {"base": "a", "candidate": "b"}}  # fmt: skip


def make_comparison(artifacts: Artifacts, factor: float) -> Comparison:
    made = make_bout(artifacts, duel("compare", factor))
    outcome, reason = conclude([made], (PASSED,))
    return seal(
        Comparison(
            base=Revision(name="main", commit="a" * 40, subject="Use | pipes"), outcome=outcome, reason=reason,
            candidate=Revision(name="HEAD", commit="b" * 40, subject="<b>faster"), environment={"cores": "2"},
            bouts=(made,), checks=(PASSED,), run_id="run-1", target="shop", seconds=61.0,
        )
    )  # fmt: skip


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def test_a_comment_for_a_pull_request(artifacts: Artifacts) -> None:
    text = render_comparison(make_comparison(artifacts, 0.5))
    lines = text.splitlines()
    assert lines[0] == "### 🟢 Performance: improved"
    assert "| metric | base | candidate | change | better | interval | outcome |" in lines
    (row,) = [line for line in lines if line.startswith("| P95 ")]
    assert "| −49.8 % | 1.99× |" in row and row.endswith("| 🟢 improved |")
    assert r"Use \| pipes" in text and "<b>" not in text
    assert "base against itself" in text and "perfcrew verify run-1" in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_whole_figures(artifacts: Artifacts, width: int) -> None:
    out = io.StringIO()
    print_comparison(make_comparison(artifacts, 2.0), Console(file=out, width=width, highlight=False))
    said = out.getvalue()
    assert "Regressed" in said and "main (aaaaaaaaaaaa) → HEAD (bbbbbbbbbbbb)" in said
    (row,) = [line for line in said.splitlines() if line.startswith("P95 ")]
    assert "…" not in row and "0.50× to 0.50×" in row and row.rstrip().endswith("regressed")
    assert max(len(line) for line in said.splitlines()) <= width
    # A name may be cut, a figure never.
    assert all("…" not in line[28:] for line in said.splitlines())
    assert re.search(r"^memory alloc.* 1,221 +1,221 ", said, re.MULTILINE)


def test_a_comparison_verifies_and_a_changed_effect_does_not(artifacts: Artifacts) -> None:
    comparison = make_comparison(artifacts, 0.5)
    assert verify_comparison(comparison, artifacts).files == 2
    first, *others = comparison.bouts[0].effects
    changed = comparison.bouts[0].model_copy(update={"effects": (first.model_copy(update={"ratio": 9.0}), *others)})
    with pytest.raises(VerificationError, match=r"home\.effects"):
        verify_comparison(seal(comparison.model_copy(update={"bouts": (changed,)})), artifacts)
    with pytest.raises(VerificationError, match="outcome"):
        verify_comparison(seal(comparison.model_copy(update={"outcome": "regressed"})), artifacts)


@pytest.mark.parametrize(
    ("limit", "passed", "said"),
    [(250, True, "200 ms, base 100 ms"), (150, False, "200 ms, base 100 ms"), (90, True, "the base misses it as well")],
)
def test_a_limit_that_the_base_holds_must_be_held(limit: float, passed: bool, said: str) -> None:
    effect = Effect(
        metric="http.p95_ms", workload="list", unit="ms", better="lower", base=100, candidate=200, ratio=0.5,
        ratio_low=0.4, ratio_high=0.6, confidence=0.99, floor=0.01, exact=False, outcome="no_significant_change",
    )  # fmt: skip
    bouts = (bout("list", "no_significant_change").model_copy(update={"effects": (effect,)}),)
    goal = Criterion(metric="http.p95_ms", workload="list", comparison="at_most", value=limit)
    other = goal.model_copy(update={"metric": "http.p99_ms"})
    ratio = goal.model_copy(update={"comparison": "improve_by"})
    (check,) = goal_checks(bouts, (goal, other, ratio))
    assert check.passed is passed and said in check.detail
    assert (conclude(bouts, (check,))[0] == "regressed") is not passed
    doubtful = effect.model_copy(update={"doubt": "the generator was the bottleneck"})
    assert goal_checks((bouts[0].model_copy(update={"effects": (doubtful,)}),), (goal,)) == ()
