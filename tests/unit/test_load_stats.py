import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.load_stats import (
    answered,
    bytes_per_response,
    capacity_rps,
    connections_per_request,
    error_rate,
    generator_faults,
    missed_goals,
)

P95 = ("http.p95_ms", 50.0)
ERRORS = ("http.error_rate", 0.01)


def row(
    latency: float = 10.0, *, ok: bool = True, lead: bool = False, late: float = 0.0, status: int = 200
) -> list[Any]:
    return [0.0, latency, status, 100, 0, ok, lead, late, 0.0, False]


def load(rows: list[list[Any]], **fields: Any) -> dict[str, Any]:
    base = {"requests": rows, "seconds": 10.0, "cut": 0, "client_cpu_s": 1.0, "lags_ms": [0.1], "connections": 2,
            "rate": None, "arrivals": len(rows), "stopped": False}  # fmt: skip
    return {**base, **fields}


def test_failed_and_leading_requests_have_no_latency_that_counts() -> None:
    assert answered(load([row(1), row(2, ok=False), row(3, lead=True)])) == [1.0]


def test_requests_without_an_answer_are_errors() -> None:
    assert error_rate(load([row(), row(ok=False)], cut=2)) == 0.75


def test_bytes_and_connections() -> None:
    seen = load([row(), row(status=0, ok=False)])
    assert bytes_per_response(seen) == 100
    assert connections_per_request(seen) == 1
    assert bytes_per_response(load([row(status=0, ok=False)])) == 0


def test_a_generator_with_time_to_spare_has_no_fault() -> None:
    assert generator_faults(load([row()] * 50)) == ()


@pytest.mark.parametrize(
    ("fields", "rows", "told"),
    [
        ({"client_cpu_s": 9.0}, [row()] * 50, "it used 90% of its core"),
        ({"rate": 5.0}, [row(late=3.0)] * 5 + [row()] * 45, "it sent 10% of the requests over 1.0 ms late"),
        ({"lags_ms": [30.0, 40.0, 0.1]}, [row()] * 50, "its event loop lagged by 30.0 ms"),
    ],
)
def test_a_generator_that_is_the_bottleneck_says_so(fields: Any, rows: Any, told: str) -> None:
    assert generator_faults(load(rows, **fields)) == (told,)


def test_late_users_of_a_closed_model_are_no_fault() -> None:
    assert generator_faults(load([row(late=3.0)] * 50)) == ()


def test_lateness_is_held_against_what_is_measured() -> None:
    assert generator_faults(load([row(1000, late=3.0)] * 50, rate=5.0)) == ()


def test_goals_that_are_held() -> None:
    assert missed_goals(load([row()] * 100), [P95, ERRORS]) == []


def test_goals_that_are_missed() -> None:
    slow = load([row()] * 90 + [row(100)] * 10)
    assert missed_goals(slow, [P95, ERRORS]) == ["http.p95_ms 100 (at most 50)"]
    wrong = load([row()] * 90 + [row(ok=False)] * 10)
    assert missed_goals(wrong, [P95, ERRORS]) == ["http.error_rate 0.1 (at most 0.01)"]


def test_what_was_never_answered_counts_as_endless() -> None:
    assert missed_goals(load([row()] * 90, arrivals=100), [P95]) == ["http.p95_ms no answer (at most 50)"]
    assert missed_goals(load([row()] * 99, arrivals=100), [P95]) == []
    assert missed_goals(load([], arrivals=3), [P95]) == ["http.p95_ms no answer (at most 50)"]


def step(rate: float, *, held: bool) -> dict[str, Any]:
    return {**load([row(10.0 if held else 100.0)] * 20), "rate": rate}


def test_capacity_is_the_highest_rate_below_the_lowest_that_broke() -> None:
    steps = [step(10, held=True), step(20, held=True), step(40, held=False), step(30, held=True), step(80, held=True)]
    assert capacity_rps({"steps": steps, "goals": [P95]}) == 30


def test_a_rate_counts_by_its_last_try() -> None:
    steps = [step(10, held=True), step(20, held=False), step(20, held=True)]
    assert capacity_rps({"steps": steps, "goals": [P95]}) == 20


def test_nothing_held_is_no_capacity() -> None:
    assert capacity_rps({"steps": [step(10, held=False)], "goals": [P95]}) == 0


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=12))
def test_capacity_was_held_and_nothing_below_it_broke(tries: list[tuple[int, bool]]) -> None:
    found = capacity_rps({"steps": [step(rate, held=held) for rate, held in tries], "goals": [P95]})
    last = dict(tries)
    assert found == 0 or last[int(found)]
    assert all(held for rate, held in last.items() if rate <= found)
    assert not math.isinf(found)
