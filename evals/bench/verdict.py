"""`python -m evals.bench.verdict [--quick]`: how often the verdict is wrong, and how small a change it finds.

Over recorded noise: duels are simulated by the thousand, with the protocols and the statistics of live ones. Live: a
server of ours (`tunable_server.py`) against itself and against versions that use a known share of CPU time more; the
recorded starts of these real duels are then drawn like the recorded noise, since a hundred live duels of each kind
would take hours. `live_power_*` tells how often they find what was planted, as it was planted, and `live_measured_*`
what all starts together say of its size. Prints a table and, as its last line, one JSON object; `power_*` are those of
the thorough protocol. `--record FILE` keeps the noise of the live part, in the format of `recorded_noise.npz`.
"""

import argparse
import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evals.bench.disturbed_duels import judge_disturbed
from evals.bench.duel_simulation import METRICS, Fought, Noise, fight, fight_many
from evals.bench.live_duels import open_target, record_starts, slower_version
from evals.bench.noise import Recorded, load_noise, save_noise
from tools.protocol import FULL, NOISE, QUICK, THOROUGH, Protocol

P50, P95, CPU = METRICS


@dataclass(frozen=True)
class Question:
    """A true change to be found within a budget of load."""

    name: str
    metric: str
    gain: float
    load_s: float


QUESTIONS = (
    Question("power_cpu_3pct", CPU, 1.03, 60.0),
    Question("power_median_5pct", P50, 1.05, 60.0),
    Question("power_p95_10pct", P95, 1.10, 120.0),
)
SEEDS = (1, 2, 3)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench.verdict", description="A/A and power of the verdict")
    parser.add_argument("--quick", action="store_true", help="fewer duels and a short live part: within a minute")
    parser.add_argument("--record", type=Path, help="keep the live noise in this file")
    given = parser.parse_args()
    began = time.monotonic()
    figures = simulate(runs=150 if given.quick else 1000)
    figures |= asyncio.run(run_live(starts=4 if given.quick else 46, record=given.record))
    print(json.dumps({**figures, "seconds": round(time.monotonic() - began, 1)}))


def simulate(runs: int) -> dict[str, float]:
    """False alarms of each protocol and power of the thorough one, over recorded noise."""
    recorded = load_noise()
    figures: dict[str, float] = {"aa_runs": 0, "aa_false": 0}
    print(f"recorded noise: {len(recorded.starts)} starts, {recorded.rounds} rounds a side")
    print(f"{'protocol':10} {'A/A duels':>10} {'improved':>9} {'starts':>7} {'load, s':>8}")
    for protocol in (QUICK, FULL, THOROUGH):
        noise = Noise.of(recorded, protocol)
        fought = [duel for seed in SEEDS for duel in _fight(noise, protocol, {}, runs, seed)]
        false = sum(duel.found(*METRICS) for duel in fought)
        figures["aa_runs"] += len(fought)
        figures["aa_false"] += false
        figures[f"aa_false_share_{protocol.name}"] = false / len(fought)
        starts = float(np.mean([duel.starts for duel in fought]))
        print(f"{protocol.name:10} {len(fought):10} {false:9} {starts:7.1f} {starts * noise.load_s:8.1f}")
    figures |= _disturb(recorded, runs)
    print(f"\n{'change':20} {'budget, s':>9} {'found':>7} {'after A/A':>10} {'load, s':>8} {'interval':>9}")
    noise = Noise.of(recorded, THOROUGH)
    for asked in QUESTIONS:
        fought = list(_fight(noise, THOROUGH, {asked.metric: asked.gain}, runs, 7, asked.load_s))
        careful = list(_fight(noise, THOROUGH, {asked.metric: asked.gain}, runs, 8, asked.load_s, NOISE))
        figures[asked.name] = _share(fought, asked.metric)
        figures[f"{asked.name}_after_noise"] = _share(careful, asked.metric)
        _tell(asked, fought, noise.load_s, figures[f"{asked.name}_after_noise"])
    return figures


def _disturb(recorded: Recorded, runs: int) -> dict[str, float]:
    """False alarms, either way and guards included, where bursts and slow boots are laid over the noise."""
    figures: dict[str, float] = {}
    print(f"\n{'disturbed':10} {'A/A duels':>10} {'improved':>9} {'worse':>7}")
    for protocol in (QUICK, FULL):
        rng = np.random.default_rng(SEEDS[0])
        told = Counter(judge_disturbed(recorded, protocol, rng) for _ in range(runs))
        figures[f"disturbed_false_improved_{protocol.name}"] = told["improved"] / runs
        figures[f"disturbed_false_regressed_{protocol.name}"] = told["regressed"] / runs
        print(f"{protocol.name:10} {runs:10} {told['improved']:9} {told['regressed']:7}")
    return figures


async def run_live(starts: int, record: Path | None) -> dict[str, float]:
    """Real duels: the server against itself and against slower versions, at least as many starts as one duel makes."""
    figures: dict[str, float] = {}
    print(f"\nlive: up to {starts} starts each")
    async with open_target() as workspace:
        base = workspace.base_commit
        same = await record_starts(workspace, base, base, starts, THOROUGH)
        if record:
            save_noise(record, [{"cells": [cell for start in same.starts for cell in start]}])
        noise = Noise.of(same, THOROUGH)
        figures["live_starts"] = len(same.starts)
        told = fight(noise, _for(len(same.starts)), np.random.default_rng(1), {})
        figures["live_aa_false"] = float(told.found(*METRICS))
        print(f"against itself: {'improved: a false alarm' if figures['live_aa_false'] else 'not improved'}")
        for asked in QUESTIONS[: 1 if starts < THOROUGH.looks[0] else None]:
            slower = await slower_version(workspace, asked.gain - 1)
            changed = Noise.of(await record_starts(workspace, slower, base, starts, THOROUGH), THOROUGH, tossed=False)
            measured = math.exp(float(np.mean(changed.ratios[asked.metric])))
            figures[f"live_measured_{asked.name.removeprefix('power_')}"] = round(measured, 4)
            if len(changed.ratios[asked.metric]) < THOROUGH.looks[0]:
                print(f"{_named(asked)}: measured {measured - 1:.1%}; too few starts for a duel")
                continue
            found = _share(_fight(changed, THOROUGH, {}, 200, 9, asked.load_s), asked.metric)
            figures[f"live_{asked.name}"] = found
            print(f"{_named(asked)}: found in {found:.0%} of duels drawn from its starts, within {asked.load_s:.0f} s "
                  f"of load; all its starts together measure {measured - 1:.1%}")  # fmt: skip
    return figures


def _fight(
    noise: Noise, protocol: Protocol, gains: Mapping[str, float], runs: int, seed: int,
    load_s: float = math.inf, noise_first: Protocol | None = None,
) -> Sequence[Fought]:  # fmt: skip
    return list(fight_many(noise, protocol, gains, runs=runs, seed=seed, load_s=load_s, noise_first=noise_first))


def _for(starts: int) -> Protocol:
    return THOROUGH.model_copy(update={"looks": (starts,), "shares": (1.0,)})


def _share(fought: Sequence[Fought], metric: str) -> float:
    return sum(duel.found(metric) for duel in fought) / len(fought)


def _named(asked: Question) -> str:
    return f"{asked.metric} {asked.gain - 1:.0%}"


def _tell(asked: Question, fought: Sequence[Fought], load_s: float, careful: float) -> None:
    load = load_s * float(np.mean([duel.starts for duel in fought]))
    width = float(np.median([duel.width(asked.metric) for duel in fought]))
    print(f"{_named(asked):20} {asked.load_s:9.0f} {_share(fought, asked.metric):7.1%} {careful:10.1%} {load:8.1f} "
          f"{width - 1:9.1%}")  # fmt: skip


if __name__ == "__main__":
    main()
