"""Where to say that a gain is gone: one threshold for each metric, from what was measured before and after.

Something between before and after is lost when half of it is, on a scale of ratios, as response times are: the
threshold of an improved metric is the geometric mean of both. It never comes nearer to the measured value than its
interval and a fifth. What did not improve may grow by half before anybody is called; counts may not grow at all.
"""

import math
from collections.abc import Iterable

from perfcrew.records.base import Record
from perfcrew.records.report import MetricRow
from perfcrew.records.work import Criterion

HEADROOM = 1.2
"""How far above the measured value, or the upper end of its interval, the threshold of an improved metric stays."""
SLACK = 1.5
"""How much a metric that did not improve may grow."""
ERRORS = 0.01
"""Least share of failed requests that is worth an alert."""
_COUNTED_SLACK = {"db.queries_per_request": 1.0, "http.bytes_per_response": 1.1, "page.bytes": 1.1}
_ORDER = (
    "http.p95_ms", "http.p50_ms", "db.queries_per_request", "cpu.ms_per_request", "http.bytes_per_response",
    "memory.peak_mb", "http.error_rate", "command.seconds", "page.lcp_ms", "page.inp_ms", "page.bytes",
)  # fmt: skip


class Threshold(Record):
    """Above this value, in the metric's unit, a gain counts as lost."""

    metric: str
    workload: str
    value: float
    base: float
    measured: float
    improved: bool

    @property
    def goal(self) -> Criterion:
        """The same as a goal of a target's description."""
        return Criterion(metric=self.metric, workload=self.workload, comparison="at_most", value=self.value)


def set_thresholds(rows: Iterable[MetricRow]) -> tuple[Threshold, ...]:
    """The thresholds that the last duel gives, by workload, the telling metrics first.

    Args:
        rows: of a report whose branch was measured against its base. Rows that do not count set none.
    """
    known = {(row.workload, row.name): row for row in rows if not row.doubt and row.better == "lower"}
    workloads = dict.fromkeys(workload for workload, _ in known)
    return tuple(
        _set(known[workload, metric]) for workload in workloads for metric in _ORDER if (workload, metric) in known
    )


def _set(row: MetricRow) -> Threshold:
    improved = row.outcome == "improved"
    value = _above(row, improved)
    return Threshold(
        metric=row.name, workload=row.workload, value=_round_up(value), base=row.base, measured=row.candidate,
        improved=improved,
    )  # fmt: skip


def _above(row: MetricRow, improved: bool) -> float:
    if row.name == "http.error_rate":
        return max(ERRORS, 2 * row.candidate)
    if row.name in _COUNTED_SLACK:
        return row.candidate * _COUNTED_SLACK[row.name]
    if not improved:
        return SLACK * max(row.base, row.candidate)
    upper = row.base / row.ratio_low if row.ratio_low > 0 else row.candidate
    return max(math.sqrt(row.base * row.candidate), HEADROOM * max(upper, row.candidate))


def _round_up(value: float) -> float:
    """Three significant digits, never less than the value."""
    if value <= 0 or not math.isfinite(value):
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    # A float that is a whole number of steps already must not be lifted by its own rounding.
    rounded = math.ceil(round(value / step, 6)) * step
    return float(f"{rounded:.6g}")
