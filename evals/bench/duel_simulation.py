"""Duels fought over noise: starts are drawn, a known change is put in, and the protocol runs as it would live.

What is drawn for a start is its ratio of two identical arms, read from its rounds by the very code that reads a live
duel's. A version that is faster by a share multiplies every latency (or CPU time) of a round alike, and so shifts the
logarithm of the ratio; percentiles and medians go along. Which of the arms is called the candidate is tossed for each
start, so that nothing in the recording favours one side.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.bench.noise import Recorded
from perfcrew.duel_rounds import start_pairs
from perfcrew.duel_stats import DECISIVE_TIMED, floor_of, timed_effects
from perfcrew.duel_stopping import is_clear
from perfcrew.records.evidence import Effect
from tools.protocol import Protocol

Array = NDArray[np.float64]
METRICS = DECISIVE_TIMED["http"]
USUAL = {"http.p50_ms": 11.0, "http.p95_ms": 18.0, "cpu.ms_per_request": 3.3}
"""Middle of the recorded values: what a drawn ratio is applied to."""


@dataclass(frozen=True)
class Noise:
    """Log ratios of identical arms: metric to an array of one row a start, one column a stretch of rounds."""

    ratios: Mapping[str, Array]
    load_s: float
    """Load in each start, both arms together."""
    tossed: bool = True
    """The arms are identical, so that either may be called the candidate."""

    @classmethod
    def of(cls, recorded: Recorded, protocol: Protocol, *, tossed: bool = True) -> "Noise":
        """The noise of starts that are as long as a protocol makes them."""
        rounds = min(protocol.rounds_for(recorded.pair_seconds()), recorded.rounds)
        firsts = range(0, recorded.rounds - rounds + 1, max(1, rounds // 2))
        ratios = {
            metric: np.array([[_read(start, metric, first, rounds) for first in firsts] for start in recorded.starts])
            for metric in METRICS
        }
        return cls(ratios, rounds * recorded.pair_seconds(), tossed)

    def draw(self, rng: np.random.Generator, starts: int) -> dict[str, Array]:
        """Ratios of starts that followed each other, from a random one on."""
        known, stretches = next(iter(self.ratios.values())).shape
        rows = (rng.integers(known) + np.arange(starts)) % known
        columns = rng.integers(stretches, size=starts)
        side = rng.choice((-1.0, 1.0), size=starts) if self.tossed else np.ones(starts)
        return {metric: values[rows, columns] * side for metric, values in self.ratios.items()}


def _read(start: Any, metric: str, first: int, rounds: int) -> float:
    cells = [cell for cell in start if first <= cell["round"] < first + rounds]
    ((base, candidate),) = start_pairs({"cells": cells}, metric)
    return math.log(base / candidate)


@dataclass(frozen=True)
class Fought:
    """How a simulated duel ended."""

    effects: tuple[Effect, ...]
    starts: int

    def found(self, *metrics: str) -> bool:
        """Whether any of these was called improved."""
        return any(effect.outcome == "improved" for effect in self.effects if effect.metric in metrics)

    def width(self, metric: str) -> float:
        """Upper end of a metric's interval over its lower end."""
        return next(each.ratio_high / each.ratio_low for each in self.effects if each.metric == metric)


def fight(
    noise: Noise, protocol: Protocol, rng: np.random.Generator, gains: Mapping[str, float], *,
    load_s: float = math.inf, floors: Mapping[str, float] | None = None,
) -> Fought:  # fmt: skip
    """Run one duel.

    Args:
        noise: what is drawn from.
        protocol: looks and shares.
        rng: the chance.
        gains: metric to the factor by which the candidate is truly better; 1 where nothing is said.
        load_s: seconds of load to spend at most: later looks are not taken.
        floors: as from an A/A duel.
    """
    looks = [look for look in protocol.looks if look * noise.load_s <= load_s]
    drawn = noise.draw(rng, looks[-1])
    pairs = {
        metric: [(USUAL[metric], USUAL[metric] / (math.exp(value) * gains.get(metric, 1.0))) for value in values]
        for metric, values in drawn.items()
    }
    plan = {**protocol.model_dump(), "kind": "http", "floors": dict(floors or {})}
    effects: tuple[Effect, ...] = ()
    for look in looks:
        effects = timed_effects("w", plan, {metric: values[:look] for metric, values in pairs.items()}, look)
        if is_clear(effects, kind="http", thorough=protocol.thorough):
            return Fought(effects, look)
    return Fought(effects, looks[-1])


def draw_floors(noise: Noise, starts: int, rng: np.random.Generator) -> dict[str, float]:
    """What an A/A duel of so many starts would have given as floors."""
    drawn = noise.draw(rng, starts)
    return {metric: floor_of([(1.0, math.exp(value)) for value in values]) for metric, values in drawn.items()}


def fight_many(
    noise: Noise, protocol: Protocol, gains: Mapping[str, float], *,
    runs: int, seed: int, load_s: float = math.inf, noise_first: Protocol | None = None,
) -> Iterator[Fought]:  # fmt: skip
    """Independent duels; with `noise_first` each after an A/A duel of its own."""
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        floors = draw_floors(noise, noise_first.looks[-1], rng) if noise_first else None
        yield fight(noise, protocol, rng, gains, load_s=load_s, floors=floors)
