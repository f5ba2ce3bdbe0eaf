"""The committed performance test: the target's description with thresholds as its goals, and the CI step that runs it.

What is held out stays out: parameters, probes and checks that the coder must not see would be readable in the next run.
"""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import tomli_w
import yaml

from perfcrew.handover.places import PIPELINE, WORKLOAD
from perfcrew.handover.thresholds import Threshold
from perfcrew.records.target import Target, Workload

HEAD = """\
# The performance test of this repository, made by perfcrew from a measured result:
#   perfcrew compare main HEAD --config {workload} --goals
# The goals are thresholds: `--goals` refuses a version that is above one that its base holds.
"""
_PACKAGES = {"postgresql": ("postgresql",), "mysql": ("mariadb-server",), "sqlite": ()}
_COMPARED = ("http", "locust", "command", "page")


def write_workload(target: Target, thresholds: Iterable[Threshold], password: str = "") -> str:
    """The description as TOML.

    Args:
        target: what was measured.
        thresholds: of that measurement.
        password: part of the database's address that must not be committed; the address is left out then.
    """
    goals = [threshold.goal for threshold in thresholds]
    shown = target.model_copy(
        update={
            "workload": tuple(_open(workload) for workload in target.workload),
            "probe": tuple(probe for probe in target.probe if not probe.held_out),
            "check": (),
            "goal": tuple(goals),
        }
    )
    plain = _without_none(shown.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    for private in ("models", "budget"):
        plain.pop(private, None)
    if password and "database" in plain:
        plain["database"].pop("url", None)
    return HEAD.format(workload=WORKLOAD) + "\n" + tomli_w.dumps(plain)


def _open(workload: Workload) -> Workload:
    return workload.model_copy(update={"held_out": None})


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def needs_case(target: Target) -> list[str]:
    """Commands that need files beside the description, which are not committed with it."""
    database = target.database
    commands = [*target.target.setup, target.target.start, target.target.test, target.target.stop]
    commands += [database.seed, database.migrate] if database else []
    commands += [workload.command for workload in target.workload]
    commands += target.target.environment.values()
    return [command for command in commands if command and "{case}" in command]


def write_pipeline(target: Target) -> str:
    """A workflow of GitHub Actions that compares each pull request with the branch it goes to."""
    packages = ["bubblewrap", *(_PACKAGES[target.database.engine] if target.database else ())]
    if any(workload.kind == "page" for workload in target.workload):
        packages.append("chromium-browser")
    # The branch's name comes through the environment: a name may hold what a shell would run.
    options = f'--config {shlex.quote(WORKLOAD)} --goals --markdown "$GITHUB_STEP_SUMMARY"'
    compare = f'perfcrew compare "origin/$BASE" HEAD {options}'
    content = {
        "name": "performance",
        "on": {"pull_request": {}},
        "permissions": {"contents": "read"},
        "env": {"PERFCREW": "perfcrew"},
        "jobs": {
            "compare": {
                "runs-on": "ubuntu-latest",
                "timeout-minutes": 60,
                "steps": [
                    {"uses": "actions/checkout@v4", "with": {"fetch-depth": 0, "persist-credentials": False}},
                    {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
                    {"name": "Install perfcrew",
                     "run": f"sudo apt-get update -q\nsudo apt-get install -q -y {' '.join(packages)}\n"
                            'pipx install "$PERFCREW"\n'},
                    {"name": "Compare with the base", "env": {"BASE": "${{ github.base_ref }}"}, "run": compare},
                ],
            }
        },
    }  # fmt: skip
    head = (
        "# Compares a pull request with its base: exit code 1 where it became slower, or lost a threshold.\n"
        "# PERFCREW is what pipx installs: a name on your package index, or git+https://… of where it lies.\n"
    )
    return head + yaml.dump(content, Dumper=_Lines, sort_keys=False, width=1000)


class _Lines(yaml.SafeDumper):
    """Writes a text of several lines as a block of lines."""

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> yaml.ScalarNode:
        return super().represent_scalar(tag, value, "|" if "\n" in str(value) else style)


def check_pipeline(text: str) -> list[str]:
    """What would keep a workflow from comparing anything."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [f"{PIPELINE}: not YAML: {str(error).splitlines()[0]}"]
    if not isinstance(content, Mapping) or not isinstance(content.get("jobs"), Mapping):
        return [f"{PIPELINE}: no jobs"]
    # YAML 1.1 reads the key `on` as true.
    triggers = content.get("on", content.get(True))
    problems = [] if triggers else [f"{PIPELINE}: nothing starts it"]
    steps = [step for job in content["jobs"].values() for step in job.get("steps", ())]
    commands = [shlex.split(line) for step in steps for line in str(step.get("run", "")).splitlines()]
    compared = [words for words in commands if words[:2] == ["perfcrew", "compare"]]
    if not any("--config" in words and words[words.index("--config") + 1] == WORKLOAD for words in compared):
        problems.append(f"{PIPELINE}: no step runs `perfcrew compare … --config {WORKLOAD}`")
    return problems


def compared(target: Target) -> bool:
    """Whether `perfcrew compare` can take any of the workloads."""
    return any(workload.kind in _COMPARED for workload in target.workload)
