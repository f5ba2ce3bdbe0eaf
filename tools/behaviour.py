"""Does the candidate answer as the base does? Both run on equal data and are asked the same in the same order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from pydantic import TypeAdapter

from perfcrew.artifacts import write_whole
from perfcrew.records.evidence import Check, Evidence
from perfcrew.records.target import HiddenCheck, Target
from tools.arm import Arm, CandidateDown, start_arm, start_both
from tools.git import tree_of
from tools.hunt import Hunt, hunt
from tools.launch import run_at
from tools.lease import quiet_lease
from tools.pair import Comparison, Pair
from tools.requests import open_client
from tools.workspace import Workspace

MAX_REQUESTS = 60
"""Requests compared of one workload."""
CHECK_TIMEOUT_S = 120.0
_CHECKS = TypeAdapter(tuple[Check, ...])


async def compare_behaviour(
    workspace: Workspace,
    base: str,
    candidate: str,
    *,
    held_out: bool,
    most: int = MAX_REQUESTS,
    thorough: bool = True,
    worktree: Path | None = None,
) -> tuple[tuple[Check, ...], Evidence]:
    """Compare two commits: workloads, probes, users, writes and what they leave behind, odd inputs, many at once.

    Args:
        workspace: the run's world.
        base: the commit whose answers are right.
        candidate: the commit under test.
        held_out: also what the coder never sees: held-out parameters and probes.
        most: requests compared of one workload.
        thorough: go on after the first difference, and compare again while both versions are under load.
        worktree: the candidate's files, where they are not committed yet.

    Raises:
        InstrumentError: an arm does not start. A candidate that does not start is a failed check instead.
    """
    checks: list[Check] = []
    comparisons: list[Comparison] = []

    def fresh(beside_candidate: bool) -> AbstractAsyncContextManager[tuple[tuple[Arm, Arm], Pair]]:
        other = (candidate, worktree) if beside_candidate else (base, None)
        return both_arms(workspace, base, *other)

    plan = Hunt(workspace.target, held_out=held_out, most=most, thorough=thorough)
    try:
        async with quiet_lease(workspace), both_arms(workspace, base, candidate, worktree) as (arms, pair):
            async for found in hunt(plan, pair, arms, fresh):
                (comparisons if isinstance(found, Comparison) else checks).append(found)  # type: ignore[arg-type]
    except CandidateDown as error:
        checks = [Check(name="the candidate starts", passed=False, detail=str(error))]
    checks = [*(comparison.as_check() for comparison in comparisons), *checks]
    return tuple(checks), _evidence(workspace, checks, comparisons)


async def run_checks(workspace: Workspace, base: str, candidate: str) -> tuple[Check, ...]:
    """The user's own checks, on a fresh pair of arms. What they say is never shown to the coder.

    Versions whose files have passed them all already in this run are not asked again.

    Raises:
        InstrumentError: an arm does not start.
    """
    if not workspace.target.check:
        return ()
    trees = [await tree_of(workspace.clone, commit) for commit in (base, candidate)]
    passed = workspace.folder / "checks" / f"{'-'.join(trees)}.json"
    if passed.exists():
        return _CHECKS.validate_json(passed.read_bytes())
    async with quiet_lease(workspace), both_arms(workspace, base, candidate, None) as (arms, _):
        checks = tuple([await _run_check(workspace, check, *arms) for check in workspace.target.check])
    if all(check.passed for check in checks):
        write_whole(passed, workspace.artifacts.redactor.content(_CHECKS.dump_json(checks)))
    return checks


@asynccontextmanager
async def both_arms(
    workspace: Workspace, base: str, candidate: str, worktree: Path | None = None
) -> AsyncIterator[tuple[tuple[Arm, Arm], Pair]]:
    """Both versions at work on equal data, with clients of both."""
    first = start_arm(workspace, base, "behaviour-base")
    second = start_arm(workspace, candidate, "behaviour-candidate", worktree=worktree)
    async with AsyncExitStack() as stack:
        base_arm, candidate_arm = await start_both(stack, first, second)
        left, right = [await stack.enter_async_context(open_client(arm.url)) for arm in (base_arm, candidate_arm)]
        yield (base_arm, candidate_arm), Pair(left, right)


def volatile_of(target: Target) -> set[str]:
    """JSON keys and form fields that may differ in any answer."""
    return {key for probe in target.probe for key in probe.volatile}


async def _run_check(workspace: Workspace, check: HiddenCheck, base: Arm, candidate: Arm) -> Check:
    """A command of the user's beside the candidate; exit code 0 is a pass, its last line the detail."""
    urls = {"url": candidate.url, "base_url": base.url}
    done = await run_at(
        workspace, candidate.place, check.command, timeout=CHECK_TIMEOUT_S, network=workspace.reach, extra=urls
    )
    if done.timed_out:
        return Check(name=check.name, passed=False, detail=f"no answer within {CHECK_TIMEOUT_S:.0f} s", held_out=True)
    return Check(name=check.name, passed=done.ok, detail=done.last_line[:300], held_out=True)


def _evidence(workspace: Workspace, checks: Sequence[Check], comparisons: Sequence[Comparison]) -> Evidence:
    failed = [check for check in checks if not check.passed]
    requests = sum(comparison.requests for comparison in comparisons)
    raw = {
        "comparisons": [comparison.as_json() for comparison in comparisons],
        "checks": [check.model_dump() for check in checks],
    }
    title = f"{requests} requests asked of both versions: " + (
        f"{len(failed)} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks passed"
    )
    lines = [title, *(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.detail}" for check in checks)]
    return Evidence(
        id="behaviour@candidate",
        kind="behaviour",
        title=title,
        digest="\n".join(line[:600] for line in lines),
        artifact=workspace.artifacts.put_json(raw),
        facts={"equal": int(not failed), "requests": requests, "checks": len(checks), "failed": len(failed)},
    )
