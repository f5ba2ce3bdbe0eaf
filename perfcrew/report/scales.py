"""Axes: where values lie on a plot, and which ones are written beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `start` to `end`, linearly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value; values outside lie on the nearer end."""
        low, high, at = self._bend(self.low), self._bend(self.high), self._bend(value)
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _bend(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def linear_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """A scale from 0 (or the least value, where that is negative) to a round number above the largest value."""
    low, high = min(0.0, *values), max(values, default=1.0)
    high = high if high > low else low + 1.0
    return Scale(low, choose_ticks(low, high)[-1], start, end)


def log_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """A logarithmic scale just around positive values."""
    known = [value for value in values if value > 0] or [1.0, 10.0]
    return Scale(min(known) / 1.05, max(known) * 1.05, start, end, log=True)


def choose_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, in steps of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / max(most - 1, 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def choose_log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Numbers 1, 2 and 5 times powers of ten between `low` and `high`; powers alone where those are too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for sizes in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1,)):
        ticks = [size * 10.0**power for power in powers for size in sizes if low <= size * 10.0**power <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def thin(points: Sequence[float], most: int = 300) -> list[float]:
    """Sorted values, evenly picked where there are too many, the first and the last among them."""
    ordered = sorted(points)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(index * (len(ordered) - 1) / (most - 1))] for index in range(most)]
