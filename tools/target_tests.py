"""The target's own tests, on a copy of a version, with data of their own. The exit code decides; counts inform."""

from collections.abc import Callable, Mapping
from pathlib import Path

from perfcrew.artifacts import write_whole
from perfcrew.errors import ToolError
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from tools.building import build_in
from tools.database import copy_data
from tools.environment import prepare_environment
from tools.git import tree_of, working_tree, worktree_of
from tools.launch import Launch, Place, free_port, link_packages, network_for, prepare_launch
from tools.lease import quiet_lease
from tools.process import run
from tools.process_output import Finished
from tools.runner_output import Counts, read_counts
from tools.snapshot import snapshot
from tools.tool import Tool, ToolOutput
from tools.workspace import Workspace

NAMES = 25
"""Failing tests named in the digest."""
TAIL = 3500
"""Characters of the output's end in the digest, where something failed."""
CAP = 2_000_000
Wrap = Callable[[Launch], Launch]


class RunTests(Record):
    """Nothing to say: the description holds the command."""


async def run_tests(workspace: Workspace, commit: str, arm_name: str, worktree: Path | None = None) -> Evidence:
    """Run the target's tests on a version, or on a worktree as it stands.

    A version whose files have passed already in this run, in the coder's worktree or under another message, is not
    tested again: the earlier run is its evidence. A worktree is always tested, and so is what failed.

    Facts: `passed_all` (1 or 0; None where no test command is given), `passed`, `failed`, `skipped` (None where the
    output does not tell), `exit`, `timed_out`. The artifact holds the output and the names of failing tests.

    Raises:
        InstrumentError: the data can't be made.
    """
    command = workspace.target.target.test
    if command is None:
        none: dict[str, float | int | str | None] = {"passed_all": None, "passed": None, "failed": None, "exit": None}
        return Evidence(
            id=f"tests@suite/{arm_name}",
            kind="tests",
            title="no test command is given",
            digest="The description names no test command (target, test): only responses are compared.",
            facts=none,
        )
    tree = await (working_tree(worktree) if worktree else tree_of(workspace.clone, commit))
    passed = workspace.folder / "tests" / f"{tree}.json"
    if worktree is None and passed.exists():
        earlier = Evidence.model_validate_json(passed.read_text(encoding="utf-8"))
        return earlier.model_copy(update={"id": f"tests@suite/{arm_name}"})
    evidence = await run_tests_afresh(workspace, commit, arm_name, worktree)
    if tree and evidence.facts["passed_all"]:
        write_whole(passed, workspace.artifacts.redactor.content(evidence.model_dump_json().encode()))
    return evidence


async def run_tests_afresh(
    workspace: Workspace,
    commit: str,
    arm_name: str,
    worktree: Path | None = None,
    *,
    extra: Mapping[str, str] | None = None,
    wrap: Wrap | None = None,
) -> Evidence:
    """Run the tests of a version whatever is known of it; evidence as of `run_tests`.

    Args:
        workspace: the run, whose target has a test command.
        commit: the version.
        arm_name: what to call it.
        worktree: take this worktree as it stands instead.
        extra: further files to put in before: path to content.
        wrap: changes how the command is started, such as for coverage; or with more to read.
    """
    command = workspace.target.target.test
    assert command is not None
    source = worktree or await worktree_of(workspace, commit)
    async with quiet_lease(workspace):
        done = await _run(workspace, command, source, arm_name, extra or {}, wrap)
    return _evidence(workspace, command, done, arm_name)


async def _run(
    workspace: Workspace, command: str, source: Path, arm_name: str, extra: Mapping[str, str], wrap: Wrap | None
) -> Finished:
    env = await prepare_environment(workspace)
    async with snapshot(workspace, source) as workdir:
        for name, content in extra.items():
            (workdir / name).parent.mkdir(parents=True, exist_ok=True)
            (workdir / name).write_text(content, encoding="utf-8")
        link_packages(env, workdir)
        await build_in(workspace, workdir, env)
        data = await copy_data(workspace, f"tests-{arm_name}", workdir)
        try:
            place = Place(env, workdir, data.scratch, data.folder, data.url, port=free_port(workspace))
            timeout = workspace.target.target.test_timeout_s
            launch = prepare_launch(workspace, place, command, network=network_for(workspace, data.url))
            launch = wrap(launch) if wrap else launch
            return await run(
                launch.argv,
                cwd=launch.cwd,
                environment=launch.variables,
                timeout=timeout,
                sandbox=launch.sandbox,
                cap=CAP,
            )
        finally:
            await data.drop()


def _evidence(workspace: Workspace, command: str, done: Finished, arm_name: str) -> Evidence:
    output = done.out + ("\n" if done.out and not done.out.endswith("\n") else "") + done.err
    counts = read_counts(output)
    raw = {"command": command, "exit": done.code, "timed_out": done.timed_out, "seconds": round(done.seconds, 3),
           "failing": list(counts.failing), "output": output}  # fmt: skip
    return Evidence(
        id=f"tests@suite/{arm_name}",
        kind="tests",
        title=_title(done, counts, workspace.target.target.test_timeout_s),
        digest=_digest(done, counts, output, workspace.target.target.test_timeout_s),
        artifact=workspace.artifacts.put_json(raw),
        facts={
            "passed_all": int(done.ok),
            "passed": counts.passed,
            "failed": counts.failed,
            "skipped": counts.skipped,
            "exit": done.code,
            "timed_out": int(done.timed_out),
        },
    )


def _title(done: Finished, counts: Counts, limit: float) -> str:
    told = [f"{number} {name}" for name, number in
            (("passed", counts.passed), ("failed", counts.failed), ("skipped", counts.skipped)) if number]  # fmt: skip
    shown = ", ".join(told)
    if done.timed_out:
        return f"tests took over {limit:g} s and were ended{f' ({shown} until then)' if shown else ''}"
    if done.ok:
        return f"tests passed{f': {shown}' if shown else ''}"
    return f"tests failed (exit code {done.code}){f': {shown}' if shown else ''}"


def _digest(done: Finished, counts: Counts, output: str, limit: float) -> str:
    parts = [_title(done, counts, limit)]
    if done.ok and counts.passed == 0:
        parts.append("Note: no test ran at all.")
    if counts.failing:
        more = len(counts.failing) - NAMES
        parts += ["failing:", *(f"- {name}" for name in counts.failing[:NAMES])]
        parts += [f"[{more} more]"] if more > 0 else []
    if not done.ok:
        parts += ["the end of the output:", output.rstrip()[-TAIL:]]
    return "\n".join(parts)


async def _run_target_tests(_: RunTests, workspace: Workspace) -> ToolOutput:
    if workspace.worktree is None:
        raise ToolError("there is no worktree to test here")
    if workspace.target.target.test is None:
        return ToolOutput(content="the target has no test command; check your change with run_command")
    evidence = await run_tests(workspace, workspace.base_commit, "worktree", workspace.worktree)
    return ToolOutput(content=evidence.digest, is_error=evidence.facts["passed_all"] == 0)


run_target_tests = Tool(
    name="run_target_tests",
    description="Run the target's own tests on the worktree as it stands, on a copy with fresh data.",
    arguments=RunTests,
    function=_run_target_tests,
)
