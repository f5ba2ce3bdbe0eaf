"""Which of the target's tests run the lines that a change adds, by coverage.py with a context a test. Python only."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import coverage

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from tools.git import diff
from tools.honesty import read_patch
from tools.launch import Launch
from tools.target_tests import run_tests_afresh
from tools.workspace import Workspace

ID = "coverage@candidate"
SHOWN = 12
"""Tests and lines named in the digest."""
_START = "import coverage\n\ncoverage.process_startup()\n"
_RULES = """[run]
data_file = {folder}/data
parallel = true
dynamic_context = test_function
source = {source}
disable_warnings = no-data-collected,module-not-measured,module-not-imported
"""


async def cover_change(workspace: Workspace, base: str, candidate: str) -> Evidence:
    """Run the candidate's tests once more under coverage, and say which of them touch the change.

    Facts: `changed` and `covered` lines that can run, `tests` that touch them.

    Raises:
        InstrumentError: there is no test command, no Python in the change, or nothing was measured.
    """
    patch = read_patch(await diff(workspace.clone, base, candidate))
    added: dict[str, set[int]] = {}
    for line in patch.added:
        if line.path.endswith(".py"):
            added.setdefault(line.path, set()).add(line.number)
    if workspace.target.target.test is None:
        raise InstrumentError("there is no test command")
    if not added:
        others = list(dict.fromkeys(line.path for line in patch.added))
        where = f"what the change adds is in {', '.join(others[:SHOWN])}" if others else "the change adds no line"
        raise InstrumentError(f"coverage is read for Python only, and {where}")
    folder = workspace.folder / "coverage" / candidate[:12]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    site = folder / "site"
    shutil.copytree(Path(coverage.__file__).parent, site / "coverage", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "sitecustomize.py").write_text(_START)
    seen: list[Path] = []

    def wrap(launch: Launch) -> Launch:
        seen.append(launch.cwd)
        rules = folder / "rules.ini"
        rules.write_text(_RULES.format(folder=folder, source=launch.cwd))
        path = ":".join(filter(None, [str(site), launch.variables.get("PYTHONPATH")]))
        variables = {**launch.variables, "PYTHONPATH": path, "COVERAGE_PROCESS_START": str(rules)}
        box = launch.sandbox
        return replace(launch, variables=variables, sandbox=replace(box, writable=(*box.writable, folder)))

    await run_tests_afresh(workspace, candidate, "coverage", wrap=wrap)
    contexts = _read(folder, seen[0], added)
    shutil.rmtree(folder, ignore_errors=True)
    return _evidence(workspace, added, contexts)


def _read(folder: Path, workdir: Path, added: Mapping[str, set[int]]) -> dict[str, dict[int, set[str]]]:
    """Path to line to the tests that ran it; lines that were run while importing have none."""
    found: dict[str, dict[int, set[str]]] = {}
    for file in folder.glob("data.*"):
        data = coverage.CoverageData(basename=str(file))
        data.read()
        for path in added:
            for number, names in data.contexts_by_lineno(str(workdir / path)).items():
                found.setdefault(path, {}).setdefault(number, set()).update(filter(None, names))
    if not found:
        raise InstrumentError("the tests ran none of the changed files under Python")
    return found


def untold(reason: str) -> Evidence:
    """Stands for the coverage of a change that can't be measured, so that nobody takes silence for "no test"."""
    title = f"all tests were run; which of them touch the change is not told apart: {reason}"
    return Evidence(id=ID, kind="coverage", title=title, digest=title)


def _evidence(
    workspace: Workspace, added: Mapping[str, set[int]], contexts: Mapping[str, Mapping[int, Iterable[str]]]
) -> Evidence:
    lines = [(path, number) for path, numbers in sorted(added.items()) for number in sorted(numbers)]
    ran = [(path, number) for path, number in lines if number in contexts.get(path, {})]
    tests = sorted({name for path, number in ran for name in contexts[path][number]})
    title = f"{len(ran)} of {len(lines)} changed lines are run by the target's tests; {len(tests)} tests touch them"
    open_lines = [f"{path}:{number}" for path, number in lines if (path, number) not in set(ran)]
    digest = [title]
    digest += ["tests that touch the change:", *(f"- {name}" for name in tests[:SHOWN])] if tests else []
    digest += ["lines that no test runs (definitions' later lines and the like among them):"] if open_lines else []
    digest += [f"- {place}" for place in open_lines[:SHOWN]]
    raw = {"lines": lines, "ran": ran, "tests": tests}
    return Evidence(
        id=ID,
        kind="coverage",
        title=title,
        digest="\n".join(digest),
        artifact=workspace.artifacts.put_json(raw),
        facts={"changed": len(lines), "covered": len(ran), "tests": len(tests)},
    )
