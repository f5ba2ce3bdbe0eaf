"""The applications that other tests run on pass their own tests, and their descriptions are without mistakes."""

import sys
from pathlib import Path

import pytest

from tools.process import run
from tools.target import load_target

APPS = Path(__file__).parents[1] / "apps"


@pytest.mark.app
@pytest.mark.parametrize(("name", "least"), [("library", 20), ("healthy", 4)])
async def test_own_tests_pass(name: str, least: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", f"--basetemp={tmp_path / 'base'}"]
    finished = await run(command, cwd=APPS / name, environment={"PYTHONDONTWRITEBYTECODE": "1"}, timeout=120)
    assert finished.code == 0, finished.out + finished.err
    passed = int(finished.out.strip().splitlines()[-1].split(" passed")[0].split()[-1])
    assert passed >= least


@pytest.mark.parametrize("name", ["library", "healthy"])
def test_description_is_without_mistakes(name: str) -> None:
    target, path = load_target(APPS / name, None)
    assert target.target.name == name
    assert path == APPS / name / "perfcrew.toml"
    assert all(workload.held_out is not None for workload in target.workload)
