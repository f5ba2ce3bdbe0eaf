import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew import quantiles

finite = st.floats(min_value=1e-3, max_value=1e6)
samples = st.lists(finite, min_size=1, max_size=60)


@settings(deadline=None)
@given(samples, st.floats(0, 100))
def test_percentile_is_the_one_of_numpy(values: list[float], q: float) -> None:
    assert quantiles.percentile(values, q) == pytest.approx(np.percentile(values, q))


def test_percentile_of_known_samples() -> None:
    assert quantiles.percentile([10, 20, 30, 40], 50) == 25
    assert quantiles.percentile([10, 20, 30, 40, 50], 95) == pytest.approx(48)
    assert quantiles.percentile([7], 99) == 7


@settings(deadline=None)
@given(samples, st.floats(0, 100), st.floats(0, 100))
def test_percentile_is_monotonic_and_within_the_samples(values: list[float], q1: float, q2: float) -> None:
    low, high = sorted((q1, q2))
    assert min(values) * (1 - 1e-12) <= quantiles.percentile(values, low)
    assert quantiles.percentile(values, low) <= quantiles.percentile(values, high) * (1 + 1e-12)
    assert quantiles.percentile(values, high) <= max(values) * (1 + 1e-12)


@settings(deadline=None)
@given(samples, st.randoms(use_true_random=False))
def test_percentile_does_not_depend_on_order(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert quantiles.percentile(values, 95) == quantiles.percentile(shuffled, 95)


@pytest.mark.parametrize(("values", "q"), [([], 50), ([1.0], -1), ([1.0], 100.5)])
def test_percentile_refuses_nonsense(values: list[float], q: float) -> None:
    with pytest.raises(ValueError):
        quantiles.percentile(values, q)


@settings(deadline=None)
@given(samples, finite)
def test_mad_ignores_where_the_samples_lie(values: list[float], shift: float) -> None:
    assert quantiles.mad([value + shift for value in values]) == pytest.approx(
        quantiles.mad(values), abs=1e-6 * shift + 1e-6
    )
