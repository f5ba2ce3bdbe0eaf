"""The gates of a candidate commit, cheap ones first: screens, tests, migrations, answers, duel, user's checks."""

import asyncio
import re
from dataclasses import dataclass

from pydantic import TypeAdapter

from agents.crew import Crew
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.records.evidence import Check, Evidence, Verdict
from perfcrew.records.target import Workload
from perfcrew.verdict import decide
from tools.behaviour import compare_behaviour, run_checks
from tools.building import check_build
from tools.counts import keep_counts
from tools.duel import QUICK, Duel, floors_of, run_duel
from tools.git import touched
from tools.lease import quiet_lease
from tools.migrations import may_migrate
from tools.page_duel import duel_pages
from tools.queries import count_queries
from tools.rehearsal import rehearse_migrations
from tools.rolling import check_rolling
from tools.screening import screen_candidate
from tools.steady_tests import judge_tests
from tools.workspace import Workspace

_SCHEMA = re.compile(r"migrat|schema|models?\b|\.sql$|prisma|alembic", re.IGNORECASE)
"""Paths of what commonly defines a schema."""
REQUESTS = 8
"""Requests of each workload whose answers are compared for one step; the composed branch is asked more."""


@dataclass(frozen=True)
class Candidate:
    """What is judged."""

    base: str
    """Commit that answers are compared with: the run's base, so that small differences can't add up."""
    parent: str
    """Commit that speed is compared with."""
    commit: str
    workload: Workload
    aim: str
    """Metric that the change is to move."""
    name: str
    touched: tuple[str, ...] = ()
    """Paths that the commit changes."""


async def judge_candidate(crew: Crew, candidate: Candidate, noise: Duel | None, lane: str) -> Verdict:
    """Whether a candidate is accepted, and why."""
    workspace, commit = crew.workspace, candidate.commit
    screens = await _screen_and_build(crew, candidate, lane)
    for check in screens:
        if not check.passed:
            return refuse(check)
    tests = await crew.journal.effect(
        lane, "tests", Evidence, lambda: judge_tests(workspace, candidate.base, commit), asked=commit
    )
    if tests.facts.get("passed_all") == 0:
        return refuse(Check(name="existing tests", passed=False, detail=tests.digest[:1500]))
    rehearsed = await _rehearse(crew, candidate, lane)
    if rehearsed is not None and not rehearsed.passed:
        return refuse(rehearsed)
    checks = await crew.journal.effect(
        lane, "behaviour", TypeAdapter(tuple[Check, ...]), lambda: _compare(crew, candidate), asked=commit
    )
    for check in checks:
        if not check.passed:
            return refuse(check)
    try:
        duel = await crew.journal.effect(
            lane, "duel", Duel, lambda: _duel(crew, candidate, noise), asked=[candidate.parent, commit]
        )
    except InstrumentError as error:
        return refuse(Check(name="duel", passed=False, detail=str(error)))
    passed = (*screens, Check(name="existing tests", passed=True, detail=tests.title), *checks)
    passed = (*passed, rehearsed) if rehearsed else passed
    verdict = decide(duel.effects, passed, aim=candidate.aim, samples=duel.samples)
    if not verdict.accepted or not workspace.target.check:
        return verdict
    # The user's own checks can take long: they are asked about winners only.
    own = await crew.journal.effect(
        lane,
        "checks",
        TypeAdapter(tuple[Check, ...]),
        lambda: run_checks(workspace, candidate.base, commit),
        asked=commit,
    )
    return decide(duel.effects, (*passed, *own), aim=candidate.aim, samples=duel.samples)


def refuse(check: Check) -> Verdict:
    """The verdict where a gate before the duel failed: nothing was measured, the change is out."""
    detail = check.shown.strip() or "no detail"
    reason = f"{check.name} failed: {detail.splitlines()[0]}"
    return Verdict(outcome="regressed", reason=reason, accepted=False, checks=(check,))


async def _screen_and_build(crew: Crew, candidate: Candidate, lane: str) -> tuple[Check, ...]:
    workspace, commit = crew.workspace, candidate.commit
    screens = await _screen(crew, candidate, lane)
    if workspace.target.target.build is None or not all(check.passed for check in screens):
        return screens
    built = await crew.journal.effect(lane, "build", Check, lambda: check_build(workspace, commit), asked=commit)
    return (*screens, built)


async def _screen(crew: Crew, candidate: Candidate, lane: str) -> tuple[Check, ...]:
    workspace = crew.workspace
    try:
        return await crew.journal.effect(
            lane, "screens", TypeAdapter(tuple[Check, ...]),
            lambda: screen_candidate(workspace, candidate.base, candidate.commit), asked=candidate.commit,
        )  # fmt: skip
    except ReplayMiss:
        # A frozen recording from before there were screens.
        return ()


async def _rehearse(crew: Crew, candidate: Candidate, lane: str) -> Check | None:
    """A new migration down and up again on a copy of the data; None where there is none."""
    if not may_migrate(candidate.touched):
        return None

    async def run() -> Check | None:
        return await rehearse_migrations(crew.workspace, candidate.parent, candidate.commit)

    kind: TypeAdapter[Check | None] = TypeAdapter(Check | None)
    try:
        return await crew.journal.effect(lane, "migrations", kind, run, asked=candidate.commit)
    except ReplayMiss:  # recorded before there were rehearsals
        return None


async def _compare(crew: Crew, candidate: Candidate) -> tuple[Check, ...]:
    """Equal answers; beside it, as neither is timed, the counts that the duel will ask for."""
    workspace = crew.workspace
    async with quiet_lease(workspace):
        compared, counted = await asyncio.gather(
            compare_behaviour(
                workspace, candidate.base, candidate.commit, held_out=True, most=REQUESTS, thorough=False
            ),
            keep_counts(workspace, candidate.commit, candidate.workload, None, count_queries),
            return_exceptions=True,
        )
    # A version that can't be counted is refused by the duel, which says why.
    if isinstance(counted, BaseException) and not isinstance(counted, InstrumentError):
        raise counted
    if isinstance(compared, BaseException):
        raise compared
    checks = compared[0]
    if all(check.passed for check in checks) and await _changes_data(workspace, candidate):
        checks += await check_rolling(workspace, candidate.base, candidate.commit)
    return checks


async def _changes_data(workspace: Workspace, candidate: Candidate) -> bool:
    """Whether a change may alter the schema: the composed branch is checked whatever it touches."""
    paths = [item.path for item in await touched(workspace.clone, candidate.base, candidate.commit)]
    return any(_SCHEMA.search(path) for path in paths)


async def _duel(crew: Crew, candidate: Candidate, noise: Duel | None) -> Duel:
    if candidate.workload.kind == "page":
        return await duel_pages(
            crew.workspace, candidate.parent, candidate.commit, candidate.workload, name=candidate.name
        )
    return await run_duel(
        crew.workspace,
        candidate.parent,
        candidate.commit,
        candidate.workload,
        name=candidate.name,
        protocol=QUICK,
        floors=floors_of(crew.workspace, noise),
    )
