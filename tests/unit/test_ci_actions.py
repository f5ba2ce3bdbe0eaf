"""The actions for GitHub and the examples in the README: they are what they say, and their steps do it."""

import json
import re
import subprocess  # noqa: TID251  the steps are shell scripts
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfcrew.entry.cli import cli

ROOT = Path(__file__).parents[2]
ACTIONS = ROOT / ".github" / "actions"
COMPARISON = {"outcome": "regressed"}
PERFCREW = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
words = sys.argv[1:]
Path(os.environ["CALLS"]).open("a").write(json.dumps(words) + "\\n")
code = int(os.environ.get("FAKE_CODE", "0"))
for option, text in (("--markdown", "## a table\\n"), ("--json", os.environ.get("FAKE_JSON", "{}"))):
    if option in words and code in (0, 1):
        Path(words[words.index(option) + 1]).write_text(text)
if "--out" in words:
    out = Path(words[words.index("--out") + 1]); out.mkdir()
    (out / "results.jsonl").write_text(os.environ["FAKE_RESULTS"])
print("perfcrew: it said why", file=sys.stderr)
sys.exit(code)
"""
GH = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
words = sys.argv[1:]
for n, word in enumerate(words):
    name, _, file = word.partition("=@")
    if file:
        words[n] = f"{name}={Path(file).read_text()}"
Path(os.environ["CALLS"]).open("a").write(json.dumps(words) + "\\n")
if os.environ.get("FAKE_FORK") and "POST" in words:
    sys.exit("HTTP 403: Resource not accessible by integration")
if "--paginate" in words:
    print(os.environ.get("FAKE_COMMENT", ""))
"""


class Runner:
    """What a runner gives a step: its variables, files for outputs and summary, programs on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("perfcrew", PERFCREW), ("gh", GH)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.variables = {
            "PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin", "RUNNER_TEMP": str(folder),
            "CALLS": str(folder / "calls"),
            "GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_REPOSITORY": "o/shop",
        }  # fmt: skip

    def step(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(ACTIONS / script)], env={**self.variables, **variables}, cwd=self.folder, text=True,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.folder / "output").read_text().splitlines())

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


GIVEN = {"BASE": "main; touch x", "CANDIDATE": "HEAD", "TARGET": "my shop", "WITHIN": "60"}


def compared(runner: Runner, **variables: str) -> dict[str, str]:
    done = runner.step("compare/compare.sh", **{**GIVEN, "OPTIONS": "--strict --quick", **variables})
    assert done.returncode == 0, done.stderr
    names = {"CODE": "code", "OUTCOME": "outcome", "COMMENT": "comment"}
    return {name: runner.outputs[output] for name, output in names.items()}


def test_a_comparison_is_made_with_what_was_given_and_nothing_is_split(runner: Runner) -> None:
    given = compared(runner, FAKE_CODE="1", FAKE_JSON=json.dumps(COMPARISON))
    assert (given["CODE"], given["OUTCOME"]) == ("1", "regressed")
    assert runner.calls[0][:9] == [
        "compare", "main; touch x", "HEAD", "my shop", "--within", "60", "--strict", "--quick", "--markdown",
    ]  # fmt: skip
    known = {option for each in cli.commands["compare"].params for option in each.opts}
    assert {word for word in runner.calls[0] if word.startswith("--")} <= known
    assert not (runner.folder / "x").exists()


@pytest.mark.parametrize("known", ["", "77"])
def test_a_regression_is_a_comment_a_failed_check_and_a_failed_step(runner: Runner, known: str) -> None:
    given = compared(runner, FAKE_CODE="1", FAKE_JSON=json.dumps(COMPARISON))
    done = runner.step("compare/publish.sh", NUMBER="5", HEAD_SHA="abc", FAKE_COMMENT=known, **given)
    assert done.returncode == 1
    assert "## a table" in runner.summary
    comment, check = runner.calls[-2:]
    place = "repos/o/shop/issues/comments/77" if known else "repos/o/shop/issues/5/comments"
    assert comment[1:5] == ["--silent", "--method", "PATCH" if known else "POST", place]
    assert comment[-1].startswith("body=<!-- perfcrew compare -->\n## a table")
    assert {"repos/o/shop/check-runs", "head_sha=abc", "conclusion=failure", "output[title]=regressed"} <= set(check)


@pytest.mark.parametrize(("outcome", "conclusion"), [("improved", "success"), ("underpowered", "neutral")])
def test_without_a_pull_request_there_is_only_a_check(runner: Runner, outcome: str, conclusion: str) -> None:
    given = compared(runner, FAKE_JSON=json.dumps({"outcome": outcome}))
    assert runner.step("compare/publish.sh", NUMBER="", HEAD_SHA="abc", **given).returncode == 0
    assert len(runner.calls) == 2
    assert f"conclusion={conclusion}" in runner.calls[-1]


def test_what_could_not_be_compared_is_told_with_its_reason(runner: Runner) -> None:
    given = compared(runner, FAKE_CODE="3")
    assert given["OUTCOME"] == "incomplete"
    assert runner.step("compare/publish.sh", NUMBER="5", HEAD_SHA="abc", **given).returncode == 3
    assert "perfcrew: it said why" in runner.summary


def test_a_token_of_a_fork_costs_a_warning_and_not_the_verdict(runner: Runner) -> None:
    given = compared(runner, FAKE_JSON=json.dumps({"outcome": "improved"}))
    done = runner.step("compare/publish.sh", NUMBER="5", HEAD_SHA="abc", FAKE_FORK="1", **given)
    assert done.returncode == 0
    assert done.stdout.count("::warning::") == 2
    assert "## a table" in runner.summary


def test_a_batch_shows_its_results_and_keeps_its_code(runner: Runner) -> None:
    lines = [
        {"path": "a", "outcome": "improved", "goals_met": True, "reason": "won"},
        {"path": "b", "outcome": "incomplete", "goals_met": False, "reason": "one | two"},
    ]
    results = "".join(json.dumps(line) + "\n" for line in lines)
    given = {"TARGETS": "t.jsonl", "OUT": "out", "OPTIONS": "--budget-usd 5", "FAKE_RESULTS": results, "FAKE_CODE": "3"}
    assert runner.step("batch/batch.sh", **given).returncode == 3
    assert runner.calls == [["batch", "t.jsonl", "--out", "out", "--budget-usd", "5"]]
    assert "| a | improved | yes | won |" in runner.summary
    assert "| b | incomplete | no | one   two |" in runner.summary


@pytest.mark.parametrize("name", ["compare", "batch"])
def test_an_action_hands_inputs_over_as_variables_only(name: str) -> None:
    action = yaml.safe_load((ACTIONS / name / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert ("run" in step) == ("shell" in step)
        for script in re.findall(r"GITHUB_ACTION_PATH/([\w.]+\.sh)", step.get("run", "")):
            assert (ACTIONS / name / script).is_file()
    inputs = re.findall(r"inputs\.([\w-]+)", json.dumps(action))
    assert set(inputs) == set(action["inputs"])


def test_the_examples_in_the_readme_fit_actions_and_commands() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    github, gitlab = (yaml.safe_load(block) for block in blocks)
    for job in github["jobs"].values():
        used: dict[str, Any] = next(step for step in job["steps"] if "perfcrew" in step["uses"])
        folder = used["uses"].partition("perfcrew/")[2].partition("@")[0]
        action = yaml.safe_load((ROOT / folder / "action.yml").read_text())
        assert set(used["with"]) <= set(action["inputs"])
    lines = [line for job in gitlab.values() for line in job["script"] if str(line).startswith("perfcrew ")]
    assert len(lines) == 2
    for line in lines:
        known = {option for each in cli.commands[line.split()[1]].params for option in each.opts}
        assert set(re.findall(r"--[\w-]+", line)) <= known
