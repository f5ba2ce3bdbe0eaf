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
