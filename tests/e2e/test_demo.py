"""The demo as a stranger sees it: the command line, the bundled application, the shipped recording, live tools."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.case import find_case, list_cases
from evals.replay import replay
from perfcrew.settings import Settings
from tests.unit.target_repo import VARIABLES
from tools import process

DASHBOARD = find_case("dashboard")
PERFCREW = (sys.executable, "-P", "-m", "perfcrew")


async def call(home: Path, *words: str, seconds: float = 60) -> process.Finished:
    environment = {**VARIABLES, "PERFCREW_HOME": str(home), "COLUMNS": "120"}
    return await process.run([*PERFCREW, *words], cwd=home, environment=environment, timeout=seconds)


async def git(repo: Path, *words: str) -> str:
    done = await process.run(["git", *words], cwd=repo, environment=VARIABLES, timeout=60)
    assert done.ok, done.err
    return done.out.strip()


@pytest.mark.app
@pytest.mark.demo
@pytest.mark.timeout(1500)
async def test_the_demo_measures_patches_and_proves(tmp_path: Path) -> None:
    scratch, home = tmp_path / "scratch", tmp_path / "home"
    home.mkdir()
    done = await call(home, "demo", "--keep", str(scratch), "--json", str(tmp_path / "report.json"), seconds=1400)
    assert done.code in (0, 1), done.out[-3000:] + done.err[-3000:]
    assert "Replies come from a recording" in done.out
    report = json.loads((tmp_path / "report.json").read_text())

    # What is counted is exact, whatever else the machine was doing.
    rows = {row["name"]: row for row in report["metrics"]}
    assert rows["db.queries_per_request"]["base"] >= 15
    assert rows["db.queries_per_request"]["candidate"] <= 5
    assert any(change["kept"] for change in report["changes"])
    assert all(check["passed"] for check in report["checks"])
    hidden = {"writes show in the next read", "amounts are right to the cent", "lists keep their order"}
    assert hidden <= {check["name"] for check in report["checks"]}
    assert not [note for note in report["notes"] if ": stale: " in note], "a recorded edit does not apply any more"

    verified = await call(home, "verify", report["run_id"])
    assert verified.code == 0, verified.err
    await look_at_repository(scratch, report)


async def look_at_repository(scratch: Path, report: dict[str, Any]) -> None:
    """The scratch repository got one branch and nothing else, and the branch reverts to the base."""
    assert await git(scratch, "status", "--porcelain") == ""
    assert (await git(scratch, "branch", "--format=%(refname:short)")).split() == ["main", report["branch"]]
    assert await git(scratch, "rev-parse", "main") == report["base_commit"]
    kept = [change["commit"] for change in report["changes"] if change["kept"]]
    # The last commit is the hand-over: what was promised lies in it, and code checked it.
    kept.append(report["handover"]["commit"])
    assert [gate["met"] for gate in report["gates"]] == [True] * 6, report["gates"]
    assert (await git(scratch, "log", "--format=%H", "--reverse", f"main..{report['branch']}")).split() == kept
    await git(scratch, "checkout", "--quiet", "-B", "undone", report["branch"])
    await git(scratch, "-c", "user.name=t", "-c", "user.email=t@t", "revert", "--no-edit", f"main..{report['branch']}")
    assert await git(scratch, "diff", "main", "undone") == ""


@pytest.mark.parametrize("case", [case for case in list_cases() if case.recording.exists()], ids=lambda case: case.name)
async def test_a_recording_replays_with_its_own_tool_results(case: Any, tmp_path: Path) -> None:
    _, first = await replay(case, settings=Settings(home=tmp_path / "one"), watch=lambda _: None)
    assert first.passed, [check for check in first.checks if not check.passed]
    again, second = await replay(case, settings=Settings(home=tmp_path / "two"), watch=lambda _: None)
    assert second == first
    assert again.answered_by


def test_the_dashboard_has_a_recording() -> None:
    assert DASHBOARD.recording.exists()
    assert DASHBOARD.expectation.exists()
