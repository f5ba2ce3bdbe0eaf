import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew import stats
from perfcrew.errors import VerificationError

finite = st.floats(min_value=1e-3, max_value=1e6)
samples = st.lists(finite, min_size=1, max_size=60)


@settings(deadline=None)
@given(samples, st.floats(0, 100))
def test_percentile_is_the_one_of_numpy(values: list[float], q: float) -> None:
    assert stats.percentile(values, q) == pytest.approx(np.percentile(values, q))


def test_percentile_of_known_samples() -> None:
    assert stats.percentile([10, 20, 30, 40], 50) == 25
    assert stats.percentile([10, 20, 30, 40, 50], 95) == pytest.approx(48)
    assert stats.percentile([7], 99) == 7


@settings(deadline=None)
@given(samples, st.floats(0, 100), st.floats(0, 100))
def test_percentile_is_monotonic_and_within_the_samples(values: list[float], q1: float, q2: float) -> None:
    low, high = sorted((q1, q2))
    assert min(values) * (1 - 1e-12) <= stats.percentile(values, low)
    assert stats.percentile(values, low) <= stats.percentile(values, high) * (1 + 1e-12)
    assert stats.percentile(values, high) <= max(values) * (1 + 1e-12)


@settings(deadline=None)
@given(samples, st.randoms(use_true_random=False))
def test_percentile_does_not_depend_on_order(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stats.percentile(values, 95) == stats.percentile(shuffled, 95)


@pytest.mark.parametrize(("values", "q"), [([], 50), ([1.0], -1), ([1.0], 100.5)])
def test_percentile_refuses_nonsense(values: list[float], q: float) -> None:
    with pytest.raises(ValueError):
        stats.percentile(values, q)


@settings(deadline=None)
@given(samples, finite)
def test_mad_ignores_where_the_samples_lie(values: list[float], shift: float) -> None:
    assert stats.mad([value + shift for value in values]) == pytest.approx(stats.mad(values), abs=1e-6 * shift + 1e-6)


@settings(deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.integers(6, 20), st.integers(0, 19))
def test_theil_sen_finds_a_line_despite_an_outlier(slope: float, offset: float, n: int, where: int) -> None:
    x = [float(i) for i in range(n)]
    y = [offset + slope * i for i in x]
    y[where % n] += 1e4
    assert stats.theil_sen_slope(x, y) == pytest.approx(slope, abs=1e-6)
    assert stats.theil_sen_slope([1.0, 1.0], [1.0, 2.0]) == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=2, max_size=12))
def test_theil_sen_takes_ties(points: list[tuple[int, int]]) -> None:
    slope = stats.theil_sen_slope([float(x) for x, _ in points], [float(y) for _, y in points])
    assert -1 <= slope <= 1


def test_rising_share() -> None:
    assert stats.rising_share([1, 2, 3, 3, 2]) == 0.5
    assert stats.rising_share([1]) == 0


def test_t_interval_against_a_table() -> None:
    centre, low, high = stats.t_interval([1.0, 2.0, 3.0], 0.05)
    assert centre == 2
    assert high - centre == pytest.approx(4.30265 / math.sqrt(3), rel=1e-5)
    assert low == pytest.approx(4 - high)
    assert stats.t_interval([1.0], 0.05) == (1.0, -math.inf, math.inf)


def test_t_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    hits = sum(low <= 0 <= high for _, low, high in (stats.t_interval(rng.normal(size=4), 0.1) for _ in range(3000)))
    assert 0.88 < hits / 3000 < 0.92


@settings(deadline=None)
@given(st.tuples(st.integers(0, 40), st.integers(0, 40)), st.tuples(st.integers(50, 500), st.integers(50, 500)))
def test_rate_ratio_interval_holds_its_estimate(events: tuple[int, int], trials: tuple[int, int]) -> None:
    ratio, low, high = stats.rate_ratio_interval(events, trials, 0.05)
    assert 1 / 1000 <= low <= ratio <= high <= 1000
    if all(events):
        assert ratio == pytest.approx(events[0] / trials[0] / (events[1] / trials[1]))


def test_rate_ratio_tells_many_failures_from_none() -> None:
    assert stats.rate_ratio_interval((0, 12), (100, 100), 0.05)[2] < 1
    assert stats.rate_ratio_interval((0, 2), (100, 100), 0.05)[2] > 1
    assert stats.rate_ratio_interval((0, 0), (100, 100), 0.05) == (1, 1, 1)


def load(latencies: list[float], failures: int = 0) -> dict[str, object]:
    lead = [[0.0, 9999.0, 200, 10, 0, True, True]]
    good = [[0.1, latency, 200, 10, 0, True, False] for latency in latencies]
    bad = [[0.1, 1.0, 500, 10, 0, False, False]] * failures
    return {"requests": lead + good + bad, "seconds": 2.0, "cpu_s": 0.5, "cores": 2}


def test_recompute_reads_load() -> None:
    raw = load([10.0, 20.0, 30.0], failures=1)
    assert stats.recompute("percentile:50", raw) == 20
    assert stats.recompute("latency_mean", raw) == 20
    assert stats.recompute("error_rate", raw) == pytest.approx(1 / 5)
    assert stats.recompute("rps", raw) == 2.5
    assert stats.recompute("cpu_ms_per_request", raw) == 100
    assert stats.recompute("cpu_utilisation", raw) == 0.125
    assert stats.recompute("command_seconds", raw) == 0.02


def test_recompute_reads_memory_and_anything_else() -> None:
    memory = {"points": [[0.0, 0, 50.0], [1.0, 100, 51.0], [2.0, 200, 52.0]]}
    assert stats.recompute("memory_peak_mb", memory) == 52
    assert stats.recompute("memory_growth_kb", memory) == pytest.approx(10)
    raw = {"a/b": [1, 2, 6], "x": {"y": [4]}}
    assert stats.recompute("mean:/a~1b", raw) == 3
    assert stats.recompute("median:/a~1b", raw) == 2
    assert stats.recompute("max:/a~1b", raw) == 6
    assert stats.recompute("sum:/a~1b", raw) == 9
    assert stats.recompute("length:/a~1b", raw) == 3
    assert stats.recompute("value:/x/y/0", raw) == 4


@pytest.mark.parametrize("method", ["guess:1", "percentile:95", "value:/none", "duel:base/http.p50_ms", "percentile:x"])
def test_recompute_says_what_it_can_not_do(method: str) -> None:
    with pytest.raises(VerificationError, match=method.split(":")[0]):
        stats.recompute(method, {"requests": []})


def cell(start: int, arm: str, latencies: list[float], **more: object) -> dict[str, object]:
    base = {"start": start, "arm": arm, "round": 0, "order": 0, "seconds": 1.0, "latency_ms": latencies}
    return {**base, "requests": len(latencies), "errors": 0, "cpu_s": 0.1, "uss_mb": 50.0, "served": 10, **more}


def test_tails_of_short_rounds_are_taken_over_the_start() -> None:
    few = {"cells": [cell(0, "base", [1.0, 2.0]), cell(0, "base", [3.0, 4.0]), cell(0, "candidate", [1.0] * 100)]}
    assert stats.start_value(few, 0, "base", "http.p50_ms") == 2.5
    many = [cell(0, "base", [value] * 50) for value in (1.0, 2.0, 90.0)]
    full = {"cells": [*many, cell(0, "candidate", [1.0] * 50)]}
    assert stats.start_value(full, 0, "base", "http.p95_ms") == 2.0


def test_starts_without_both_arms_are_left_out() -> None:
    duel = {"cells": [cell(0, "base", [4.0]), cell(0, "candidate", [2.0]), cell(1, "base", [400.0])]}
    assert stats.start_pairs(duel, "http.p50_ms") == [(4.0, 2.0)]
    duel["cells"].append(cell(1, "candidate", [], requests=5, errors=5))
    assert stats.start_pairs(duel, "http.p50_ms") == [(4.0, 2.0)]


def test_memory_is_compared_after_equal_work() -> None:
    # Both keep 0.1 MB a request; the candidate serves ten times as many in the same time.
    starts = [{"start": 0, "arm": arm, "seconds": 1.0, "uss_mb": 50.0, "served": 0} for arm in ("base", "candidate")]
    cells = [cell(0, "base", [1.0], uss_mb=51.0, served=10), cell(0, "candidate", [1.0], uss_mb=60.0, served=100)]
    assert stats.memory_at_equal_work({"starts": starts, "cells": cells}, 0) == pytest.approx((51.0, 51.0))
