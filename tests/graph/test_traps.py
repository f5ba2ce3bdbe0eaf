"""Every planted trap is refused, each by the gate that should, and honest wins are kept, by a scripted coder."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agents.crew import Crew
from evals.bench.planted_traps import Planted, load_planted, open_crew, refusing_gate, take_step

pytestmark = pytest.mark.app

TRAPS, HONEST, DASHBOARD = (load_planted(kind) for kind in ("traps", "honest", "dashboard_traps"))
IN_CI = ("joined_suppliers", "calendar_once")
"""Honest wins that are measured here, which takes a duel each; the benchmark measures all."""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    stack = AsyncExitStack()
    folder: Path = tmp_path_factory.mktemp("till")
    with asyncio.Runner() as runner:
        yield runner.run(stack.enter_async_context(open_crew([*TRAPS, *HONEST], folder, quick=True)))
        runner.run(stack.aclose())


def test_there_are_enough_of_them() -> None:
    assert len(TRAPS) >= 20
    assert len(DASHBOARD) == 2
    assert all(trap.gate for trap in TRAPS)
    assert not any(each.gate for each in HONEST)
    assert set(IN_CI) <= {each.name for each in HONEST}


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
async def test_a_trap_is_refused_by_its_gate(crew: Crew, trap: Planted) -> None:
    change = await take_step(crew, trap)
    assert not change.kept, change.reason
    assert refusing_gate(change).startswith(trap.gate), change.reason


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    stack = AsyncExitStack()
    folder: Path = tmp_path_factory.mktemp("dashboard")
    with asyncio.Runner() as runner:
        opening = open_crew(DASHBOARD, folder, quick=True, application="dashboard")
        yield runner.run(stack.enter_async_context(opening))
        runner.run(stack.aclose())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("trap", DASHBOARD, ids=lambda trap: trap.name)
async def test_a_trap_of_the_dashboard_is_refused_by_its_gate(dashboard: Crew, trap: Planted) -> None:
    change = await take_step(dashboard, trap)
    assert not change.kept, change.reason
    assert refusing_gate(change).startswith(trap.gate), change.reason


@pytest.mark.timeout(300)
@pytest.mark.parametrize("honest", [each for each in HONEST if each.name in IN_CI], ids=lambda honest: honest.name)
async def test_an_honest_win_is_kept(crew: Crew, honest: Planted) -> None:
    change = await take_step(crew, honest)
    failed = [check for check in change.verdict.checks if not check.passed] if change.verdict else [change.reason]
    assert failed == []
    assert change.kept, change.reason
