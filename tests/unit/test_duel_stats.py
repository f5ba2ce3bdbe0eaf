"""The verdict's statistics, by laws and by simulation over the noise that was seen on shared machines.

Noise between identical copies (standard deviations of the log ratio; interleaved rounds of FastAPI servers on a
shared two-core machine): between starts, median 1.1 %, P95 9.6 %, CPU 0.4 %; between rounds of a start, most of the
time 1.3 %, 2.6 %, 1.1 %, with bursts by a neighbour that bring it to 3.9 %, 20 %, 2.2 %. Start noise is drawn from
Student's t with 3 degrees of freedom, for tails; bursts only ever make a round slower, in 7 of 100.
"""

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew.duel_stats import DECISIVE_TIMED, beside_effects, duel_effects, look_alpha, narrowing, noise_floors
from perfcrew.duel_stopping import is_clear, is_promising
from perfcrew.records.evidence import Effect
from perfcrew.records.metrics import METRICS
from perfcrew.stats import recompute, t_interval, t_width
from tools.protocol import FULL, QUICK, Protocol

BETWEEN_STARTS = {"http.p50_ms": 0.011, "http.p95_ms": 0.096, "cpu.ms_per_request": 0.004}
BETWEEN_ROUNDS = {"http.p50_ms": 0.013, "http.p95_ms": 0.026, "cpu.ms_per_request": 0.011}
WITH_BURSTS = {"http.p50_ms": 0.039, "http.p95_ms": 0.20, "cpu.ms_per_request": 0.022}
BURSTS = 0.07
BODY = np.linspace(4.0, 5.9, 47)


def protocol_json(protocol: Protocol, floors: dict[str, float] | None = None) -> dict[str, Any]:
    return {**protocol.model_dump(mode="json"), "kind": "http", "floors": floors or {}}


def simulate(rng: np.random.Generator, protocol: Protocol, speedup: float, rounds: int = 3) -> dict[str, Any]:
    """A raw duel of a server of 5 ms against one that is `speedup` times as fast, in all starts of the protocol."""
    cells, starts = [], []
    for start in range(protocol.looks[-1]):
        luck = {metric: rng.standard_t(3) / math.sqrt(3) * sd for metric, sd in BETWEEN_STARTS.items()}
        for arm in ("base", "candidate"):
            starts.append({"start": start, "arm": arm, "seconds": 1.0, "uss_mb": 60.0, "served": 20})
            for number in range(rounds):
                burst = rng.random() < BURSTS
                factor = {}
                for metric, sd in BETWEEN_ROUNDS.items():
                    extra = math.sqrt((WITH_BURSTS[metric] ** 2 - sd**2) / BURSTS) if burst else 0.0
                    log = rng.normal(0, sd / math.sqrt(2)) + abs(rng.normal(0, extra))
                    change = luck[metric] - math.log(speedup) if arm == "candidate" else 0.0
                    factor[metric] = math.exp(log + change)
                body = (BODY * factor["http.p50_ms"]).tolist()
                latencies = body + [8.0 * factor["http.p95_ms"]] * 5
                cells.append(
                    {
                        "start": start, "arm": arm, "round": number, "order": number, "seconds": 1.0,
                        "latency_ms": latencies, "requests": 60, "errors": 0, "failures": {}, "cut": 0,
                        "cpu_s": 0.3 * factor["cpu.ms_per_request"], "cores": 1, "uss_mb": 61.0,
                        "served": 80 + 60 * number, "bytes": 60_000,
                    }
                )  # fmt: skip
    counts = {arm: {"db.queries_per_request": [3.0]} for arm in ("base", "candidate")}
    return {
        "workload": "w", "protocol": protocol_json(protocol), "cells": cells, "starts": starts, "counts": counts
    }  # fmt: skip


def until_clear(duel: dict[str, Any]) -> tuple[Effect, ...]:
    """What the duel says when it stops at the first look that is clear, as `tools.duel` does."""
    protocol = duel["protocol"]
    effects: tuple[Effect, ...] = ()
    for look in protocol["looks"]:
        cells = [cell for cell in duel["cells"] if cell["start"] < look]
        effects = duel_effects({**duel, "cells": cells})
        if is_clear(effects, kind="http", thorough=protocol["thorough"]):
            break
    return effects


def outcomes(effects: tuple[Effect, ...]) -> dict[str, str]:
    return {effect.metric: effect.outcome for effect in effects}


def share_improved(protocol: Protocol, speedup: float, runs: int, metrics: tuple[str, ...], seed: int) -> float:
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(runs):
        said = outcomes(until_clear(simulate(rng, protocol, speedup)))
        found += any(said[metric] == "improved" for metric in metrics)
    return found / runs


@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("protocol", [QUICK, FULL], ids=["quick", "full"])
def test_equal_arms_are_called_improved_in_at_most_1_of_100(protocol: Protocol, seed: int) -> None:
    assert share_improved(protocol, 1.0, 500, DECISIVE_TIMED["http"], seed=seed) <= 0.01


@pytest.mark.parametrize(
    ("protocol", "speedup", "metrics", "least"),
    [
        (FULL, 1.05, ("cpu.ms_per_request",), 0.9),
        (FULL, 1.05, ("http.p50_ms",), 0.8),
        (FULL, 1.05, DECISIVE_TIMED["http"], 0.95),
        (QUICK, 1.15, ("cpu.ms_per_request",), 0.9),
        (QUICK, 1.25, ("http.p50_ms",), 0.9),
    ],
)
def test_true_gains_are_found(protocol: Protocol, speedup: float, metrics: tuple[str, ...], least: float) -> None:
    assert share_improved(protocol, speedup, 80, metrics, seed=23) >= least


def test_a_loss_is_never_called_a_gain() -> None:
    assert share_improved(FULL, 1 / 1.05, 80, DECISIVE_TIMED["http"], seed=5) == 0


def test_a_quick_duel_of_a_clear_gain_stops_at_its_first_look() -> None:
    effects = until_clear(simulate(np.random.default_rng(3), QUICK, 3.0))
    first = look_alpha(protocol_json(QUICK), QUICK.looks[0])
    assert {round(1 - effect.confidence, 6) for effect in effects if effect.metric == "http.p50_ms"} == {
        round(first, 6)
    }


def swap(duel: dict[str, Any]) -> dict[str, Any]:
    other = {"base": "candidate", "candidate": "base"}
    swapped = copy.deepcopy(duel)
    for entry in swapped["cells"] + swapped["starts"]:
        entry["arm"] = other[entry["arm"]]
    swapped["counts"] = {other[arm]: counts for arm, counts in duel["counts"].items()}
    return swapped


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 3.0))
def test_swapping_the_arms_inverts_every_ratio(seed: int, speedup: float) -> None:
    duel = simulate(np.random.default_rng(seed), QUICK, speedup)
    opposite = {"improved": "regressed", "regressed": "improved"}
    for there, back in zip(duel_effects(duel), duel_effects(swap(duel)), strict=True):
        assert back.ratio == pytest.approx(1 / there.ratio)
        assert (back.ratio_low, back.ratio_high) == pytest.approx((1 / there.ratio_high, 1 / there.ratio_low))
        assert back.outcome == opposite.get(there.outcome, there.outcome)
        assert (back.base, back.candidate) == pytest.approx((there.candidate, there.base))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 3.0), st.sampled_from([QUICK, FULL]))
def test_effects_are_consistent_and_survive_json(seed: int, speedup: float, protocol: Protocol) -> None:
    duel = simulate(np.random.default_rng(seed), protocol, speedup)
    effects = duel_effects(duel)
    assert effects == duel_effects(json.loads(json.dumps(duel)))
    for effect in effects:
        assert effect.ratio_low <= effect.ratio <= effect.ratio_high
        for arm, value in (("base", effect.base), ("candidate", effect.candidate)):
            assert recompute(f"duel:{arm}/{effect.metric}", duel) == value
        if METRICS[effect.metric].basis == "timed":
            better = effect.base / effect.candidate if effect.better == "lower" else effect.candidate / effect.base
            assert effect.ratio == pytest.approx(better)
        if effect.outcome == "improved":
            assert effect.ratio_low >= 1 and math.log(effect.ratio) > 0.01


def test_floors_of_the_raw_file_keep_small_changes_out() -> None:
    duel = simulate(np.random.default_rng(1), FULL, 1.05)
    assert outcomes(duel_effects(duel))["cpu.ms_per_request"] == "improved"
    duel["protocol"]["floors"] = {"cpu.ms_per_request": 0.2}
    assert outcomes(duel_effects(duel))["cpu.ms_per_request"] == "no_significant_change"


def test_noise_floors_are_what_was_seen_and_at_least_one_per_cent() -> None:
    duel = simulate(np.random.default_rng(2), QUICK, 1.0)
    floors = noise_floors(duel)
    assert set(DECISIVE_TIMED["http"]) < set(floors)
    assert all(floor >= 0.01 for floor in floors.values())
    usual = simulate(np.random.default_rng(2), QUICK, 1.2)
    assert noise_floors(usual)["cpu.ms_per_request"] == pytest.approx(math.log(1.2), abs=0.02)
    for cell in usual["cells"]:
        if cell["start"] == 0 and cell["arm"] == "base":
            cell["cpu_s"] *= 3  # one start that is an accident as a whole
    assert noise_floors(usual)["cpu.ms_per_request"] == pytest.approx(math.log(1.2), abs=0.02)


def test_each_look_spends_its_share_of_alpha() -> None:
    protocol = {"looks": [3, 5], "shares": [0.25, 0.75], "alpha": 0.04}
    assert [look_alpha(protocol, starts) for starts in (2, 3, 4, 5, 9)] == pytest.approx([0.01, 0.01, 0.03, 0.03, 0.03])


@pytest.mark.parametrize("protocol", [QUICK, FULL])
def test_shares_add_up_to_no_more_than_the_whole(protocol: Protocol) -> None:
    assert sum(protocol.shares) <= 1 + 1e-12
    assert len(protocol.shares) == len(protocol.looks)


def still() -> dict[str, Any]:
    """A duel without noise in which nothing differs."""
    cells, starts = [], []
    for start in range(3):
        for arm in ("base", "candidate"):
            starts.append({"start": start, "arm": arm, "seconds": 1.0, "uss_mb": 60.0, "served": 0})
            cells.append(
                {
                    "start": start, "arm": arm, "round": 0, "order": 0, "seconds": 1.0, "latency_ms": [5.0] * 50,
                    "requests": 50, "errors": 0, "failures": {}, "cut": 0, "cpu_s": 0.2, "cores": 1, "uss_mb": 61.0,
                    "served": 50, "bytes": 500,
                }
            )  # fmt: skip
    counts = {arm: {"db.queries_per_request": [45.0, 47.0]} for arm in ("base", "candidate")}
    return {"workload": "w", "protocol": protocol_json(QUICK), "cells": cells, "starts": starts, "counts": counts}


def test_nothing_differs() -> None:
    assert set(outcomes(duel_effects(still())).values()) == {"no_significant_change"}


def test_counts_decide_exactly() -> None:
    duel = still()
    duel["counts"]["candidate"]["db.queries_per_request"] = [3.0, 3.0]
    effect = next(effect for effect in duel_effects(duel) if effect.metric == "db.queries_per_request")
    assert (effect.outcome, effect.exact, effect.base, effect.candidate) == ("improved", True, 46.0, 3.0)
    assert effect.ratio == effect.ratio_low == effect.ratio_high == pytest.approx(46 / 3)
    duel["counts"]["candidate"]["db.queries_per_request"] = [0.0]
    assert next(e for e in duel_effects(duel) if e.metric == "db.queries_per_request").ratio == 1000


def test_failures_count_as_errors_and_not_as_fast_answers() -> None:
    duel = still()
    for cell in duel["cells"]:
        if cell["arm"] == "candidate":
            cell.update(latency_ms=[], errors=50)
    said = outcomes(duel_effects(duel))
    assert said["http.error_rate"] == "regressed"
    assert "http.p50_ms" not in said


@pytest.mark.parametrize(("after", "outcome"), [(64.0, "no_significant_change"), (90.0, "regressed")])
def test_memory_counts_beyond_a_tenth_and_five_megabytes(after: float, outcome: str) -> None:
    duel = still()
    for cell in duel["cells"]:
        if cell["arm"] == "candidate":
            cell["uss_mb"] = after
    assert outcomes(duel_effects(duel))["memory.peak_mb"] == outcome


@pytest.mark.parametrize(("factor", "outcome"), [(0.97, "no_significant_change"), (0.8, "regressed")])
def test_fewer_writes_a_second_break_a_guard(factor: float, outcome: str) -> None:
    duel = still()
    assert "http.writes_per_s" not in outcomes(duel_effects(duel))
    for cell in duel["cells"]:
        cell["writes"] = 100 * factor if cell["arm"] == "candidate" else 100
    assert outcomes(duel_effects(duel))["http.writes_per_s"] == outcome


@pytest.mark.parametrize(("after", "outcome"), [(5.3, "no_significant_change"), (6.5, "regressed"), (3.0, "improved")])
def test_the_tail_of_another_workload_is_judged_beside(after: float, outcome: str) -> None:
    duel = still()
    other = still() | {"workload": "browse"}
    for cell in other["cells"]:
        if cell["arm"] == "candidate":
            cell["latency_ms"] = [after] * 50
    duel["beside"] = {"browse": other, "third": still() | {"workload": "third"}}
    effects = beside_effects(json.loads(json.dumps(duel)))
    assert [(effect.workload, effect.metric) for effect in effects] == [
        ("browse", "http.p99_ms"), ("browse", "http.error_rate"), ("third", "http.p99_ms"), ("third", "http.error_rate")
    ]  # fmt: skip
    assert effects[0].outcome == outcome and effects[2].outcome == "no_significant_change"
    for each in effects:
        assert recompute(f"duel:{each.workload}:candidate/{each.metric}", duel) == each.candidate
    # They share 5 % among all that are judged, those without writes included.
    assert {effect.confidence for effect in effects} == {round(1 - 0.05 / 6, 6)}
    assert beside_effects(still()) == ()


def test_what_matters_can_differ_by_metric() -> None:
    duel = still()
    for cell in duel["cells"]:
        cell["cpu_s"] *= 1 + 0.01 * ((cell["start"] + (cell["arm"] == "base")) % 2)
    assert outcomes(duel_effects(duel))["cpu.ms_per_request"] != "improved"
    wide = duel_effects(duel | {"protocol": duel["protocol"] | {"matter": 10.0}})
    assert outcomes(wide)["cpu.ms_per_request"] == "no_significant_change"
    strict = {**duel["protocol"], "matter": 10.0, "matters": {"cpu.ms_per_request": 0.01}}
    assert outcomes(duel_effects(duel | {"protocol": strict}))["cpu.ms_per_request"] == "underpowered"


def test_a_locustfile_is_judged_as_requests_are() -> None:
    duel = still()
    duel["protocol"]["kind"] = "locust"
    assert "http.p95_ms" in outcomes(duel_effects(duel))


def test_commands_are_judged_by_wall_time_and_cpu() -> None:
    duel = still()
    duel["protocol"]["kind"] = "command"
    for cell in duel["cells"]:
        if cell["arm"] == "candidate":
            cell["latency_ms"] = [2.0] * 50
    said = outcomes(duel_effects(duel))
    assert said["command.seconds"] == "improved"
    assert not any(metric.startswith("http.p") for metric in said)


def effect(metric: str, outcome: str, ratio: float = 1.0) -> Effect:
    known = METRICS[metric]
    return Effect(
        metric=metric, workload="w", unit=known.unit, better=known.better, base=1, candidate=1 / ratio, ratio=ratio,
        ratio_low=ratio, ratio_high=ratio, confidence=0.96, floor=0.01, exact=False, outcome=outcome,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("p50", "p95", "cpu", "ratio", "quick", "thorough"),
    [
        ("improved", "underpowered", "improved", 1.0, True, False),
        ("improved", "underpowered", "improved", 0.9, False, False),
        ("underpowered", "underpowered", "no_significant_change", 1.0, False, False),
        ("no_significant_change", "underpowered", "no_significant_change", 1.0, True, False),
        ("no_significant_change", "regressed", "improved", 1.0, True, True),
    ],
)
def test_when_a_duel_is_clear(p50: str, p95: str, cpu: str, ratio: float, quick: bool, thorough: bool) -> None:
    effects = (effect("http.p50_ms", p50), effect("http.p95_ms", p95, ratio), effect("cpu.ms_per_request", cpu))
    assert is_clear(effects, kind="http", thorough=False) is quick
    assert is_clear(effects, kind="http", thorough=True) is thorough


@pytest.mark.parametrize(
    ("outcome", "ratio", "wide", "doubt", "memory", "promising"),
    [
        ("underpowered", 1.65, 2.0, "", "no_significant_change", True),
        ("underpowered", 1.65, 2.0, "", "regressed", False),
        ("underpowered", 1.65, 2.0, "the load generator was busy", "no_significant_change", False),
        ("underpowered", 1.65, 20.0, "", "no_significant_change", False),
        ("underpowered", 1.05, 1.06, "", "no_significant_change", False),
        ("underpowered", 0.5, 2.0, "", "no_significant_change", False),
        ("improved", 1.65, 1.2, "", "no_significant_change", False),
    ],
)
def test_when_more_starts_promise_something(
    outcome: str, ratio: float, wide: float, doubt: str, memory: str, promising: bool
) -> None:
    interval = {"ratio_low": ratio / wide, "ratio_high": ratio * wide, "doubt": doubt}
    unsettled = effect("http.p95_ms", outcome, ratio).model_copy(update=interval)
    others = (effect("http.p50_ms", "no_significant_change"), effect("http.p99_ms", "underpowered", 2.0))
    effects = (unsettled, *others, effect("memory.peak_mb", memory))
    assert is_promising(effects, QUICK.model_dump(), 4) is promising


def test_intervals_narrow_toward_the_last_look() -> None:
    shares = [narrowing(QUICK.model_dump(), look) for look in QUICK.looks]
    assert shares == sorted(shares) and shares[-1] == 1.0
    samples = list(np.random.default_rng(1).normal(0.0, 1.0, 13))
    alpha = QUICK.alpha * QUICK.shares[-1] / 3
    spread = float(np.clip(samples, sorted(samples)[1], sorted(samples)[-2]).std(ddof=1))
    _, low, high = t_interval(samples, alpha, 1)
    assert (high - low) / 2 == pytest.approx(spread * t_width(13, alpha, 1))
