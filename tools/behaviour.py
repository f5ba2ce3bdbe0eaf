"""Does the candidate answer as the base does? Both run on equal data and are asked the same in the same order."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from perfcrew.artifacts import write_whole
from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.base import Record
from perfcrew.records.evidence import Check, Evidence
from perfcrew.records.target import HiddenCheck, HttpRequest, Method, Probe, Workload
from tools.arm import Arm, CandidateDown, start_arm, start_both
from tools.git import tree_of
from tools.launch import run_at
from tools.lease import locked, quiet_lease
from tools.pair import Comparison, Pair
from tools.requests import Asked, ask, combine, expand_workload, open_client, request_names
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

MAX_REQUESTS = 60
"""Requests compared of one workload."""
MAX_SEQUENCES = 6
"""Parameter combinations for which a probe's sequence is run."""
MAX_AT_ONCE = 12
MAX_HISTORY = 40
CHECK_TIMEOUT_S = 120.0
_CHECKS = TypeAdapter(tuple[Check, ...])


async def compare_behaviour(
    workspace: Workspace,
    base: str,
    candidate: str,
    *,
    held_out: bool,
    most: int = MAX_REQUESTS,
    at_once: bool = True,
    worktree: Path | None = None,
) -> tuple[tuple[Check, ...], Evidence]:
    """Compare two commits: workloads, the same requests several at once, probes with their writes.

    Args:
        workspace: the run's world.
        base: the commit whose answers are right.
        candidate: the commit under test.
        held_out: also what the coder never sees: held-out parameters and probes.
        most: requests compared of one workload.
        at_once: also send some of them several at a time, so that races show.
        worktree: the candidate's files, where they are not committed yet.

    Raises:
        InstrumentError: an arm does not start. A candidate that does not start is a failed check instead.
    """
    checks: list[Check] = []
    comparisons: list[Comparison] = []
    try:
        async with quiet_lease(workspace), _both(workspace, base, candidate, worktree) as (_, pair):
            comparisons = await _compare_all(workspace, pair, held_out, most, at_once)
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
    async with quiet_lease(workspace), _both(workspace, base, candidate, None) as (arms, _):
        checks = tuple([await _run_check(workspace, check, *arms) for check in workspace.target.check])
    if all(check.passed for check in checks):
        write_whole(passed, workspace.artifacts.redactor.content(_CHECKS.dump_json(checks)))
    return checks


@asynccontextmanager
async def _both(
    workspace: Workspace, base: str, candidate: str, worktree: Path | None
) -> AsyncIterator[tuple[tuple[Arm, Arm], Pair]]:
    first = start_arm(workspace, base, "behaviour-base")
    second = start_arm(workspace, candidate, "behaviour-candidate", worktree=worktree)
    async with AsyncExitStack() as stack:
        base_arm, candidate_arm = await start_both(stack, first, second)
        left, right = [await stack.enter_async_context(open_client(arm.url)) for arm in (base_arm, candidate_arm)]
        yield (base_arm, candidate_arm), Pair(left, right)


async def _compare_all(workspace: Workspace, pair: Pair, held_out: bool, most: int, at_once: bool) -> list[Comparison]:
    target = workspace.target
    volatile = {key for probe in target.probe for key in probe.volatile}
    found: list[Comparison] = []
    reading: list[Asked] = []
    for workload in target.workload:
        if workload.kind == "http":
            asked = _workload_requests(workload, most, held_out=False)
            found.append(await pair.compare(f"same answers: {workload.name}", [asked], volatile))
            reading += [item for item in asked if item.method == "GET"]
    if reading and at_once:
        step = max(1, len(reading) // MAX_AT_ONCE)
        # In turn, so that different requests meet.
        some = list(itertools.islice(itertools.cycle(reading[::step]), MAX_AT_ONCE))
        found.append(await pair.compare_at_once("same answers, several at once", some, volatile))
    for workload in target.workload:
        if held_out and workload.kind == "http" and workload.held_out is not None:
            asked = _workload_requests(workload, most, held_out=True)
            seen = await pair.compare(f"same answers: {workload.name}, held out", [asked], volatile)
            found.append(replace(seen, held_out=True))
    for probe in target.probe:
        if held_out or not probe.held_out:
            name = f"same answers: probe {probe.name}"
            seen = await pair.compare(name, _probe_sequences(probe), probe.volatile)
            found.append(replace(seen, held_out=probe.held_out))
    return found


def _workload_requests(workload: Workload, most: int, *, held_out: bool) -> list[Asked]:
    templates = expand_workload(workload, cap=most, held_out=held_out)
    each = max(2, most // len(templates))
    return [item for fills in expand_workload(workload, cap=each, held_out=held_out) for item in fills]


def _probe_sequences(probe: Probe) -> list[list[Asked]]:
    names = set().union(*(request_names(request) for request in probe.request))
    return [
        [ask(request, given, number) for number, request in enumerate(probe.request)]
        for given in combine(probe.params, names, MAX_SEQUENCES)
    ]


async def _run_check(workspace: Workspace, check: HiddenCheck, base: Arm, candidate: Arm) -> Check:
    """A command of the user's beside the candidate; exit code 0 is a pass, its last line the detail."""
    urls = {"url": candidate.url, "base_url": base.url}
    done = await run_at(workspace, candidate.place, check.command, timeout=CHECK_TIMEOUT_S, network="host", extra=urls)
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


class CompareRequest(Record):
    """A request to both versions."""

    method: Method = "GET"
    path: str = Field(pattern=r"^/", description="with its query, such as /api/items?limit=0")
    body: Any = Field(default=None, description="JSON body, if any")
    headers: dict[str, str] = Field(default_factory=dict)


class Probing:
    """A pair of arms that stays up between probes, so that each costs its own requests only."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._pair: Pair | None = None

    async def pair(self, workspace: Workspace, candidate: str, history: Path) -> Pair:
        """The running pair; at first use it is started, and what was asked before is asked again."""
        if self._pair is not None:
            return self._pair
        arms = _both(workspace, workspace.base_commit, candidate, workspace.worktree)
        _, pair = await self._stack.enter_async_context(arms)
        for earlier in _read_history(history):
            await pair.ask(ask(earlier, {}))
        self._pair = pair
        return pair

    async def aclose(self) -> None:
        """End both arms."""
        await self._stack.aclose()


_probing: ContextVar[Probing | None] = ContextVar("probing", default=None)


@asynccontextmanager
async def probing() -> AsyncIterator[None]:
    """For as long as it lasts, all probes go to one pair of arms, started at the first of them."""
    kept = Probing()
    token = _probing.set(kept)
    try:
        yield
    finally:
        _probing.reset(token)
        await kept.aclose()


@tool(CompareRequest, ordered=True)
async def compare_request(arguments: CompareRequest, workspace: Workspace) -> ToolOutput:
    """Send one request to the base and to the candidate, on equal data, and report whether they answer alike.

    Requests are applied to both in the order in which you send them, so that a read sees earlier writes.
    """
    candidate = workspace.candidate or (workspace.base_commit if workspace.worktree is not None else "")
    if not candidate:
        raise ToolError("there is no candidate to compare with yet")
    request = HttpRequest(
        method=arguments.method, path=arguments.path, headers=arguments.headers, json_body=arguments.body
    )
    asked = ask(request, {})
    history = workspace.folder / "probes" / f"{workspace.candidate or 'worktree'}.jsonl"
    kept = _probing.get()
    probe = kept or Probing()
    async with quiet_lease(workspace), locked(history.with_suffix(".lock")):
        try:
            pair = await probe.pair(workspace, candidate, history)
            found = await pair.compare("probe", [[asked]], _volatile(workspace))
        except InstrumentError as error:
            raise ToolError(str(error)) from error
        finally:
            if kept is None:
                await probe.aclose()
        _append_history(history, request)
    return _output(workspace, asked, found)


def _volatile(workspace: Workspace) -> set[str]:
    return {key for probe in workspace.target.probe for key in probe.volatile}


def _read_history(path: Path) -> list[HttpRequest]:
    # Not splitlines(): a body may hold U+2028 and its like, which end a line for it alone.
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    return [HttpRequest.model_validate_json(line) for line in lines if line][-MAX_HISTORY:]


def _append_history(path: Path, request: HttpRequest) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(request.model_dump_json(by_alias=True) + "\n")


def _output(workspace: Workspace, asked: Asked, found: Comparison) -> ToolOutput:
    check = found.as_check()
    seen = found.last
    shown = "" if seen is None else f"{seen.status}, {len(seen.body)} bytes: {seen.body[:400].decode(errors='replace')}"
    text = f"equal: {check.detail}" if check.passed else f"DIFFERENT: {check.detail}"
    body = f" {asked.body[:80].decode(errors='replace')}" if asked.body else ""
    evidence = Evidence(
        id=f"behaviour@{asked.name}{body}/candidate",
        kind="behaviour",
        title=f"{asked.name}{body}: {'equal' if check.passed else check.detail}",
        digest=text,
        artifact=workspace.artifacts.put_json(found.as_json()),
        facts={"equal": int(check.passed), "requests": found.requests},
    )
    return ToolOutput(content=f"{text}\nThe base answered {shown}", evidence=(evidence,))
