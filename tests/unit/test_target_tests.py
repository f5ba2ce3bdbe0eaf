"""The target's tests run on a copy, on fresh data, and a run that does not end is a failure."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import ToolError
from tools import git
from tools.process import run
from tools.target_tests import run_target_tests, run_tests
from tools.workspace import Workspace

SUITE = """
import os, sqlite3, sys, unittest
class Suite(unittest.TestCase):
    def test_data(self):
        db = sqlite3.connect(os.environ["DATABASE"].removeprefix("sqlite:///"))
        db.execute("CREATE TABLE first_to_come (x)")
        db.commit()
    def test_value(self):
        import app
        open("left-behind.txt", "w").close()
        self.assertEqual(app.value, 1)
"""


async def _workspace(folder: Path, **own: Any) -> Workspace:
    target = {"test": f"{PYTHON} -m unittest suite", "environment": {"DATABASE": "{database_url}"}, **own}
    files = {"suite.py": SUITE, "app.py": "value = 1\n"}
    return await make_workspace(folder, files, {"target": target, "database": {"engine": "sqlite"}})


async def test_base_and_worktree(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)
    for _ in range(2):
        evidence = await run_tests(workspace, workspace.base_commit, "base")
        assert evidence.id == "tests@suite/base" and evidence.kind == "tests"
        assert evidence.facts == {
            "passed_all": 1, "passed": 2, "failed": 0, "skipped": 0, "exit": 0, "timed_out": 0,
        }, evidence.digest  # fmt: skip
    base = await git.worktree_of(workspace, workspace.base_commit)
    assert not (base / "left-behind.txt").exists()
    work = workspace.folder / "work"
    await git.checkout(workspace.clone, workspace.base_commit, work)
    (work / "app.py").write_text("value = 2\n")
    evidence = await run_tests(workspace, workspace.base_commit, "candidate", work)
    assert evidence.facts["passed_all"] == 0 and evidence.facts["failed"] == 1
    assert "tests failed (exit code 1): 1 passed, 1 failed" in evidence.title
    assert "- test_value (suite.Suite" in evidence.digest and "AssertionError: 2 != 1" in evidence.digest
    assert await git.changed_paths(work) == ("app.py",)
    assert evidence.artifact is not None
    assert "2 != 1" in workspace.artifacts.get_json(evidence.artifact)["output"]
    output = await run_target_tests.call({}, replace(workspace, worktree=work))
    assert output.is_error and "2 != 1" in output.content
    with pytest.raises(ToolError, match="no worktree"):
        await run_target_tests.call({}, workspace)
    assert not list((workspace.data / "arms").iterdir()) and not list((workspace.data / "snapshots").iterdir())


async def test_a_version_that_has_passed_is_not_tested_again(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, test=f"{PYTHON} -m unittest suite")
    work = workspace.folder / "work"
    await git.checkout(workspace.clone, workspace.base_commit, work)
    (work / "app.py").write_text("value = 1  # the one\n")
    live = await run_tests(workspace, workspace.base_commit, "worktree", work)
    made = await git.commit(work, "Say which one", "2026-01-02T03:04:05Z")
    reworded = await git.reword(work, "Say which", "2026-01-02T03:04:05Z")
    for version in (made, reworded):
        again = await run_tests(workspace, version, "candidate")
        assert again.id == "tests@suite/candidate" and again.facts["passed_all"] == 1
        # The raw file holds the seconds it took: another run would be another file.
        assert again.artifact == live.artifact
    (work / "app.py").write_text("value = 2\n")
    failed = await git.commit(work, "Break it", "2026-01-02T03:04:05Z")
    first = await run_tests(workspace, failed, "candidate")
    second = await run_tests(workspace, failed, "candidate")
    assert first.facts["passed_all"] == second.facts["passed_all"] == 0


async def test_files_that_no_commit_takes_do_not_vouch_for_one(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, test=f"{PYTHON} -c \"import os; os.stat('made.log')\"")
    work = workspace.folder / "work"
    await git.checkout(workspace.clone, workspace.base_commit, work)
    (work / ".gitignore").write_text("*.log\n")
    (work / "made.log").write_text("here\n")
    assert (await run_tests(workspace, workspace.base_commit, "worktree", work)).facts["passed_all"] == 1
    made = await git.commit(work, "Ignore logs", "2026-01-02T03:04:05Z")
    assert (await run_tests(workspace, made, "candidate")).facts["passed_all"] == 0


async def test_what_does_not_end_has_failed(tmp_path: Path) -> None:
    command = f"{PYTHON} -c \"import time; print('begun', flush=True); time.sleep(600)\""
    workspace = await _workspace(tmp_path, test=command, test_timeout_s=1)
    evidence = await run_tests(workspace, workspace.base_commit, "base")
    assert evidence.facts["passed_all"] == 0 and evidence.facts["timed_out"] == 1
    assert evidence.digest.splitlines()[0] == "tests took over 1 s and were ended" and "begun" in evidence.digest


async def test_exit_code_decides_and_an_empty_run_is_named(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, test="sh -c 'echo \"5 passed in 0.1s\"; exit 3'")
    evidence = await run_tests(workspace, workspace.base_commit, "base")
    assert evidence.facts["passed_all"] == 0 and evidence.facts["passed"] == 5 and evidence.facts["exit"] == 3
    workspace = await _workspace(tmp_path / "b", test='echo "no tests ran in 0.1s"')
    assert "no test ran at all" in (await run_tests(workspace, workspace.base_commit, "base")).digest


async def test_without_a_command_nothing_is_claimed(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, test=None)
    evidence = await run_tests(workspace, workspace.base_commit, "base")
    assert evidence.facts["passed_all"] is None and evidence.title == "no test command is given"
    output = await run_target_tests.call({}, replace(workspace, worktree=tmp_path))
    assert "no test command" in output.content


async def test_node_runs_its_own_tests(tmp_path: Path) -> None:
    node = await run(["sh", "-c", "command -v node"], cwd=tmp_path, environment={"PATH": "/usr/bin:/bin"}, timeout=10)
    if not node.ok:
        pytest.skip("node is not in a usual place")
    script = "const test = require('node:test'); test('adds', () => {}); test('breaks', () => { throw 1 })"
    workspace = await make_workspace(tmp_path, {"sum.test.js": script}, {"target": {"test": "node --test"}})
    evidence = await run_tests(workspace, workspace.base_commit, "base")
    assert (evidence.facts["passed"], evidence.facts["failed"], evidence.facts["passed_all"]) == (1, 1, 0)
    assert "- breaks" in evidence.digest
