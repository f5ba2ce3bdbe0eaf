"""A duel's raw rounds to effects: how many times better one arm is than the other, with an interval.

The unit is the *start* (a fresh process pair): requests of one process are not independent samples, and neither are
its rounds, since address layout, hash seeds and allocator luck differ by start. For each start the logarithm of the
ratio of the arms is taken, robustly over its interleaved rounds; Student's t over the starts gives the interval.

False alarms are held down for the duel as a whole: `alpha` is divided among the sequential looks by their `shares`
and within a look equally among the deciding timed metrics (Bonferroni, whatever the correlation). What is left is also
asked to exceed a floor: one per cent, or the difference that the base showed against itself, whichever is larger.
Simulated over the noise of shared virtual machines (`tests/unit/test_duel_stats.py`), fewer than 1 in 100 duels of
equal arms come out as improved.

A raw duel is a JSON object:
    workload   its name
    protocol   looks (starts after which it may stop), shares (of alpha, one a look), alpha, matter (the relative change
               that matters), floors (metric to relative change), kind (`http` or `command`), and what else was set
    cells      a list of rounds: start, arm (`base` or `candidate`), round, order, seconds, latency_ms (of requests that
               were answered as expected, each user's first left out), requests (all), errors, failures (by kind), cut,
               cpu_s, cores, uss_mb, served (requests since the start), bytes
    starts     a list: start, arm, seconds until ready, uss_mb and served after the warm-up
    counts     arm to counted metric to a list of values, one a request
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from perfcrew.records.base import Outcome
from perfcrew.records.evidence import Effect
from perfcrew.records.metrics import METRICS
from perfcrew.stats import (
    TINY,
    duel_value,
    geometric_mean,
    rate_ratio_interval,
    start_numbers,
    start_pairs,
    t_interval,
)

Pairs = Sequence[tuple[float, float]]

FLOOR = 0.01
"""The relative change below which no difference counts, whatever the test says."""

MOST = 1000.0
"""Ratios are given between 1/1000 and 1000: beyond, a figure says more about a zero than about a change."""

DECISIVE_TIMED = {
    "http": ("http.p50_ms", "http.p95_ms", "cpu.ms_per_request"),
    "command": ("command.seconds", "cpu.ms_per_request"),
}
"""The timed metrics that decide, by kind of workload: the family within which false alarms are controlled."""

DECISIVE_COUNTED = ("db.queries_per_request", "http.bytes_per_response")

_BESIDE = {"http": ("http.p90_ms", "http.p99_ms", "http.mean_ms", "http.rps"), "command": ()}
"""Timed metrics that are shown but don't decide; their intervals are as wide as those of the deciding ones."""

_GUARD_ALPHA = 0.05
"""For sampled metrics, which can only spoil a win: each has its own 95 % interval."""

_SAMPLED_FLOORS = {"memory.peak_mb": (0.10, 5.0), "start.seconds": (0.10, 0.5), "cpu.utilisation": (0.10, 0.05)}
"""Metric to relative and absolute change (in its unit), both of which a difference must exceed."""

_ERROR_RATE_FLOOR = 0.001


def look_alpha(protocol: Mapping[str, Any], starts: int) -> float:
    """The alpha that a look after this many starts may spend, over all its deciding timed metrics."""
    for look, share in zip(protocol["looks"], protocol["shares"], strict=True):
        if starts <= look:
            return float(protocol["alpha"] * share)
    return float(protocol["alpha"] * protocol["shares"][-1])


def duel_effects(duel: Any) -> tuple[Effect, ...]:
    """The effects of a raw duel: timed metrics first, then counted, then sampled ones.

    Metrics without values in both arms, such as a latency where every request failed, are left out.
    """
    protocol = duel["protocol"]
    kind = protocol.get("kind", "http")
    alpha = look_alpha(protocol, len(start_numbers(duel))) / len(DECISIVE_TIMED[kind])
    effects = [_timed(duel, metric, alpha) for metric in DECISIVE_TIMED[kind] + _BESIDE[kind]]
    effects += [_counted(duel, metric) for metric in DECISIVE_COUNTED]
    effects += [_error_rate(duel), *(_sampled(duel, metric) for metric in _SAMPLED_FLOORS)]
    return tuple(effect for effect in effects if effect is not None)


def noise_floors(duel: Any) -> dict[str, float]:
    """Floors from a duel of the base against itself: the difference that it showed, but at least one per cent."""
    kind = duel["protocol"].get("kind", "http")
    deciding = DECISIVE_TIMED[kind] + _BESIDE[kind]
    return {
        effect.metric: max(FLOOR, abs(math.log(effect.ratio)))
        for effect in duel_effects(duel)
        if effect.metric in deciding
    }


def is_clear(effects: Sequence[Effect], *, kind: str, thorough: bool) -> bool:
    """Whether a duel can stop at a look: what it would say is settled.

    Settled is a duel in which each deciding timed metric either has an outcome or has been shown to change by less than
    matters. Unless thorough, one metric that has an outcome is enough, as long as no other is suspected of having
    become worse without that being settled; a duel that shows nothing yet must settle all but the tail (P95).
    """
    deciding = [effect for effect in effects if effect.metric in DECISIVE_TIMED[kind]]
    open_ones = [effect for effect in deciding if effect.outcome == "underpowered"]
    if not deciding:
        return False
    if thorough:
        return not open_ones
    if any(effect.ratio < 1 - max(effect.floor, 0.05) for effect in open_ones):
        return False
    if any(effect.outcome in ("improved", "regressed") for effect in deciding):
        return True
    return all(effect.metric == "http.p95_ms" for effect in open_ones)


def _effect(
    duel: Any, metric: str, values: tuple[float, float], ratios: tuple[float, float, float], *,
    alpha: float, floor: float, outcome: Outcome, exact: bool = False,
) -> Effect:  # fmt: skip
    known = METRICS[metric]
    ratio, low, high = (min(max(value, 1 / MOST), MOST) for value in ratios)
    return Effect(
        metric=metric, workload=duel["workload"], unit=known.unit, better=known.better,
        base=values[0], candidate=values[1], ratio=ratio, ratio_low=low, ratio_high=high,
        confidence=round(1 - alpha, 6), floor=floor, exact=exact, outcome=outcome,
    )  # fmt: skip


def _centres(pairs: Pairs) -> tuple[float, float]:
    """What each arm had: geometric means over starts, so that their quotient is the ratio."""
    return geometric_mean([pair[0] for pair in pairs]), geometric_mean([pair[1] for pair in pairs])


def _interval(pairs: Pairs, metric: str, alpha: float) -> tuple[float, float, float]:
    """Ratio (how many times better) and its ends."""
    sign = 1 if METRICS[metric].better == "lower" else -1
    logs = [sign * (math.log(max(before, TINY)) - math.log(max(after, TINY))) for before, after in pairs]
    ratio, low, high = (math.exp(min(max(value, -50.0), 50.0)) for value in t_interval(logs, alpha))
    return ratio, low, high


def _judge(ratio: float, low: float, high: float, floor: float, matter: float) -> Outcome:
    """Improved or regressed only where the interval leaves out 1 and the change exceeds the floor.

    Otherwise underpowered where a change that matters can't be ruled out, and no significant change where it can.
    """
    if low > 1 and math.log(ratio) > floor:
        return "improved"
    if high < 1 and -math.log(ratio) > floor:
        return "regressed"
    if high > 1 + matter or low < 1 / (1 + matter):
        return "underpowered"
    return "no_significant_change"


def _timed(duel: Any, metric: str, alpha: float) -> Effect | None:
    pairs = start_pairs(duel, metric)
    if not pairs:
        return None
    protocol = duel["protocol"]
    floor = max(FLOOR, float(protocol["floors"].get(metric, 0.0)))
    ratios = _interval(pairs, metric, alpha)
    outcome = _judge(*ratios, floor, max(float(protocol["matter"]), math.expm1(floor)))
    family = alpha * len(DECISIVE_TIMED[protocol.get("kind", "http")])
    return _effect(duel, metric, _centres(pairs), ratios, alpha=family, floor=floor, outcome=outcome)


def _counted(duel: Any, metric: str) -> Effect | None:
    """Counts repeat exactly, so they need no interval; a change of one per cent or less is not called one."""
    if not all(duel["counts"].get(arm, {}).get(metric) for arm in ("base", "candidate")):
        return None
    base, candidate = duel_value(duel, f"base/{metric}"), duel_value(duel, f"candidate/{metric}")
    ratio = 1.0 if base == candidate else max(base, TINY) / max(candidate, TINY)
    outcome = _judge(ratio, ratio, ratio, FLOOR, math.inf)
    ratios = (ratio, ratio, ratio)
    return _effect(duel, metric, (base, candidate), ratios, alpha=0.0, floor=FLOOR, outcome=outcome, exact=True)


def _error_rate(duel: Any) -> Effect | None:
    failed, tried = {}, {}
    for arm in ("base", "candidate"):
        cells = [cell for cell in duel["cells"] if cell["arm"] == arm]
        failed[arm] = sum(cell["errors"] for cell in cells)
        tried[arm] = sum(cell["requests"] for cell in cells)
    if not tried["base"] or not tried["candidate"]:
        return None
    ratios = rate_ratio_interval(
        (failed["base"], failed["candidate"]), (tried["base"], tried["candidate"]), _GUARD_ALPHA, MOST
    )
    change = failed["candidate"] / tried["candidate"] - failed["base"] / tried["base"]
    outcome: Outcome = "no_significant_change"
    if ratios[1] > 1 and change < -_ERROR_RATE_FLOOR:
        outcome = "improved"
    elif ratios[2] < 1 and change > _ERROR_RATE_FLOOR:
        outcome = "regressed"
    rates = (duel_value(duel, "base/http.error_rate"), duel_value(duel, "candidate/http.error_rate"))
    return _effect(
        duel, "http.error_rate", rates, ratios, alpha=_GUARD_ALPHA, floor=_ERROR_RATE_FLOOR, outcome=outcome
    )  # fmt: skip


def _sampled(duel: Any, metric: str) -> Effect | None:
    """A guard's effect: a difference must exceed a relative and an absolute floor and leave 1 out of its interval."""
    pairs = start_pairs(duel, metric)
    if not pairs:
        return None
    relative, absolute = _SAMPLED_FLOORS[metric]
    ratios = _interval(pairs, metric, _GUARD_ALPHA)
    values = _centres(pairs)
    outcome = _judge(*ratios, math.log1p(relative), math.inf)
    if abs(values[0] - values[1]) <= absolute:
        outcome = "no_significant_change"
    return _effect(duel, metric, values, ratios, alpha=_GUARD_ALPHA, floor=relative, outcome=outcome)
