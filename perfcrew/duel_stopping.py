"""When a duel may stop: at a look of its protocol, once what it would say is settled."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from perfcrew.duel_stats import DECISIVE_TIMED, family, narrowing
from perfcrew.records.evidence import Effect

_SUSPECTED = 0.03
"""Where a metric has moved so far without being settled, a duel that shows nothing yet goes on."""


def is_clear(effects: Sequence[Effect], *, kind: str, thorough: bool) -> bool:
    """Whether a duel can stop at a look: what it would say is settled.

    Settled is a duel in which each deciding timed metric either has an outcome or has been shown to change by less than
    matters. Unless thorough, one metric that has an outcome is enough, as long as no other is suspected of having
    become worse without that being settled; a duel that shows nothing yet must settle all but the tail (P95).
    """
    deciding = [effect for effect in effects if effect.metric in DECISIVE_TIMED[family(kind)]]
    open_ones = [effect for effect in deciding if effect.outcome == "underpowered"]
    if not deciding:
        return False
    if thorough:
        return not open_ones
    if any(effect.ratio < 1 - max(effect.floor, 0.05) for effect in open_ones):
        return False
    if any(effect.outcome in ("improved", "regressed") for effect in deciding):
        return True
    if any(abs(math.log(effect.ratio)) > max(effect.floor, _SUSPECTED) for effect in deciding if not effect.doubt):
        return False
    return all(effect.metric == "http.p95_ms" for effect in open_ones)


def is_promising(effects: Sequence[Effect], protocol: Mapping[str, Any], starts: int) -> bool:
    """Whether more starts would probably settle a gain that matters.

    That is where nothing is worse, and a deciding timed metric looks better by what matters and by more than its
    interval will reach to either side at the last look.
    """
    if any(effect.outcome == "regressed" for effect in effects):
        return False
    narrowed = narrowing(protocol, starts)
    for effect in effects:
        if effect.metric not in DECISIVE_TIMED[family(protocol.get("kind", "http"))] or effect.doubt:
            continue
        reach = narrowed * math.log(effect.ratio_high / effect.ratio_low) / 2
        matters = effect.ratio > 1 + max(effect.floor, float(protocol["matter"]))
        if effect.outcome == "underpowered" and matters and math.log(effect.ratio) > reach:
            return True
    return False
