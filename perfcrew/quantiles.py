"""Order statistics of raw samples: exact, no histogram, no buckets."""

import math
from collections.abc import Sequence


def percentile(samples: Sequence[float], q: float) -> float:
    """The q-th percentile (0 to 100), linearly interpolated between the closest ranks.

    The definition is number 7 of Hyndman and Fan (1996), the default of NumPy, R and spreadsheets. Exact: no
    histogram, no buckets. `percentile([x], q)` is x.

    Raises:
        ValueError: no samples, or q outside 0 to 100.
    """
    if not samples:
        raise ValueError("no samples")
    if not 0 <= q <= 100:
        raise ValueError(f"percentile {q} is not between 0 and 100")
    ordered = sorted(samples)
    rank = q / 100 * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (rank - below))


def median(samples: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    return percentile(samples, 50)


def mad(samples: Sequence[float]) -> float:
    """Median absolute deviation from the median, in the samples' unit (not scaled to a normal's sigma)."""
    centre = median(samples)
    return median([abs(sample - centre) for sample in samples])
