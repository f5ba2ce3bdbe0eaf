"""Which tests touch a change, by coverage."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from target_repo import PYTHON, make_workspace

from agents.crew import Crew
from graphs.validation import _cover
from perfcrew.errors import InstrumentError
from tools import git
from tools.touching_tests import cover_change
from tools.workspace import Workspace

pytestmark = pytest.mark.app

APP = "def double(number):\n    return number + number\n\n\ndef triple(number):\n    return 3 * number\n"
TESTS = """
import unittest
from app import double

class Tests(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(2), 4)

    def test_nothing(self):
        pass
"""
TARGET: Mapping[str, Any] = {"target": {"start": "true {port}", "test": f"{PYTHON} -m unittest discover -s tests"}}


async def test_tests_that_touch_the_change_are_named(tmp_path: Path) -> None:
    files = {"app.py": APP, "tests/test_app.py": TESTS, "tests/__init__.py": ""}
    workspace = await make_workspace(tmp_path, files, TARGET)
    folder = workspace.worktrees / "changed"
    await git.checkout(workspace.clone, workspace.base_commit, folder)
    (folder / "app.py").write_text(APP.replace("number + number", "2 * number").replace("3 * number", "number * 3"))
    candidate = await git.commit(folder, "changed", "2025-01-01T00:00:00Z")
    evidence = await cover_change(workspace, workspace.base_commit, candidate)
    assert evidence.facts == {"changed": 2, "covered": 1, "tests": 1}
    assert "test_double" in evidence.digest
    assert "- app.py:6" in evidence.digest
    with pytest.raises(InstrumentError, match="for Python only, and the change adds no line"):
        await cover_change(workspace, workspace.base_commit, workspace.base_commit)


async def test_a_change_in_another_language_says_why_its_tests_are_not_told_apart(tmp_path: Path) -> None:
    files = {"server.js": "module.exports = 1\n", "app.py": APP}
    workspace = await make_workspace(tmp_path, files, {"target": {"start": "true {port}", "test": "node --test"}})
    folder = workspace.worktrees / "changed"
    await git.checkout(workspace.clone, workspace.base_commit, folder)
    (folder / "server.js").write_text("module.exports = 2\n")
    candidate = await git.commit(folder, "changed", "2025-01-01T00:00:00Z")
    (told,) = await _cover(crew_of(workspace), workspace.base_commit, candidate, "1/validation/tester")
    assert told.digest == (
        "all tests were run; which of them touch the change is not told apart: "
        "coverage is read for Python only, and what the change adds is in server.js"
    )
    assert not told.facts


async def test_without_tests_nothing_is_said_of_them(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, {"app.py": APP}, {"target": {"start": "true {port}"}})
    assert await _cover(crew_of(workspace), workspace.base_commit, workspace.base_commit, "lane") == ()


def crew_of(workspace: Workspace) -> Crew:
    async def effect(lane: str, name: str, kind: object, take: Any, asked: object) -> Any:
        return await take()

    return cast(Crew, SimpleNamespace(workspace=workspace, journal=SimpleNamespace(effect=effect)))
