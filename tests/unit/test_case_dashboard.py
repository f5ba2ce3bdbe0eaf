"""The bundled application and its description: complete, consistent, and silent about what is to be found."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import evals
from perfcrew.records.target import Target

CASE = Path(evals.__file__).parent / "cases" / "dashboard"
APP = CASE / "app"
SOURCES = sorted(
    path
    for path in APP.rglob("*")
    if path.suffix in {".py", ".sql", ".md", ".html", ".js", ".css", ".txt", ".ini"} and "__pycache__" not in path.parts
)
TELLING = re.compile(
    r"\b(slow\w*|n\+1|traps?|planted|perfcrew|bottlenecks?|inefficien\w*|hidden checks?)\b", re.IGNORECASE
)


@pytest.fixture(scope="module")
def target() -> Target:
    data = tomllib.loads((CASE / "perfcrew.toml").read_text(encoding="utf-8"))
    return Target.model_validate_json(json.dumps(data), strict=True)


def test_description_is_valid(target: Target) -> None:
    assert target.primary.name == "dashboard"
    assert target.database is not None and target.database.seed and target.database.migrate
    assert {goal.workload for goal in target.goal} <= {workload.name for workload in target.workload}


def test_every_workload_is_held_out_with_other_parameters(target: Target) -> None:
    for workload in target.workload:
        assert workload.held_out is not None
        users, others = set(workload.params["user"]), set(workload.held_out.params["user"])
        assert users and others and not users & others


def test_some_probes_write_and_some_are_held_out(target: Target) -> None:
    writing = [probe for probe in target.probe if any(request.method != "GET" for request in probe.request)]
    assert {probe.held_out for probe in writing} == {True, False}


def test_checks_are_scripts_of_the_case(target: Target) -> None:
    named = set()
    for check in target.check:
        words = shlex.split(check.command)
        script = Path(words[1].replace("{case}", str(CASE)))
        assert script.is_file() and script.parent == CASE / "checks"
        assert words[2:] == ["--url", "{url}", "--base-url", "{base_url}"]
        named.add(script.name)
    assert named == {path.name for path in (CASE / "checks").glob("*.py")} - {"api.py"}


def test_setup_inputs_exist_and_versions_are_pinned(target: Target) -> None:
    for name in target.target.setup_inputs:
        lines = (APP / name).read_text(encoding="utf-8").splitlines()
        packages = [line for line in lines if line.strip() and not line.startswith("#")]
        assert packages and all("==" in line for line in packages)


def test_protected_files_exist(target: Target) -> None:
    for pattern in target.protected:
        if "*" not in pattern and pattern != "perfcrew.toml":
            assert (APP / pattern).is_file(), pattern


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(APP)))
def test_the_application_gives_nothing_away(path: Path) -> None:
    found = TELLING.search(path.read_text(encoding="utf-8"))
    assert found is None, f"{path.relative_to(APP)}: {found and found[0]!r}"


def test_the_description_lies_outside_of_the_application() -> None:
    assert not list(APP.rglob("perfcrew*"))
    assert len(list((APP / "tests").glob("test_*.py"))) >= 5
    tests = sum(path.read_text(encoding="utf-8").count("\ndef test_") for path in (APP / "tests").glob("test_*.py"))
    assert tests >= 30
