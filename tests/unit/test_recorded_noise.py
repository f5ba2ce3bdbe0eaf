"""The verdict's bars, over recorded noise of a shared machine: false alarms and power, by the protocols as they are."""

import math
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from evals.bench import live_duels
from evals.bench.disturbed_duels import judge_disturbed
from evals.bench.duel_simulation import METRICS, Noise, fight_many
from evals.bench.noise import Recorded, load_noise, save_noise
from evals.bench.verdict import QUESTIONS, Question
from perfcrew.duel_stats import duel_effects
from tools.protocol import FULL, NOISE, QUICK, THOROUGH, Protocol
from tools.workspace import Workspace


@cache
def recorded() -> Recorded:
    return load_noise()


KNOWN: dict[str, Noise] = {}


def noise(protocol: Protocol) -> Noise:
    if protocol.name not in KNOWN:
        KNOWN[protocol.name] = Noise.of(recorded(), protocol)
    return KNOWN[protocol.name]


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("protocol", [QUICK, FULL, THOROUGH], ids=lambda protocol: protocol.name)
def test_equal_arms_are_called_improved_in_at_most_1_of_100(protocol: Protocol, seed: int) -> None:
    fought = list(fight_many(noise(protocol), protocol, {}, runs=400, seed=seed))
    assert sum(duel.found(*METRICS) for duel in fought) <= 4


@pytest.mark.parametrize("after", [None, NOISE], ids=["alone", "after A/A"])
@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked.name)
def test_true_changes_are_found_in_90_of_100(asked: Question, after: Protocol | None) -> None:
    fought = fight_many(
        noise(THOROUGH), THOROUGH, {asked.metric: asked.gain}, runs=200, seed=7, load_s=asked.load_s, noise_first=after
    )
    assert sum(duel.found(asked.metric) for duel in fought) >= 180


@pytest.mark.parametrize("protocol", [QUICK, FULL], ids=lambda protocol: protocol.name)
def test_bursts_of_a_neighbour_make_nothing_better_or_worse(protocol: Protocol) -> None:
    """Guards included: of the duel's own workload, and of another one beside it."""
    rng = np.random.default_rng(1)
    told = Counter(judge_disturbed(recorded(), protocol, rng) for _ in range(300))
    assert told["improved"] <= 3 and told["regressed"] <= 9


def test_the_budget_of_load_is_kept() -> None:
    known = noise(THOROUGH)
    assert known.load_s * THOROUGH.looks[-1] <= 120
    for duel in fight_many(known, THOROUGH, {}, runs=20, seed=1, load_s=60.0):
        assert duel.starts * known.load_s <= 60


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    fought = list(fight_many(noise(FULL), FULL, {"cpu.ms_per_request": 1.03}, runs=400, seed=3))
    held = [
        effect.ratio_low <= 1.03 <= effect.ratio_high
        for duel in fought
        for effect in duel.effects
        if effect.metric == "cpu.ms_per_request"
    ]
    assert sum(held) >= 0.98 * len(held)


def raw(cells: list[dict[str, Any]]) -> dict[str, Any]:
    more = {"order": 0, "errors": 0, "failures": {}, "cut": 0, "cores": 1, "served": 1, "bytes": 0}
    plan = {**FULL.model_dump(mode="json"), "kind": "http", "floors": {}}
    return {
        "workload": "w", "protocol": plan, "cells": [{**more, **cell} for cell in cells], "starts": [],
        "counts": {"base": {}, "candidate": {}},
    }  # fmt: skip


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    cells = [cell for start in recorded().starts[:9] for cell in start]
    save_noise(tmp_path / "noise.npz", [{"cells": cells}])
    again = load_noise(tmp_path / "noise.npz")
    assert [len(start) for start in again.starts] == [len(start) for start in recorded().starts[:9]]
    first, second = (duel_effects(raw(each)) for each in (cells, [cell for start in again.starts for cell in start]))
    assert [effect.metric for effect in first] == [effect.metric for effect in second]
    for before, after in zip(first, second, strict=True):
        assert after.ratio == pytest.approx(before.ratio, rel=1e-3)


def test_a_simulated_duel_reads_the_recording_as_a_live_one_is_read() -> None:
    whole = Protocol(name="whole", looks=(9,), shares=(1.0,), load_s=99.0, max_rounds=99, limit_s=1.0)
    drawn = Noise.of(recorded(), whole).ratios["cpu.ms_per_request"][:9, 0]
    cells = [cell for start in recorded().starts[:9] for cell in start]
    effect = next(each for each in duel_effects(raw(cells)) if each.metric == "cpu.ms_per_request")
    middle = sorted(drawn)[1:-1]  # one of nine is left out at either end
    assert effect.ratio == pytest.approx(math.exp(sum(middle) / len(middle)))


async def test_a_live_recording_ends_in_its_time_and_numbers_its_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def record(_: Any, base: str, candidate: str, starts: int, protocol: Protocol) -> list[list[dict[str, Any]]]:
        return [[{"start": number, "arm": side} for side in (base, candidate)] for number in range(starts)]

    monkeypatch.setattr(live_duels, "_record", record)
    asked = (cast(Workspace, None), "base", "candidate", 46, THOROUGH)
    whole = await live_duels.record_starts(*asked)
    assert [{cell["start"] for cell in start} for start in whole.starts] == [{number} for number in range(46)]
    assert len((await live_duels.record_starts(*asked, limit_s=0.0)).starts) == live_duels.AT_ONCE
