from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew.records.evidence import Check, Effect, Verdict
from perfcrew.records.metrics import METRICS
from perfcrew.verdict import DECISIVE, GUARDS, decide, describe, guard_checks, run_outcome

P50, P95, CPU = "http.p50_ms", "http.p95_ms", "cpu.ms_per_request"
QUERIES, BYTES, ERRORS, MEMORY = (
    "db.queries_per_request",
    "http.bytes_per_response",
    "http.error_rate",
    "memory.peak_mb",
)
ALLOCATIONS, WRITES, START = "memory.allocations_per_request", "http.writes_per_s", "start.seconds"
RATIOS = {"improved": 2.0, "regressed": 0.5, "no_significant_change": 1.0, "underpowered": 1.0}
PASSED = Check(name="tests", passed=True)
FAILED = Check(name="behaviour", passed=False, detail="GET /x differs at /total")


def effect(metric: str, outcome: str) -> Effect:
    known = METRICS[metric]
    ratio = RATIOS[outcome]
    return Effect(
        metric=metric, workload="w", unit=known.unit, better=known.better, base=100, candidate=100 / ratio,
        ratio=ratio, ratio_low=ratio * 0.9, ratio_high=ratio * 1.1, confidence=0.96, floor=0.01,
        exact=known.basis == "counted", outcome=outcome,  # type: ignore[arg-type]
    )  # fmt: skip


def effects(**outcomes: str) -> tuple[Effect, ...]:
    names = {"p50": P50, "p95": P95, "cpu": CPU, "queries": QUERIES, "bytes": BYTES, "errors": ERRORS, "memory": MEMORY}
    names |= {"allocations": ALLOCATIONS, "writes": WRITES, "start": START}
    said = {"p50": "no_significant_change", "p95": "underpowered", "cpu": "no_significant_change", **outcomes}
    return tuple(effect(names[short], outcome) for short, outcome in said.items())


@pytest.mark.parametrize(
    ("given", "aim", "outcome"),
    [
        (effects(), None, "no_significant_change"),
        (effects(p50="underpowered"), None, "underpowered"),
        (effects(), P95, "no_significant_change"),
        (effects(cpu="underpowered"), P95, "underpowered"),
        (effects(p50="underpowered"), CPU, "underpowered"),
        (effects(), CPU, "no_significant_change"),
        (effects(cpu="improved"), None, "improved"),
        (effects(cpu="improved"), P95, "improved"),
        (effects(queries="improved"), QUERIES, "improved"),
        (effects(queries="improved"), None, "improved"),
        (effects(p50="improved", cpu="regressed"), P50, "improved"),
        (effects(p50="improved", cpu="regressed"), None, "regressed"),
        (effects(bytes="improved", p50="regressed"), BYTES, "regressed"),
        (effects(p50="improved", p95="improved", errors="regressed"), P95, "regressed"),
        (effects(p50="improved", memory="regressed"), P50, "regressed"),
        (effects(p50="improved", queries="regressed"), P50, "regressed"),
        (effects(allocations="improved"), None, "improved"),
        (effects(p50="underpowered", allocations="improved"), ALLOCATIONS, "improved"),
        (effects(p50="improved", allocations="regressed"), None, "improved"),
        (effects(allocations="regressed"), None, "regressed"),
        (effects(p50="improved", writes="regressed"), P50, "regressed"),
        (effects(p50="improved", start="regressed"), P50, "regressed"),
        (effects(errors="improved"), None, "no_significant_change"),
        (effects(errors="improved"), ERRORS, "improved"),
        ((), None, "underpowered"),
    ],
)
def test_outcomes(given: tuple[Effect, ...], aim: str | None, outcome: str) -> None:
    verdict = decide(given, [PASSED], aim=aim)
    assert verdict.outcome == outcome
    assert verdict.accepted is (outcome == "improved")


def test_a_failed_check_rejects_but_does_not_change_what_was_measured() -> None:
    verdict = decide(effects(p50="improved"), [PASSED, FAILED])
    assert (verdict.outcome, verdict.accepted) == ("improved", False)
    assert "behaviour failed (GET /x differs at /total)" in verdict.reason


def test_too_noisy_to_tell_is_not_no_effect() -> None:
    noisy, still = decide(effects(p50="underpowered"), []), decide(effects(), [])
    assert noisy.too_noisy and "too noisy to tell, which is not the same as no effect" in noisy.reason
    assert not still.too_noisy and "no change beyond noise" in still.reason


def test_other_workloads_give_a_check_each() -> None:
    tail, errors, writes = (effect(metric, "no_significant_change") for metric in ("http.p99_ms", ERRORS, WRITES))
    broken = effect("http.p99_ms", "regressed").model_copy(update={"workload": "browse"})
    checks = {check.name: check for check in guard_checks((tail, errors, writes, broken))}
    assert {name: check.passed for name, check in checks.items()} == {"guard of w": True, "guard of browse": False}
    assert checks["guard of browse"].detail.startswith("worse beyond noise: response time, P99 from 100 to 200 ms")
    assert not decide(effects(p50="improved"), tuple(checks.values())).accepted
    assert guard_checks(()) == ()


def test_a_trade_names_both_sides() -> None:
    reason = decide(effects(bytes="improved", p50="regressed"), [], aim=BYTES).reason
    assert reason.startswith("guard broken: response time, median (P50) from 100 to 200 ms (2.00 times worse")
    assert "bytes on the wire from 100 to 50 B (counted)" in reason


OUTCOMES = tuple(RATIOS)
METRIC = st.sampled_from([*DECISIVE, *GUARDS, "http.rps", "cpu.utilisation"])


@settings(deadline=None)
@given(st.dictionaries(METRIC, st.sampled_from(OUTCOMES)), st.none() | METRIC, st.booleans())
def test_laws(said: dict[str, str], aim: str | None, passed: bool) -> None:
    found = tuple(effect(metric, outcome) for metric, outcome in said.items())
    verdict = decide(found, [Check(name="tests", passed=passed)], aim=aim)
    assert "\n" not in verdict.reason and verdict.reason.endswith(".")
    if verdict.accepted:
        assert passed and verdict.outcome == "improved"
        assert not any(said.get(guard) == "regressed" for guard in GUARDS)
        assert any(outcome == "improved" for outcome in said.values())
        spoiling = set(DECISIVE) - {ALLOCATIONS}
        assert said.get(aim or "") == "improved" or not any(said.get(metric) == "regressed" for metric in spoiling)
    if any(said.get(guard) == "regressed" for guard in GUARDS):
        assert verdict.outcome == "regressed"


def test_better_effects_never_make_a_verdict_worse() -> None:
    rank = {"regressed": 0, "underpowered": 1, "no_significant_change": 1, "improved": 2}
    for p50, p95, cpu in product(OUTCOMES, repeat=3):
        before = decide(effects(p50=p50, p95=p95, cpu=cpu), [])
        for better in ({"p50": "improved"}, {"p95": "improved"}, {"cpu": "improved"}):
            said: dict[str, Any] = {"p50": p50, "p95": p95, "cpu": cpu, **better}
            after = decide(effects(**said), [])
            assert rank[after.outcome] >= rank[before.outcome]


def test_describe_gives_figures_in_plain_words() -> None:
    assert describe(effect(P95, "improved")) == "response time, P95 from 100 to 50 ms (2.00 times better, 1.80 to 2.20)"
    small = effect(ERRORS, "regressed").model_copy(update={"base": 0.0, "candidate": 0.0312})
    assert describe(small) == "share of failed requests from 0.00% to 3.12%"


def test_how_a_run_ends() -> None:
    assert run_outcome(None) == "incomplete"
    assert run_outcome(decide(effects(), [PASSED])) == "no_significant_change"
    assert run_outcome(decide(effects(cpu="improved"), [PASSED])) == "improved"
    assert run_outcome(decide(effects(cpu="improved"), [FAILED])) == "incomplete"
    assert run_outcome(Verdict(outcome="regressed", reason="", accepted=False)) == "regressed"
