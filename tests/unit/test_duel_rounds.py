import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.duel_rounds import duel_value, memory_at_equal_work, start_pairs, trimmed, typical_pair

P50, P95, CPU = "http.p50_ms", "http.p95_ms", "cpu.ms_per_request"


def cell(start: int, arm: str, number: int, latencies: list[float], **more: object) -> dict[str, Any]:
    known = {"start": start, "arm": arm, "round": number, "order": 0, "seconds": 1.0, "latency_ms": latencies}
    return {**known, "requests": len(latencies), "errors": 0, "cpu_s": 0.1, "uss_mb": 50.0, "served": 10, **more}


def rounds(base: list[list[float]], candidate: list[list[float]]) -> dict[str, Any]:
    arms = (("base", base), ("candidate", candidate))
    return {"cells": [cell(0, arm, number, each) for arm, of in arms for number, each in enumerate(of)], "counts": {}}


def test_a_start_is_the_median_of_pairs_so_that_a_burst_in_one_does_not_count() -> None:
    duel = rounds([[8.0] * 50, [80.0] * 50, [8.0] * 50], [[4.0] * 50, [4.0] * 50, [4.0] * 50])
    (pair,) = start_pairs(duel, P95)
    assert pair == pytest.approx((8.0, 4.0))


def test_drift_that_hits_neighbours_alike_leaves_the_ratio_alone() -> None:
    drift = (1.0, 1.5, 2.5, 4.0, 7.0)
    duel = rounds([[8.0 * factor] * 50 for factor in drift], [[4.0 * factor] * 50 for factor in drift])
    ((base, candidate),) = start_pairs(duel, P50)
    assert base / candidate == pytest.approx(2.0)
    assert base == pytest.approx(8.0 * 2.5)


def test_rounds_with_few_requests_are_put_together_for_percentiles() -> None:
    few = rounds([[1.0] * 10] * 3 + [[9.0] * 10], [[1.0] * 10] * 4)
    ((tail, _),) = start_pairs(few, P95)
    assert tail == pytest.approx(9.0)
    ((middle, _),) = start_pairs(few, P50)
    assert middle == pytest.approx(math.sqrt(1.0 * 5.0), rel=0.5) and middle > 1


def test_starts_without_both_arms_are_left_out() -> None:
    duel: dict[str, Any] = {"cells": [cell(0, "base", 0, [4.0]), cell(0, "candidate", 0, [2.0])], "counts": {}}
    duel["cells"].append(cell(1, "base", 0, [400.0]))
    assert start_pairs(duel, P50) == [pytest.approx((4.0, 2.0))]
    duel["cells"].append(cell(1, "candidate", 0, [], requests=5, errors=5))
    assert start_pairs(duel, P50) == [pytest.approx((4.0, 2.0))]


def test_one_start_that_is_an_accident_is_left_out_of_seven() -> None:
    assert [trimmed(starts) for starts in (2, 6, 7, 13, 14, 21)] == [0, 0, 1, 1, 2, 3]
    pairs = [(4.0, 2.0)] * 6 + [(900.0, 2.0)]
    assert typical_pair(pairs) == pytest.approx((4.0, 2.0))


@given(st.lists(st.tuples(st.floats(0.1, 1e3), st.floats(0.1, 1e3)), min_size=1, max_size=30))
def test_swapping_the_arms_swaps_the_values(pairs: list[tuple[float, float]]) -> None:
    swapped = typical_pair([(candidate, base) for base, candidate in pairs])
    assert swapped == pytest.approx(typical_pair(pairs)[::-1])


def test_another_workload_is_read_beside_the_duels_own() -> None:
    duel = rounds([[8.0] * 50], [[4.0] * 50]) | {"beside": {"a:b": rounds([[3.0] * 300], [[1.0] * 300])}}
    assert duel_value(duel, "base/http.p99_ms") == pytest.approx(8.0)
    assert duel_value(duel, "a:b:candidate/http.p99_ms") == pytest.approx(1.0)


def test_memory_is_compared_after_equal_work() -> None:
    # Both keep 0.1 MB a request; the candidate serves ten times as many in the same time. Not each round reads memory.
    starts = [{"start": 0, "arm": arm, "seconds": 1.0, "uss_mb": 50.0, "served": 0} for arm in ("base", "candidate")]
    cells = [
        cell(0, "base", 0, [1.0], uss_mb=None, served=5), cell(0, "base", 1, [1.0], uss_mb=51.0, served=10),
        cell(0, "candidate", 0, [1.0], uss_mb=60.0, served=100),
    ]  # fmt: skip
    assert memory_at_equal_work({"starts": starts, "cells": cells}, 0) == pytest.approx((51.0, 51.0))
