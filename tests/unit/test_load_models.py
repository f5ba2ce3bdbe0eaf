from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tools.load_models import SECOND, count_arrivals, due_ns

rates = st.floats(min_value=0.1, max_value=10_000, allow_nan=False)


@given(rates, st.integers(0, 1_000_000))
def test_the_timetable_never_drifts(rate: float, number: int) -> None:
    assert abs(Fraction(due_ns(number, rate)) - number * SECOND / Fraction(rate)) <= max(
        1, due_ns(number, rate) * 2**-50
    )


@given(rates, st.integers(0, 10_000))
def test_arrivals_are_evenly_spaced(rate: float, number: int) -> None:
    gap = due_ns(number + 1, rate) - due_ns(number, rate)
    assert abs(gap - SECOND / rate) <= 2


@given(rates, st.floats(min_value=0.01, max_value=100))
def test_the_last_arrival_is_due_within_the_time_and_the_next_is_not(rate: float, seconds: float) -> None:
    planned = count_arrivals(rate, seconds)
    slack = SECOND * 1e-8 / min(rate, 1) + 10
    assert planned == 1 or due_ns(planned - 1, rate) <= seconds * SECOND + slack
    assert due_ns(planned, rate) >= seconds * SECOND - slack


def test_known_timetables() -> None:
    assert count_arrivals(10, 1) == 10
    assert count_arrivals(3, 0.1) == 1
    assert [due_ns(number, 4) for number in range(4)] == [0, 250_000_000, 500_000_000, 750_000_000]
