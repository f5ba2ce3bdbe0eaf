"""New tests of the tester's: they must pass on the base and on the candidate before they count, more than once."""

from pathlib import PurePosixPath

from pydantic import Field

from perfcrew.errors import ToolError
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from tools.edit import ALWAYS, violations
from tools.git import checkout, commit, list_paths, reset, worktree_of
from tools.paths import matches
from tools.target_tests import run_tests, run_tests_afresh
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

MAX_BYTES = 60_000
REPEATS = 2
"""Runs on the base that a new test has to pass: one that fails now and then would blame whoever comes next."""
DATE = "2000-01-01T00:01:00Z"
MESSAGE = "Add tests of behaviour that the optimisation must keep"


class AddTest(Record):
    """A new file of tests for the target's own runner."""

    path: str = Field(description="a new file among the target's tests, relative to the repository")
    content: str = Field(min_length=1)


class NewTest(Record):
    """A file of tests that passed on both versions."""

    path: str
    content: str


@tool(AddTest, ordered=True)
async def add_test(arguments: AddTest, workspace: Workspace) -> ToolOutput:
    """Run a new file of regression or edge-case tests with the target's own test command, on the base and on the
    candidate. It counts only if it passes on the base, twice; if the candidate then fails it, the candidate is wrong.
    What passes on both is offered to the user as a commit of its own.
    """
    if not workspace.candidate:
        raise ToolError("there is no candidate to test yet")
    if workspace.target.target.test is None:
        raise ToolError("the target has no test command (target, test), so no runner would take a new test")
    await _check_place(arguments, workspace)
    extra = {arguments.path: arguments.content}
    before = await run_tests(workspace, workspace.base_commit, "base")
    for _ in range(REPEATS):
        done = await run_tests_afresh(workspace, workspace.base_commit, "base", extra=extra)
        if not done.facts["passed_all"]:
            raise ToolError(f"not counted: with it the base fails its tests, so nothing is shown:\n{done.digest}")
        known, now = before.facts.get("passed"), done.facts.get("passed")
        if isinstance(known, int) and isinstance(now, int) and now <= known:
            raise ToolError(f"not counted: the runner found no test in it ({now} passed, as before)")
    done = await run_tests_afresh(workspace, workspace.candidate, "candidate", extra=extra)
    passed = bool(done.facts["passed_all"])
    told = "passes on base and candidate" if passed else f"passes on the base, the candidate FAILS it: {done.title}"
    evidence = Evidence(
        id=f"new_test@{arguments.path}",
        kind="new_test",
        title=f"new tests {arguments.path}: {told}",
        digest=f"{told}\n{'' if passed else done.digest}".strip(),
        artifact=workspace.artifacts.put_json({"path": arguments.path, "content": arguments.content}),
        facts={"equal": int(passed)},
    )
    return ToolOutput(content=evidence.digest, evidence=(evidence,))


async def _check_place(arguments: AddTest, workspace: Workspace) -> None:
    path = PurePosixPath(arguments.path)
    if path.is_absolute() or ".." in path.parts or matches(arguments.path, ALWAYS):
        raise ToolError(f"{arguments.path}: a path inside the repository is wanted, off its .git and perfcrew.toml")
    if not violations([arguments.path], workspace.target.protected):
        raise ToolError(f"{arguments.path}: not among the target's tests ({', '.join(workspace.target.protected)})")
    if len(arguments.content.encode()) > MAX_BYTES:
        raise ToolError(f"{arguments.path}: at most {MAX_BYTES} bytes")
    for commit_id in (workspace.base_commit, workspace.candidate):
        if arguments.path in await list_paths(await worktree_of(workspace, commit_id)):
            raise ToolError(f"{arguments.path}: it is there already, and tests that exist stay as they are")


def passed_tests(workspace: Workspace, evidence: tuple[Evidence, ...]) -> tuple[NewTest, ...]:
    """The files that passed on both versions, the last of each path."""
    found = {}
    for item in evidence:
        if item.kind == "new_test" and item.facts.get("equal") and item.artifact is not None:
            test = NewTest.model_validate(workspace.artifacts.get_json(item.artifact))
            found[test.path] = test
    return tuple(found.values())


async def commit_tests(workspace: Workspace, head: str, tests: tuple[NewTest, ...]) -> Evidence:
    """Commit new tests on top of a branch, apart from it, once they all pass together.

    Facts: `commit` (None where they don't pass together), `head` that it stands on, `files`.

    Raises:
        InstrumentError: git fails.
    """
    extra = {test.path: test.content for test in tests}
    done = await run_tests_afresh(workspace, head, "candidate", extra=extra)
    made = None
    if done.facts["passed_all"]:
        folder = workspace.worktrees / "tester"
        await checkout(workspace.clone, head, folder)
        await reset(folder, head)
        for name, content in extra.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        made = await commit(folder, f"{MESSAGE}\n\nThey pass before it and after it.\n", DATE)
    title = f"{len(tests)} new files of tests, " + ("a commit of their own" if made else f"not offered: {done.title}")
    return Evidence(
        id="new_tests@candidate",
        kind="new_tests",
        title=title,
        digest="\n".join([title, *(f"- {name}" for name in extra)]),
        facts={"commit": made, "head": head, "files": len(tests)},
    )
