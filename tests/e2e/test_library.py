"""Whole runs on the library desk with a scripted model: live tools, real duels, on each vendor's wire."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from graphs.engine import RunOptions, run
from graphs.handover import TITLE
from perfcrew.records.report import Report
from perfcrew.settings import Settings
from tests.e2e.patches import BATCH, BREAKING, COMMENT, GOOD, Patch
from tests.e2e.scripted import LibraryScript
from tests.llm_endpoint import ScriptedEndpoint
from tests.unit.target_repo import VARIABLES
from tools import process

pytestmark = [pytest.mark.app, pytest.mark.demo]
LIBRARY = Path(__file__).parents[1] / "apps" / "library"
HOLDS_S = 600.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all runs, so that the application's environment is made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
async def repo(tmp_path: Path) -> Path:
    """The library desk in a repository of its own, with something uncommitted in it."""
    folder = tmp_path / "library"
    shutil.copytree(LIBRARY, folder, ignore=shutil.ignore_patterns("__pycache__", "*.db"))
    for line in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m First"):
        await git(folder, *line.split())
    (folder / "notes.txt").write_text("not committed")
    (folder / "README.md").write_text("changed, not committed")
    return folder


async def git(repo: Path, *words: str) -> str:
    done = await process.run(["git", *words], cwd=repo, environment=VARIABLES, timeout=60)
    assert done.ok, done.err
    return done.out.strip()


async def state_of(repo: Path) -> list[str]:
    """What a run must leave as it is: status, index, branches other than its own, stash, the files themselves."""
    branches = [line for line in (await git(repo, "for-each-ref")).splitlines() if "refs/heads/perfcrew" not in line]
    files = {path.relative_to(repo): path.read_bytes() for path in repo.rglob("*") if path.is_file()}
    own = [f"{path} {hash(content)}" for path, content in sorted(files.items()) if path.parts[0] != ".git"]
    return [await git(repo, "status", "--porcelain"), await git(repo, "ls-files", "--stage"), *branches, *own]


async def lap(
    repo: Path, home: Path, patches: tuple[Patch, ...], model: str = "anthropic/scripted", *, quick: bool = True
) -> Report:
    """One run with a scripted model on the wire that the model's name chooses."""
    with ScriptedEndpoint(LibraryScript(patches)) as endpoint:
        settings = Settings(
            home=home,
            model=model,
            anthropic_base_url=endpoint.base_url,
            openai_base_url=endpoint.base_url,
            max_rounds=1,
        )
        report = await run(RunOptions(repo=repo, quick=quick), settings=settings, watch=lambda event: None)
        assert endpoint.refused == []
    return report


async def test_good_patches_become_a_branch_and_nothing_else_is_touched(repo: Path, home: Path) -> None:
    before = await state_of(repo)
    report = await lap(repo, home, GOOD)
    assert await state_of(repo) == before
    assert report.outcome == "improved"
    kept = [change for change in report.changes if change.kept]
    assert BATCH.title in [change.title for change in kept]
    counted = {row.name: row for row in report.metrics}["db.queries_per_request"]
    assert (counted.base, counted.candidate) == (pytest.approx(162, abs=3), pytest.approx(4, abs=1))
    assert all(check.passed for check in report.checks)
    assert report.branch is not None
    commits = (await git(repo, "log", "--format=%s", f"main..{report.branch}")).splitlines()
    assert commits[0] == TITLE and sorted(commits[1:]) == sorted(change.title for change in kept)
    # `library migrate` has no way down of its own: the down scripts are tried, where an index was kept.
    assert [gate.name for gate in report.gates if gate.met is False] == []
    assert report.usage.model_calls > 10


@pytest.mark.parametrize("model", ["openai/scripted", "openai-chat/scripted"])
async def test_the_other_wires_carry_the_same_run(repo: Path, home: Path, model: str) -> None:
    report = await lap(repo, home, (BATCH,), model)
    assert [change.kept for change in report.changes] == [True]
    assert report.models == (model,)
    assert all(check.passed for check in report.checks)


async def test_a_comment_alone_makes_no_difference(repo: Path, home: Path) -> None:
    report = await lap(repo, home, (COMMENT,), quick=False)
    # A disturbed machine may be unable to bound the difference; that is said, and nothing is claimed either way.
    assert report.outcome in {"no_significant_change", "underpowered"}
    assert not report.goals_met
    assert [change.kept for change in report.changes] == [False]
    assert report.branch is None


async def test_a_patch_that_breaks_tests_is_dropped_before_it_is_measured(repo: Path, home: Path) -> None:
    report = await lap(repo, home, (BREAKING,))
    (change,) = report.changes
    assert not change.kept
    assert "existing tests failed" in change.attempts[0].reason
    assert change.attempts[0].verdict is not None
    assert change.attempts[0].verdict.effects == ()
    assert report.branch is None


async def test_nothing_answered_is_asked_again_after_a_kill(repo: Path, home: Path, tmp_path: Path) -> None:
    script = LibraryScript((BATCH,))
    with ScriptedEndpoint(script) as endpoint:
        environment = {
            **VARIABLES, "PERFCREW_HOME": str(home / "killed"), "PERFCREW_MODEL": "anthropic/scripted",
            "ANTHROPIC_BASE_URL": endpoint.base_url, "PERFCREW_MAX_ROUNDS": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "perfcrew", "run", "--quick", "--json", str(tmp_path / "report.json")]
        running = await process.start(
            [*command, str(repo)], cwd=tmp_path, environment=environment, log=tmp_path / "first.log"
        )
        try:
            await _until_coding(script, running)
            os.kill(running.pid, signal.SIGKILL)
        finally:
            await running.stop(0.1)
            # A moment for the request that was in flight to be noted.
            await asyncio.sleep(0.5)
        answered = Counter(_asked(body) for body in endpoint.bodies)
        (folder,) = (home / "killed" / "runs").iterdir()
        done = await process.run(
            [*command, "--resume", folder.name], cwd=tmp_path, environment=environment, timeout=HOLDS_S
        )
        assert done.code in (0, 1), done.err
        repeated = [key for key, count in Counter(_asked(body) for body in endpoint.bodies).items() if count > 1]
    assert len(repeated) <= 1, "only the request that was in flight at the kill may be asked twice"
    assert sum(answered.values()) > 5
    assert json.loads((tmp_path / "report.json").read_text())["changes"][0]["title"] == BATCH.title


async def _until_coding(script: LibraryScript, running: process.Process) -> None:
    for _ in range(int(HOLDS_S / 0.2)):
        assert running.alive, "the run ended before the coder began"
        if script.asked["coder"] >= 2:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("the coder was never asked")


def _asked(body: dict[str, object]) -> str:
    return json.dumps(body, sort_keys=True)
