"""Whether a gain holds for requests that nobody could tune to: those of the held-out variant of the workload.

Code that knows the measured parameters, by a cache filled with their answers say, wins its duel and answers alike; with
other parameters its gain is gone. So the last duel asks the held-out variant too, in its first starts. A gain counts as
lost where the whole interval there lies below the square root of what was proven with the measured requests, which is
half of it on the logarithmic scale of gains: other requests may well gain less, hardly that much less.
"""

import math
from typing import Any

from perfcrew.duel_stats import DECISIVE_TIMED, duel_effects, family
from perfcrew.records.evidence import Check, Effect
from perfcrew.verdict import describe

HELD_OUT = "the gain holds on held-out requests"


def held_out_checks(duel: Any) -> tuple[Check, ...]:
    """The check that a raw duel gives; none where it has no held-out part, or no timed gain that could be lost."""
    held = duel.get("held_out")
    if not held:
        return ()
    timed = DECISIVE_TIMED[family(duel["protocol"].get("kind", "http"))]
    there = {effect.metric: effect for effect in duel_effects(held)}
    gains = [effect for effect in duel_effects(duel) if effect.metric in timed and effect.outcome == "improved"]
    compared = [(gain, there[gain.metric]) for gain in gains if gain.metric in there]
    if not compared:
        return ()
    lost = [pair for pair in compared if _is_lost(*pair)]
    told = "; ".join(_tell(*pair) for pair in lost or compared)
    return (Check(name=HELD_OUT, passed=not lost, detail=told),)


def _is_lost(gain: Effect, held: Effect) -> bool:
    return not held.doubt and held.ratio_high < math.sqrt(gain.ratio_low)


def _tell(gain: Effect, held: Effect) -> str:
    doubt = f" (does not count: {held.doubt})" if held.doubt else ""
    return f"{describe(held)}{doubt}, for {gain.ratio:.3g} times with the measured ones"
