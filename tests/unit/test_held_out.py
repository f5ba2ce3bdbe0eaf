"""A gain that only the measured requests have is told from one that all requests have."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_server import Answer, SmallArm, serve
from target_repo import make_workspace
from test_duel_stats import simulate

from perfcrew.held_out import HELD_OUT as NAME
from perfcrew.held_out import held_out_checks
from perfcrew.records.target import Workload
from tools.duel import FULL, Protocol, run_duel
from tools.protocol import HELD_OUT
from tools.workspace import Workspace

SEEDS = range(25)
FAST = Protocol(
    name="fast", looks=(5,), shares=(1.0,), round_s=0.05, load_s=0.1, beside_s=0.1, min_rounds=1, max_rounds=1,
    limit_s=60.0,
)  # fmt: skip
MEASURED = list(range(40))
WORKLOAD = Workload.model_validate(
    {
        "name": "w", "users": 2, "params": {"n": MEASURED}, "request": [{"path": "/{n}"}],
        "held_out": {"params": {"n": list(range(100, 140))}},
    }
)  # fmt: skip


def passed(gain: float, there: float, seed: int) -> bool:
    """Whether a true gain of the measured requests is taken to hold, where that of the others is `there`."""
    rng = np.random.default_rng(seed)
    duel = simulate(rng, FULL, gain, rounds=1)
    duel["held_out"] = simulate(rng, HELD_OUT, there, rounds=1)
    (check,) = held_out_checks(json.loads(json.dumps(duel)))
    assert check.name == NAME
    return check.passed


@pytest.mark.parametrize("gain", [1.6, 4.0])
def test_a_gain_that_holds_is_never_taken_for_lost(gain: float) -> None:
    assert all(passed(gain, gain, seed) for seed in SEEDS)


def test_other_requests_may_gain_less() -> None:
    assert all(passed(4.0, 2.5, seed) for seed in SEEDS)


@pytest.mark.parametrize("gain", [2.0, 4.0])
def test_a_gain_of_the_measured_requests_alone_is_found(gain: float) -> None:
    assert sum(passed(gain, 1.0, seed) for seed in SEEDS) <= 1


def test_nothing_is_said_without_a_variant_or_a_gain() -> None:
    rng = np.random.default_rng(1)
    duel = simulate(rng, FULL, 4.0)
    assert held_out_checks(duel) == ()
    still = simulate(rng, FULL, 1.0)
    assert held_out_checks({**still, "held_out": simulate(rng, HELD_OUT, 1.0)}) == ()


def test_what_does_not_count_refuses_nothing() -> None:
    rng = np.random.default_rng(1)
    held: dict[str, Any] = simulate(rng, HELD_OUT, 1.0)
    for cell in held["cells"]:
        cell["faults"] = ["the load generator was the bottleneck"]
        cell["cpu_s"] *= 0.25 if cell["arm"] == "candidate" else 1.0
    (check,) = held_out_checks({**simulate(rng, FULL, 4.0), "held_out": held})
    assert check.passed and "does not count" in check.detail


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    return await make_workspace(tmp_path, {"app.py": ""}, {})


@pytest.mark.parametrize("keyed", [True, False])
async def test_answers_kept_for_the_measured_parameters_are_found_out(workspace: Workspace, keyed: bool) -> None:
    starts = 0

    @asynccontextmanager
    async def start(
        workspace: Workspace, commit: str, name: str, *, worktree: Path | None = None,
        cpus: frozenset[int] | None = None,
    ) -> AsyncIterator[SmallArm]:  # fmt: skip
        async def answer(method: str, path: str, body: bytes) -> Answer:
            if name == "duel-base" or (keyed and int(path[1:]) not in MEASURED):
                await asyncio.sleep(0.04)
            return 200, b"x" * 50

        nonlocal starts
        starts += 1
        async with serve(answer, name) as arm:
            yield arm

    duel = await run_duel(
        workspace, "b" * 40, "c" * 40, WORKLOAD, name="final", protocol=FAST, floors={}, held_out=True, start=start,
        count=no_count,
    )  # fmt: skip
    raw = workspace.artifacts.get_json(duel.samples)
    (check,) = duel.checks
    assert check.passed is not keyed
    assert "with the measured ones" in check.detail
    assert held_out_checks(raw) == duel.checks
    assert {cell["start"] for cell in raw["held_out"]["cells"]} == set(range(4))
    assert starts == 10


async def no_count(*_: Any) -> dict[str, list[float]]:
    """Nothing that a tracer counts."""
    return {}
