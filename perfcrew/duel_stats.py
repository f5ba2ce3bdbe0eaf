"""A duel's raw rounds to effects: how many times better one arm is than the other, with an interval.

The unit is the *start* (a fresh process pair): requests of one process are not independent samples, and neither are
its rounds, since address layout, hash seeds and allocator luck differ by start (1.9 % of CPU time, measured). Each
start gives the logarithm of the arms' ratio, the median over pairs of neighbouring rounds (`perfcrew.duel_rounds`).
Student's t over the starts gives the interval, from seven starts on with one in seven left out at either end.

How false alarms are held down, for the duel as a whole (family-wise error):

- `alpha` is divided among the sequential looks by their `shares`, and within a look equally among the deciding timed
  metrics: Bonferroni both times, whatever the correlation. Half of it falls on the side of `improved`.
- Several workloads that decide together divide it once more: `tools.protocol.Protocol.for_family`.
- Counted metrics repeat exactly and spend nothing.
- Guards can only spoil a win. Those of the duel's own workload have 95 % intervals each; those of other workloads
  share 5 % among them. All must exceed a floor as well: P99 of another workload 10 %, writes a second 5 %, errors one
  in a thousand requests, memory 10 % and 5 MB, start-up time 10 % and half a second.

What is left is also asked to exceed a floor: one per cent, or the difference that the base showed against itself,
whichever is larger. Over recorded and simulated noise of shared virtual machines (`evals/bench/verdict.py`) fewer than
1 in 100 duels of equal arms come out as improved.

A raw duel is a JSON object:
    workload   its name
    protocol   looks (starts after which it may stop), shares (of alpha, one a look), alpha, matter (the relative change
               that matters), matters (the same for single metrics), floors (metric to relative change), kind (of the
               workload), and what else was set
    cells      a list of rounds: start, arm (`base` or `candidate`), round, order, seconds, latency_ms (of requests that
               were answered as expected, each user's first left out), requests (all), errors, failures (by kind), cut,
               cpu_s, cores, uss_mb (of some rounds), served (requests since the start), bytes, writes (answered
               requests that write), faults (why the load generator was the bottleneck)
    starts     a list: start, arm, seconds until ready, uss_mb and served after the warm-up
    counts     arm to counted metric to a list of values, one a request
    beside     name to a raw duel of another workload, loaded in the same starts: its guards
    held_out   a raw duel of the workload's held-out variant, loaded in the first starts: see `perfcrew.held_out`
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from perfcrew.duel_rounds import TINY, duel_value, latency_doubt, start_numbers, start_pairs, trimmed, typical_pair
from perfcrew.quantiles import median
from perfcrew.records.base import Outcome
from perfcrew.records.evidence import Effect
from perfcrew.records.metrics import METRICS
from perfcrew.stats import rate_ratio_interval, t_interval, t_width

Pairs = Sequence[tuple[float, float]]
Kind = Literal["http", "command"]

FLOOR = 0.01
"""The relative change below which no difference counts, whatever the test says."""

MOST = 1000.0
"""Ratios are given between 1/1000 and 1000: beyond, a figure says more about a zero than about a change."""

DECISIVE_TIMED: dict[Kind, tuple[str, ...]] = {
    "http": ("http.p50_ms", "http.p95_ms", "cpu.ms_per_request"),
    "command": ("command.seconds", "cpu.ms_per_request"),
}
"""The timed metrics that decide, by kind of workload: the family within which false alarms are controlled."""

COUNTED_FLOORS = {
    "db.queries_per_request": FLOOR, "http.bytes_per_response": FLOOR, "memory.allocations_per_request": 0.02,
}  # fmt: skip
"""Counted metrics, which decide without an interval, to the relative change that counts. Allocations repeat less
exactly than the others: starts of one version differ by up to 0.5 %."""

DECISIVE_COUNTED = tuple(COUNTED_FLOORS)

_BESIDE: dict[Kind, tuple[str, ...]] = {
    "http": ("http.p90_ms", "http.p99_ms", "http.mean_ms", "http.rps"),
    "command": (),
}
"""Timed metrics that are shown but don't decide; their intervals are as wide as those of the deciding ones."""

_GUARD_ALPHA = 0.05
"""For guards, which can only spoil a win."""

_GUARD_FLOORS = {"http.p99_ms": 0.10, "command.seconds": 0.10, "http.writes_per_s": 0.05}
"""Timed guard to the relative change that it must exceed."""

_GUARDS: dict[Kind, tuple[str, ...]] = {"http": ("http.p99_ms", "http.writes_per_s"), "command": ("command.seconds",)}
"""Timed metrics of other workloads that no win may make worse, by kind of workload."""

_SAMPLED_FLOORS = {"memory.peak_mb": (0.10, 5.0), "start.seconds": (0.10, 0.5), "cpu.utilisation": (0.10, 0.05)}
"""Metric to relative and absolute change (in its unit), both of which a difference must exceed."""

_ERROR_RATE_FLOOR = 0.001


def look_alpha(protocol: Mapping[str, Any], starts: int) -> float:
    """The alpha that a look after this many starts may spend, over all its deciding timed metrics."""
    return float(protocol["alpha"] * _look_share(protocol, starts))


def look_missed(protocol: Mapping[str, Any], starts: int) -> float:
    """The risk that a look may take of missing a change that matters, in each metric; 0 in raw files of before."""
    return float(protocol.get("missed", 0.0) * _look_share(protocol, starts))


def _look_share(protocol: Mapping[str, Any], starts: int) -> float:
    known = zip(protocol["looks"], protocol["shares"], strict=True)
    return float(next((share for look, share in known if starts <= look), protocol["shares"][-1]))


def narrowing(protocol: Mapping[str, Any], starts: int) -> float:
    """How wide a deciding metric's interval will be at the last look, as a share of its width after so many starts, if
    starts go on to scatter as they did."""
    metrics = len(DECISIVE_TIMED[family(protocol.get("kind", "http"))])
    now, last = (
        t_width(count, look_alpha(protocol, count) / metrics, trimmed(count))
        for count in (starts, protocol["looks"][-1])
    )
    return last / now


def duel_effects(duel: Any) -> tuple[Effect, ...]:
    """The effects of a raw duel: timed metrics first, then counted, then sampled ones.

    Metrics without values in both arms, such as a latency where every request failed, are left out.
    """
    protocol = duel["protocol"]
    kind = family(protocol.get("kind", "http"))
    pairs = {metric: start_pairs(duel, metric) for metric in DECISIVE_TIMED[kind] + _BESIDE[kind]}
    starts, doubt = len(start_numbers(duel)), latency_doubt(duel)
    effects: list[Effect | None] = [*timed_effects(duel["workload"], protocol, pairs, starts, doubt)]
    effects += [_counted(duel, metric) for metric in DECISIVE_COUNTED]
    effects += [_guard(duel, "http.writes_per_s", _GUARD_ALPHA), _error_rate(duel, _GUARD_ALPHA)]
    effects += [_sampled(duel, metric) for metric in _SAMPLED_FLOORS]
    return tuple(effect for effect in effects if effect is not None)


def timed_effects(
    workload: str, protocol: Mapping[str, Any], pairs: Mapping[str, Pairs], starts: int, doubt: str = ""
) -> tuple[Effect, ...]:
    """The effects on timed metrics, each from its values of base and candidate start by start.

    With a doubt about the load generator, latencies and rates show nothing; the servers' CPU time is its own clock's.
    """
    alpha, missed = look_alpha(protocol, starts), look_missed(protocol, starts)
    each = alpha / len(DECISIVE_TIMED[family(protocol.get("kind", "http"))])
    effects = []
    for metric, values in pairs.items():
        if not values:
            continue
        floor = max(FLOOR, float(protocol["floors"].get(metric, 0.0)))
        ratios = _interval(values, metric, each)
        matter = float(protocol.get("matters", {}).get(metric, protocol["matter"]))
        settled = _interval(values, metric, max(missed, each))[1:]
        unsure = doubt if metric.startswith("http.") else ""
        outcome: Outcome = "underpowered" if unsure else _judge(*ratios, floor, max(matter, math.expm1(floor)), settled)
        effect = _effect(workload, metric, typical_pair(values), ratios, alpha=alpha, floor=floor, outcome=outcome)
        effects.append(effect.model_copy(update={"doubt": unsure}))
    return tuple(effects)


def beside_effects(duel: Any) -> tuple[Effect, ...]:
    """What a raw duel shows of the workloads beside its own: their tail, their writes, their errors."""
    return guard_effects(tuple(duel.get("beside", {}).values()))


def guard_effects(duels: Sequence[Any]) -> tuple[Effect, ...]:
    """What raw duels of workloads that a change was not made for show of their guards, which share one risk."""
    judged = [
        (duel, metric)
        for duel in duels
        for metric in (*_GUARDS[family(duel["protocol"].get("kind", "http"))], "http.error_rate")
    ]
    effects = []
    for duel, metric in judged:
        alpha = _GUARD_ALPHA / len(judged)
        effects.append(_error_rate(duel, alpha) if metric == "http.error_rate" else _guard(duel, metric, alpha))
    return tuple(effect for effect in effects if effect is not None)


def family(kind: str) -> Kind:
    """Which metrics a kind of workload is judged by: those of a command, or those of requests."""
    return "command" if kind == "command" else "http"


def noise_floors(duel: Any) -> dict[str, float]:
    """Floors from a duel of the base against itself: the difference that it showed, but at least one per cent.

    What it showed is the median over its starts, whose number is too small to trim: one start that is an accident as a
    whole would otherwise hide every change.
    """
    kind = family(duel["protocol"].get("kind", "http"))
    pairs = {metric: start_pairs(duel, metric) for metric in DECISIVE_TIMED[kind] + _BESIDE[kind]}
    return {metric: floor_of(values) for metric, values in pairs.items() if values}


def floor_of(pairs: Pairs) -> float:
    """The floor that equal arms give, from a metric's values start by start."""
    return max(FLOOR, abs(median([math.log(max(before, TINY) / max(after, TINY)) for before, after in pairs])))


def _effect(
    workload: str, metric: str, values: tuple[float, float], ratios: tuple[float, float, float], *,
    alpha: float, floor: float, outcome: Outcome, exact: bool = False,
) -> Effect:  # fmt: skip
    known = METRICS[metric]
    ratio, low, high = (min(max(value, 1 / MOST), MOST) for value in ratios)
    return Effect(
        metric=metric, workload=workload, unit=known.unit, better=known.better,
        base=values[0], candidate=values[1], ratio=ratio, ratio_low=low, ratio_high=high,
        confidence=round(1 - alpha, 6), floor=floor, exact=exact, outcome=outcome,
    )  # fmt: skip


def _interval(pairs: Pairs, metric: str, alpha: float) -> tuple[float, float, float]:
    """Ratio (how many times better) and its ends."""
    sign = 1 if METRICS[metric].better == "lower" else -1
    logs = [sign * (math.log(max(before, TINY)) - math.log(max(after, TINY))) for before, after in pairs]
    ratio, low, high = (math.exp(min(max(value, -50.0), 50.0)) for value in t_interval(logs, alpha, trimmed(len(logs))))
    return ratio, low, high


def _judge(
    ratio: float, low: float, high: float, floor: float, matter: float, settled: tuple[float, float] | None = None
) -> Outcome:
    """Improved or regressed only where the interval leaves out 1 and the change exceeds the floor.

    Otherwise underpowered where a change that matters can't be ruled out, and no significant change where it can. For
    this the interval `settled` counts where there is one: a claim of equality has a risk of its own (two one-sided
    tests, Schuirmann 1987).
    """
    if low > 1 and math.log(ratio) > floor:
        return "improved"
    if high < 1 and -math.log(ratio) > floor:
        return "regressed"
    low, high = settled or (low, high)
    if high > 1 + matter or low < 1 / (1 + matter):
        return "underpowered"
    return "no_significant_change"


def _guard(duel: Any, metric: str, alpha: float) -> Effect | None:
    pairs = start_pairs(duel, metric)
    if not pairs:
        return None
    floor = max(_GUARD_FLOORS[metric], float(duel["protocol"]["floors"].get(metric, 0.0)))
    ratios, doubt = _interval(pairs, metric, alpha), latency_doubt(duel) if metric.startswith("http.") else ""
    outcome: Outcome = "underpowered" if doubt else _judge(*ratios, math.log1p(floor), math.expm1(2 * floor))
    effect = _effect(duel["workload"], metric, typical_pair(pairs), ratios, alpha=alpha, floor=floor, outcome=outcome)
    return effect.model_copy(update={"doubt": doubt})


def _counted(duel: Any, metric: str) -> Effect | None:
    """Counts repeat exactly, so they need no interval; a change within the metric's floor is not called one."""
    if not all(duel["counts"].get(arm, {}).get(metric) for arm in ("base", "candidate")):
        return None
    base, candidate = duel_value(duel, f"base/{metric}"), duel_value(duel, f"candidate/{metric}")
    ratio = 1.0 if base == candidate else max(base, TINY) / max(candidate, TINY)
    floor = COUNTED_FLOORS[metric]
    outcome = _judge(ratio, ratio, ratio, floor, math.inf)
    ratios = (ratio, ratio, ratio)
    return _effect(
        duel["workload"], metric, (base, candidate), ratios, alpha=0.0, floor=floor, outcome=outcome, exact=True
    )


def _error_rate(duel: Any, alpha: float) -> Effect | None:
    failed, tried = {}, {}
    for arm in ("base", "candidate"):
        cells = [cell for cell in duel["cells"] if cell["arm"] == arm]
        failed[arm] = sum(cell["errors"] for cell in cells)
        tried[arm] = sum(cell["requests"] for cell in cells)
    if not tried["base"] or not tried["candidate"]:
        return None
    ratios = rate_ratio_interval(
        (failed["base"], failed["candidate"]), (tried["base"], tried["candidate"]), alpha, MOST
    )
    change = failed["candidate"] / tried["candidate"] - failed["base"] / tried["base"]
    outcome: Outcome = "no_significant_change"
    if ratios[1] > 1 and change < -_ERROR_RATE_FLOOR:
        outcome = "improved"
    elif ratios[2] < 1 and change > _ERROR_RATE_FLOOR:
        outcome = "regressed"
    rates = (duel_value(duel, "base/http.error_rate"), duel_value(duel, "candidate/http.error_rate"))
    return _effect(
        duel["workload"], "http.error_rate", rates, ratios, alpha=alpha, floor=_ERROR_RATE_FLOOR, outcome=outcome
    )  # fmt: skip


def _sampled(duel: Any, metric: str) -> Effect | None:
    """A guard's effect: a difference must exceed a relative and an absolute floor and leave 1 out of its interval."""
    pairs = start_pairs(duel, metric)
    if not pairs:
        return None
    relative, absolute = _SAMPLED_FLOORS[metric]
    ratios = _interval(pairs, metric, _GUARD_ALPHA)
    values = typical_pair(pairs)
    outcome = _judge(*ratios, math.log1p(relative), math.inf)
    if abs(values[0] - values[1]) <= absolute:
        outcome = "no_significant_change"
    return _effect(duel["workload"], metric, values, ratios, alpha=_GUARD_ALPHA, floor=relative, outcome=outcome)
