"""The visits of a page in two versions to effects: how many times better each vital is, with an exact interval.

Visits are few, their times have long tails, and events come in steps of 8 ms. So nothing is assumed of their
distribution: the ratio is Hodges and Lehmann's (1963), the median of the ratios of every visit of the base to every
visit of the candidate, and its interval turns the exact Mann–Whitney test round (the ends are the k-th ratios from
either side). With equal values it only becomes wider. A page that is compared with itself differs at random, since
both arms are visited by turns.

How false alarms are held down (family-wise error): `alpha` is divided among the sequential looks, as in a duel of
loads, and within a look equally among the eight metrics that are judged: LCP, CLS, INP, TBT, FCP, TTFB, and the bytes
and requests of a page where they do not repeat exactly (Bonferroni). FID and TTI are retired: they are shown with
intervals as wide, and decide nothing. A difference must also exceed a relative and an absolute floor.

A raw page duel is a JSON object:
    workload   its name
    protocol   looks (pairs of visits after which it may stop), shares (of alpha, one a look), alpha
    visits     for `base` and `candidate` a list of visits, as `perfcrew.page_stats.visit_values` reads them
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from perfcrew.duel_stats import look_alpha
from perfcrew.page_stats import collect_values
from perfcrew.quantiles import median
from perfcrew.records.base import Outcome
from perfcrew.records.evidence import Effect
from perfcrew.records.metrics import METRICS
from perfcrew.records.vitals import VITALS

ALPHA = 0.014
"""Risk of a false alarm, either way, over all looks and metrics: half of it is that of a false `improved`."""
FLOORS: dict[str, tuple[float, float]] = {
    "page.lcp_ms": (0.05, 40.0), "page.cls": (0.10, 0.01), "page.inp_ms": (0.10, 16.0), "page.tbt_ms": (0.10, 50.0),
    "page.fcp_ms": (0.05, 40.0), "page.ttfb_ms": (0.05, 20.0), "page.fid_ms": (0.20, 16.0), "page.tti_ms": (0.05, 50.0),
    "page.bytes": (0.01, 0.0), "page.requests": (0.01, 0.0),
}  # fmt: skip
"""Metric to relative and absolute change (in its unit), both of which a difference must exceed. The absolute ones are
about what a frame, the clock's steps for events, and the measured spread of throttled visits leave open."""
FAMILY = tuple(metric for metric in FLOORS if metric not in {vital.metric for vital in VITALS if vital.retired})
"""The metrics that are judged together."""
MATTERS = 0.10
"""A relative change that matters, if in its unit it also exceeds a tenth of the bound above which the vital is poor."""
_MATTERS_ABSOLUTE = {vital.metric: vital.poor / 10 for vital in VITALS}
_RESOLUTION: dict[str, float] = {"page.cls": 0.01, "page.tbt_ms": 10.0, "page.inp_ms": 8.0, "page.fid_ms": 1.0}
"""What smaller values count as where a ratio is formed."""
_FIRST, _QUICK, _MORE = 7, 5, 4
"""Pairs of visits before the first look, the same in a quick duel, and pairs from there to the second look."""
_SHARES = (0.6, 0.4)


def plan_looks(alpha: float, *, quick: bool) -> dict[str, Any]:
    """A page duel's protocol: enough pairs of visits that the exact test can find something at its first look.

    Args:
        alpha: what this duel may spend; its part of the whole where several duels decide together.
        quick: one look only.
    """
    shares = (1.0,) if quick else _SHARES
    first = _QUICK if quick else _FIRST
    while not rank_cut(first, first, alpha * shares[0] / len(FAMILY)):
        first += 1
    looks = [first] if quick else [first, first + _MORE]
    return {"looks": looks, "shares": list(shares), "alpha": alpha}


@cache
def rank_cut(first: int, second: int, alpha: float) -> int:
    """How many of the ordered ratios lie outside the two-sided (1 - alpha) interval, at either end; 0: there is none.

    The largest k for which the Mann–Whitney statistic of equal distributions is below k with a probability of at most
    alpha / 2, by SciPy's exact distribution.
    """
    from scipy.stats import mannwhitneyu  # a second of imports that only pages need

    k = 0
    while k < first * second // 2:
        # Ranks whose statistic is k: the largest ones are moved past the other side's, one place at a time.
        whole, rest = divmod(k, second)
        moved = [second] * whole + [rest] + [0] * first
        ranks = [first - at + moved[at] for at in range(first)]
        others = sorted(set(range(1, first + second + 1)) - set(ranks))
        if float(mannwhitneyu(ranks, others, alternative="less", method="exact").pvalue) > alpha / 2:
            break
        k += 1
    return k


def rank_interval(base: Sequence[float], candidate: Sequence[float], alpha: float) -> tuple[float, float, float]:
    """How many times smaller the candidate's values are (Hodges and Lehmann), and the ends of the exact interval.

    Where there are too few values for any interval its ends are 0 and infinity. All values are positive.
    """
    logs = np.sort(np.subtract.outer(np.log(base), np.log(candidate)).ravel())
    cut = rank_cut(len(base), len(candidate), alpha)
    ratio = math.exp(median(logs.tolist()))
    return (ratio, math.exp(logs[cut - 1]), math.exp(logs[-cut])) if cut else (ratio, 0.0, math.inf)


def page_effects(duel: Any) -> tuple[Effect, ...]:
    """The effects of a raw page duel, from its visits: vitals first, then what is counted."""
    values = {side: collect_values(duel["visits"][side]) for side in ("base", "candidate")}
    pairs = max(len(duel["visits"]["base"]), len(duel["visits"]["candidate"]))
    alpha = look_alpha(duel["protocol"], pairs)
    effects = []
    for metric in FLOORS:
        base, candidate = (
            [value for value in values[side].get(metric, ()) if value is not None] for side in ("base", "candidate")
        )
        if base and candidate:
            effects.append(_effect(duel["workload"], metric, base, candidate, alpha))
    return tuple(effects)


def is_settled(effects: Sequence[Effect]) -> bool:
    """Whether another look could tell no more about what decides: no vital is still too noisy to tell."""
    judged = [effect for effect in effects if effect.metric in FAMILY]
    return bool(judged) and all(effect.outcome != "underpowered" for effect in judged)


def _effect(workload: str, metric: str, base: Sequence[float], candidate: Sequence[float], alpha: float) -> Effect:
    known, least = METRICS[metric], _RESOLUTION.get(metric, 1.0)
    before, after = ([max(value, least) for value in side] for side in (base, candidate))
    exact = known.basis == "counted" and len(set(base)) == 1 and len(set(candidate)) == 1
    counted = (before[0] / after[0],) * 3
    ratios = counted if exact else rank_interval(before, after, alpha / len(FAMILY))
    centres, relative = (median(base), median(candidate)), FLOORS[metric][0]
    return Effect(
        metric=metric, workload=workload, unit=known.unit, better=known.better, base=centres[0], candidate=centres[1],
        ratio=ratios[0], ratio_low=max(ratios[1], 1e-3), ratio_high=min(ratios[2], 1e3),
        confidence=1.0 if exact else round(1 - alpha, 6), floor=relative, exact=exact,
        outcome=_judge(metric, centres, ratios),
    )  # fmt: skip


def _judge(metric: str, centres: tuple[float, float], ratios: tuple[float, float, float]) -> Outcome:
    """As in a duel of loads, and besides the difference must exceed what a page's clock and frames leave open."""
    ratio, low, high = ratios
    relative, absolute = FLOORS[metric]
    if abs(centres[0] - centres[1]) > absolute:
        if low > 1 and ratio > 1 + relative:
            return "improved"
        if high < 1 and 1 / ratio > 1 + relative:
            return "regressed"
    base, matter = max(centres[0], _RESOLUTION.get(metric, 1.0)), _MATTERS_ABSOLUTE.get(metric, 0.0)
    better = high > 1 + MATTERS and base - base / high > matter
    worse = low < 1 / (1 + MATTERS) and (low <= 0 or base / low - base > matter)
    return "underpowered" if better or worse else "no_significant_change"
