"""Duels of equal arms on a machine that is disturbed: how often a verdict says that something became worse, or better.

Starts are drawn from recorded noise, whole and with all their rounds, and bursts are laid over them: rounds in a row
that a neighbour slows down, up to four times in latency and by half in CPU time, and slow boots. A burst begins and
ends between any two rounds, so it may hit one arm of a pair alone. The raw duel that comes out is read by the code that
reads live ones, guards and another workload beside it included.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evals.bench.noise import Recorded
from perfcrew.duel_stats import beside_effects, duel_effects
from perfcrew.duel_stopping import is_clear
from perfcrew.records.base import Outcome
from perfcrew.verdict import decide, guard_checks
from tools.protocol import Protocol

BEGINS, ENDS = 0.06, 0.25
"""Chances, from one round to the next, that a burst begins and that it ends: a fifth of all rounds lie in one."""
BESIDE_ROUNDS = 3
BOOT_SPREAD, MEMORY_SPREAD = 0.06, 0.01
"""Standard deviations (of the logarithm) between starts of one version, as the recorded demo's duels show them."""


def judge_disturbed(
    recorded: Recorded, protocol: Protocol, rng: np.random.Generator, *, bursts: bool = True
) -> Outcome:
    """Fight one duel of equal arms and judge it as a run does: its guards, and those of a workload beside it."""
    rounds = min(protocol.rounds_for(recorded.pair_seconds()), recorded.rounds)
    plan = {**protocol.model_dump(mode="json"), "kind": "http", "floors": {}}
    raw: dict[str, Any] = {"workload": "w", "protocol": plan, "cells": [], "starts": [], "counts": {}}
    other: dict[str, Any] = {"workload": "other", "protocol": plan, "cells": [], "starts": [], "counts": {}}
    first = int(rng.integers(len(recorded.starts)))
    weather = _Weather(rng) if bursts else None
    for number in range(protocol.looks[-1]):
        source = recorded.starts[(first + number) % len(recorded.starts)]
        swapped = bool(rng.integers(2))
        begin = int(rng.integers(recorded.rounds - rounds + 1))
        raw["starts"] += _boots(number, rng, weather)
        raw["cells"] += _cells(source, number, begin, rounds, swapped, weather)
        # Another stretch of the same start stands for the other workload.
        begin = int(rng.integers(recorded.rounds - BESIDE_ROUNDS + 1))
        other["cells"] += _cells(source, number, begin, BESIDE_ROUNDS, swapped, weather)
        if number + 1 in protocol.looks:
            effects = duel_effects(raw)
            if is_clear(effects, kind="http", thorough=protocol.thorough):
                break
    guards = guard_checks(beside_effects({"beside": {"other": other}}))
    verdict = decide(effects, guards)
    return "regressed" if not all(check.passed for check in guards) else verdict.outcome


class _Weather:
    """A chain of rounds, some of which lie in a burst."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._factor = rng, 1.0

    def slowdown(self) -> float:
        """By how much the next round is slowed down."""
        if self._factor > 1 and self._rng.random() < ENDS:
            self._factor = 1.0
        elif self._factor == 1 and self._rng.random() < BEGINS:
            self._factor = float(self._rng.uniform(1.2, 4.0))
        return self._factor


def _boots(number: int, rng: np.random.Generator, weather: _Weather | None) -> list[dict[str, Any]]:
    # Both arms boot at once, so a burst lasts about as long for one as for the other.
    slow = weather.slowdown() if weather else 1.0
    return [
        {
            "start": number, "arm": arm, "served": 10, "uss_mb": 60 * math.exp(rng.normal(0, MEMORY_SPREAD)),
            "seconds": 0.8 * slow * math.exp(rng.normal(0, BOOT_SPREAD * (1 if slow == 1 else 3))),
        }
        for arm in ("base", "candidate")
    ]  # fmt: skip


def _cells(
    source: Sequence[dict[str, Any]], number: int, begin: int, rounds: int, swapped: bool, weather: _Weather | None
) -> list[dict[str, Any]]:
    found = []
    for cell in sorted(source, key=lambda each: (each["round"], each["arm"] == "candidate")):
        if not begin <= cell["round"] < begin + rounds:
            continue
        slow = weather.slowdown() if weather else 1.0
        arm = cell["arm"] if not swapped else ("base", "candidate")[cell["arm"] == "base"]
        busy = 1 + min(slow - 1, 1.0) / 2
        found.append(
            {
                **cell, "start": number, "round": cell["round"] - begin, "arm": arm, "errors": 0, "cores": 1,
                "latency_ms": [each * slow for each in cell["latency_ms"]], "cpu_s": cell["cpu_s"] * busy,
            }
        )  # fmt: skip
    return found
