"""Which tests touch a change, by coverage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import InstrumentError
from tools import git
from tools.touching_tests import cover_change

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
    with pytest.raises(InstrumentError, match="for Python with a test command only"):
        await cover_change(workspace, workspace.base_commit, workspace.base_commit)
