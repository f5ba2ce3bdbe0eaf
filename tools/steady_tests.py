"""The target's own tests on base and candidate: what fails on the base too, now and then or always, is set apart."""

from pathlib import Path

from perfcrew.artifacts import write_whole
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from tools.git import tree_of
from tools.target_tests import run_tests, run_tests_afresh
from tools.workspace import Workspace

REPEATS = 3
"""Runs of the base's tests that tell which of them are flaky, once a candidate has failed some."""


class Steadiness(Record):
    """What repeated runs of the base's tests showed."""

    runs: int
    failed: dict[str, int]
    """Test to the number of runs in which it failed."""


async def judge_tests(workspace: Workspace, base: str, candidate: str) -> Evidence:
    """Run the candidate's tests, and hold what they give against the base's.

    Tests that fail on the base too, in any of several runs, count neither way. A candidate whose tests pass but are
    fewer than the base's, or of which more are skipped, has not passed them.

    Facts as of `tools.target_tests.run_tests`; `set_apart` counts the tests that fail on the base too.

    Raises:
        InstrumentError: the data can't be made.
    """
    tests = await run_tests(workspace, candidate, "candidate")
    if tests.facts.get("passed_all") is None:
        return tests
    if tests.facts["passed_all"]:
        return await _hold_counts(workspace, base, tests)
    failing = failing_of(workspace, tests)
    if not failing or tests.facts.get("timed_out"):
        return tests
    steady = await _repeat_base(workspace, base)
    blamed = [name for name in failing if name not in steady.failed]
    apart = [f"{name} (failed in {steady.failed[name]} of {steady.runs} runs of the base)"
             for name in failing if name in steady.failed]  # fmt: skip
    if not apart:
        return tests
    lines = ["set apart, as the base fails them too:", *(f"- {line}" for line in apart)]
    if not blamed:
        title = f"{tests.title}; all that failed fail on the base too ({len(apart)} set apart)"
        facts = {**tests.facts, "passed_all": 1, "set_apart": len(apart)}
        passed = tests.model_copy(update={"title": title, "facts": facts, "digest": "\n".join([title, *lines])})
        return await _hold_counts(workspace, base, passed)
    named = f"{tests.title}: {', '.join(blamed[:4])}"
    facts = {**tests.facts, "set_apart": len(apart)}
    digest = "\n".join([named, *lines, tests.digest])
    return tests.model_copy(update={"title": named, "facts": facts, "digest": digest})


async def _hold_counts(workspace: Workspace, base: str, tests: Evidence) -> Evidence:
    """A suite that passes because part of it did not run has not passed."""
    before = await run_tests(workspace, base, "base")
    ran = before.facts.get("passed")
    now = sum(int(tests.facts.get(name) or 0) for name in ("passed", "set_apart"))
    if not isinstance(ran, int) or now >= ran:
        return tests
    title = f"only {now} of the base's {ran} passing tests passed; the others did not run or were skipped"
    return tests.model_copy(
        update={"title": title, "digest": f"{title}\n{tests.digest}", "facts": {**tests.facts, "passed_all": 0}}
    )


def failing_of(workspace: Workspace, tests: Evidence) -> tuple[str, ...]:
    """Names of the tests that failed in a run, as its runner names them."""
    if tests.artifact is None:
        return ()
    return tuple(workspace.artifacts.get_json(tests.artifact).get("failing", ()))


async def _repeat_base(workspace: Workspace, base: str) -> Steadiness:
    """Run the base's tests several times; once a run, as they may take long."""
    kept: Path = workspace.folder / "tests" / f"{await tree_of(workspace.clone, base)}-repeated.json"
    if kept.exists():
        return Steadiness.model_validate_json(kept.read_bytes())
    failed: dict[str, int] = {}
    for _ in range(REPEATS):
        for name in failing_of(workspace, await run_tests_afresh(workspace, base, "base")):
            failed[name] = failed.get(name, 0) + 1
    steady = Steadiness(runs=REPEATS, failed=failed)
    write_whole(kept, steady.model_dump_json().encode())
    return steady
