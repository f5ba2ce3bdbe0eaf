from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew.quantiles import percentile
from tools.histogram import count_samples, histogram_percentile, merge_histograms, to_histogram

latencies = st.lists(st.floats(min_value=0, max_value=5_000_000), max_size=40)


@settings(deadline=None, max_examples=40)
@given(st.lists(latencies, max_size=4))
def test_merging_is_exact(parts: list[list[float]]) -> None:
    together = [latency for part in parts for latency in part]
    assert merge_histograms(map(to_histogram, parts)) == to_histogram(together)


@settings(deadline=None, max_examples=40)
@given(latencies, latencies)
def test_the_order_of_merging_does_not_matter(one: list[float], two: list[float]) -> None:
    texts = [to_histogram(one), to_histogram(two)]
    assert merge_histograms(texts) == merge_histograms(reversed(texts))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(min_value=1, max_value=100_000), min_size=1, max_size=60), st.integers(0, 59))
def test_percentiles_are_within_a_thousandth_of_a_sample(samples: list[float], rank: int) -> None:
    ordered = sorted(samples)
    rank = min(rank, len(ordered) - 1)
    got = histogram_percentile(to_histogram(samples), 100 * (rank + 1) / len(ordered))
    assert abs(got - ordered[rank]) <= max(0.001 * ordered[rank], 0.001)


def test_a_histogram_agrees_with_the_exact_percentiles() -> None:
    samples = [float(number) for number in range(1, 10_001)]
    text = to_histogram(samples)
    assert count_samples(text) == 10_000
    for q in (50, 90, 99):
        assert abs(histogram_percentile(text, q) / percentile(samples, q) - 1) < 0.002


def test_over_an_hour_counts_as_an_hour() -> None:
    assert abs(histogram_percentile(to_histogram([1e9]), 100) - 3_600_000) < 5_000
