"""Tests of base and candidate: flaky ones are set apart, missing ones are missed, new ones must pass on both."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import ToolError
from tools import git
from tools.new_tests import add_test, commit_tests, passed_tests
from tools.steady_tests import judge_tests
from tools.workspace import Workspace

pytestmark = pytest.mark.app

TESTS = """
import pathlib, random, unittest
from app import double

class Tests(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(2), 4)

    def test_flaky(self):
        self.assertTrue(pathlib.Path("calm").exists())

if __name__ == "__main__":
    unittest.main()
"""
TARGET: Mapping[str, Any] = {"target": {"start": "true {port}", "test": f"{PYTHON} -m unittest discover -s tests"}}
APP = "def double(number):\n    return number + number\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    files = {"app.py": APP, "tests/test_app.py": TESTS, "tests/__init__.py": ""}
    return asyncio.run(make_workspace(tmp_path_factory.mktemp("steady"), files, TARGET))


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    files = {"app.py": APP, "tests/test_app.py": TESTS, "tests/__init__.py": "", "calm": ""}
    return asyncio.run(make_workspace(tmp_path_factory.mktemp("calm"), files, TARGET))


async def change(workspace: Workspace, name: str, source: str) -> str:
    folder = workspace.worktrees / name
    await git.checkout(workspace.clone, workspace.base_commit, folder)
    (folder / "app.py").write_text(source)
    return await git.commit(folder, name, "2025-01-01T00:00:00Z")


async def test_what_the_base_fails_too_is_set_apart(workspace: Workspace) -> None:
    same = await change(workspace, "same", APP + "# the same\n")
    judged = await judge_tests(workspace, workspace.base_commit, same)
    assert (judged.facts["passed_all"], judged.facts["set_apart"]) == (1, 1)
    assert "test_flaky" in judged.digest
    assert "failed in 3 of 3 runs of the base" in judged.digest


async def test_what_the_candidate_alone_fails_is_blamed_on_it(workspace: Workspace) -> None:
    wrong = await change(workspace, "wrong", "def double(number):\n    return number\n")
    judged = await judge_tests(workspace, workspace.base_commit, wrong)
    assert (judged.facts["passed_all"], judged.facts["set_apart"]) == (0, 1)
    assert judged.title.endswith("test_double (test_app.Tests.test_double)")


async def test_tests_that_do_not_run_have_not_passed(calm: Workspace) -> None:
    ended = await change(calm, "ended", "import os\nos._exit(0)\n")
    judged = await judge_tests(calm, calm.base_commit, ended)
    assert judged.facts["passed_all"] == 0
    assert judged.title.startswith("only 0 of the base's 2 passing tests passed")
    fewer = await change(calm, "fewer", f"import unittest\nunittest.TestCase.test_x = 1\n{APP}")
    assert (await judge_tests(calm, calm.base_commit, fewer)).facts["passed_all"] == 1


def new_test(expression: str) -> dict[str, str]:
    lines = ("import unittest", "from app import double", "class More(unittest.TestCase):", "    def test_more(self):")
    return {"path": "tests/test_more.py", "content": "\n".join([*lines, f"        self.assertEqual({expression})", ""])}


async def test_a_new_test_counts_where_both_versions_pass_it(calm: Workspace) -> None:
    mine = replace(calm, candidate=await change(calm, "honest", "def double(number):\n    return 2 * number\n"))
    output = await add_test.call(new_test("double(3), 6"), mine)
    assert output.content == "passes on base and candidate"
    (test,) = passed_tests(mine, output.evidence)
    made = await commit_tests(mine, mine.candidate, (test,))
    paths = [item.path for item in await git.touched(mine.clone, mine.candidate, str(made.facts["commit"]))]
    assert paths == ["tests/test_more.py"]


async def test_a_new_test_that_the_candidate_fails_speaks_against_it(calm: Workspace) -> None:
    mine = replace(calm, candidate=await change(calm, "broken", "def double(number):\n    return number * number\n"))
    output = await add_test.call(new_test("double(3), 6"), mine)
    assert output.evidence[0].facts["equal"] == 0
    assert "the candidate FAILS it" in output.content
    assert passed_tests(mine, output.evidence) == ()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (new_test("double(3), 7"), "with it the base fails its tests"),
        ({"path": "tests/test_none.py", "content": "# nothing\n"}, "the runner found no test in it"),
        ({"path": "tests/test_app.py", "content": "x"}, "it is there already"),
        ({"path": "more.py", "content": "x"}, "not among the target's tests"),
        ({"path": "../tests/test_x.py", "content": "x"}, "a path inside the repository"),
    ],
)
async def test_what_is_no_test_of_the_base_does_not_count(
    calm: Workspace, arguments: dict[str, str], told: str
) -> None:
    with pytest.raises(ToolError, match=told):
        await add_test.call(arguments, replace(calm, candidate=calm.base_commit))
