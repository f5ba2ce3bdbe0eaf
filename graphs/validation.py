"""Phase 4: the composed branch against the base, as it will be merged. The reviewers work side by side."""

from dataclasses import replace

from pydantic import TypeAdapter

from agents.agent import AgentFailed, converse
from agents.briefs import show_words
from agents.crew import Crew
from agents.performance import VALIDATION, brief_validation
from agents.security import REVIEW, brief_review, check_review, security_check
from agents.tester import REGRESSION, brief_regression, check_objections, review_checks
from graphs.baseline import measure
from graphs.page_comparing import validate_pages
from graphs.screening import screen
from graphs.state import RunState, Update, words_for
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.records.base import Record
from perfcrew.records.evidence import Check, Evidence
from perfcrew.records.work import Review
from perfcrew.verdict import guard_checks
from prompts import render
from tools.behaviour import compare_behaviour, run_checks
from tools.duel import FULL, Duel, floors_of, run_duel
from tools.git import diff, revert_all, touched
from tools.new_tests import commit_tests, passed_tests
from tools.probing import probing
from tools.rolling import check_rolling
from tools.screening import screen_candidate
from tools.steady_tests import judge_tests
from tools.touching_tests import cover_change, untold

DIFF_SHOWN = 24_000
"""Characters of the branch's diff that a reviewer sees."""


REQUESTS = 24
"""Requests of each workload whose answers are compared."""


class Compared(Record):
    """Checks with the evidence behind them."""

    checks: tuple[Check, ...]
    evidence: Evidence


async def validate(state: RunState, crew: Crew) -> Update:
    """Re-measure: the final duel, then every instrument of the baseline on the composed branch."""
    lane = f"{state['round']}/validation/performance"
    base, head = state["base"], state["head"]
    noise = state["noise"]

    async def duel() -> Duel:
        workspace = crew.workspace
        return await run_duel(
            workspace, base, head, workspace.target.primary,
            name="final", protocol=FULL, floors=floors_of(workspace, noise), beside=workspace.target.beside,
            held_out=True,
        )  # fmt: skip

    final = await crew.journal.effect(lane, "duel", Duel, duel, asked=[base, head])
    crew.tell("measured", final.digest.splitlines()[0], phase="validation", role="performance")
    pages, missed = await validate_pages(crew, lane, base, head)
    evidence, notes = await measure(crew, lane, head, "candidate")
    notes = [*missed, *notes]
    brief = brief_validation(
        state["changes"], (*final.effects, *(effect for page in pages for effect in page.effects)), evidence
    ) + show_words(words_for(state, "performance"))
    found = {item.id: item for item in evidence}
    beside = guard_checks((*final.beside, *(effect for page in pages for effect in page.effects)))
    guards = {check.name: check for check in (*beside, *final.checks)}
    update = Update(final=final, pages=pages, checks=guards, evidence=found, notes=notes)
    try:
        done = await converse(VALIDATION, render(VALIDATION.prompt), brief, crew, lane)
    except (AgentFailed, ReplayMiss) as error:
        update["notes"] = [*notes, f"performance: {error}; the figures stand without a comment"]
        return update
    review = Review(role="performance", summary=done.answer.summary, concerns=done.answer.concerns, checks=())
    return {**update, "reviews": {"performance": review}}


async def test(state: RunState, crew: Crew) -> Update:
    """Hunt regressions: the target's tests, equal answers, a reverted branch, then the tester's own probes."""
    lane = f"{state['round']}/validation/tester"
    workspace = replace(crew.workspace, candidate=state["head"])
    base, head = state["base"], state["head"]
    tests = await crew.journal.effect(lane, "tests", Evidence, lambda: judge_tests(workspace, base, head), asked=head)
    compared = await crew.journal.effect(
        lane, "behaviour", Compared, lambda: _compare(crew, base, head), asked=[base, head]
    )
    reverted = await crew.journal.effect(lane, "revert", TypeAdapter(bool), lambda: _reverts(crew, base, head))
    checks = [
        Check(name="existing tests", passed=tests.facts.get("passed_all") != 0, detail=tests.title),
        *compared.checks,
        Check(name="the branch reverts to the base", passed=reverted),
    ]
    seen = (tests, compared.evidence, *await _cover(crew, base, head, lane))
    brief = brief_regression(workspace.target, state["changes"], await _diff(crew, base, head, lane), seen)
    brief += show_words(words_for(state, "tester"))
    found = {item.id: item for item in seen}
    changed = frozenset(path for change in state["changes"] if change.kept for path in change.touched)
    notes: list[str] = []
    reviews: dict[str, Review] = {}
    try:
        async with probing():
            done = await converse(
                REGRESSION, render(REGRESSION.prompt), brief, crew.within(workspace), lane,
                lambda answer: check_objections(answer, changed),
            )  # fmt: skip
        checks += review_checks(done.answer, done.evidence)
        found.update({item.id: item for item in done.evidence})
        if new := passed_tests(workspace, done.evidence):
            own = await crew.journal.effect(
                lane, "new tests", Evidence, lambda: commit_tests(workspace, head, new), asked=head
            )
            found[own.id] = own
        answered = {"summary": done.answer.summary, "concerns": done.answer.concerns, "checks": tuple(checks)}
        reviews["tester"] = Review(role="tester", **answered)
    except (AgentFailed, ReplayMiss) as error:
        notes.append(f"tester: {error}; the deterministic checks stand alone")
    return Update(checks={check.name: check for check in checks}, evidence=found, reviews=reviews, notes=notes)


async def secure(state: RunState, crew: Crew) -> Update:
    """Search what the branch adds by rules, which decide; then ask the reviewer, who can only reject."""
    lane = f"{state['round']}/validation/security"
    base, head = state["base"], state["head"]
    paths = await crew.journal.effect(lane, "touched", TypeAdapter(tuple[str, ...]), lambda: _touched(crew, base, head))
    ruled = await screen(crew, base, head, lane)
    found = {ruled.check.name: ruled.check}
    diff_shown = await _diff(crew, base, head, lane)
    brief = brief_review(crew.workspace.target, diff_shown, ruled.concerns) + show_words(words_for(state, "security"))
    try:
        done = await converse(
            REVIEW, render(REVIEW.prompt), brief, crew, lane, lambda answer: check_review(answer, frozenset(paths))
        )
    except (AgentFailed, ReplayMiss) as error:
        check = Check(name="security review", passed=False, detail=f"not done: {error}")
        review = Review(role="security", summary="by rules alone", concerns=ruled.concerns, checks=(ruled.check, check))
        return Update(checks={**found, check.name: check}, reviews={"security": review})
    check = security_check(done.answer)
    concerns = tuple(f"{item.severity}: {item.path}:{item.line} {item.claim}" for item in done.answer.exposures)
    told = (*ruled.concerns, *concerns)
    review = Review(role="security", summary=done.answer.summary, concerns=told, checks=(ruled.check, check))
    return Update(checks={**found, check.name: check}, reviews={"security": review})


async def _compare(crew: Crew, base: str, head: str) -> Compared:
    checks, evidence = await compare_behaviour(crew.workspace, base, head, held_out=True, most=REQUESTS)
    screens = await screen_candidate(crew.workspace, base, head)
    rolling = await check_rolling(crew.workspace, base, head)
    own = await run_checks(crew.workspace, base, head)
    return Compared(checks=(*screens, *checks, *rolling, *own), evidence=evidence)


async def _cover(crew: Crew, base: str, head: str, lane: str) -> tuple[Evidence, ...]:
    """Which tests touch the change, or why that is not told; nothing where there are no tests."""

    async def cover() -> tuple[Evidence, ...]:
        if crew.workspace.target.target.test is None:
            return ()
        try:
            return (await cover_change(crew.workspace, base, head),)
        except InstrumentError as error:
            return (untold(str(error)),)

    try:
        return await crew.journal.effect(lane, "coverage", TypeAdapter(tuple[Evidence, ...]), cover, asked=head)
    except ReplayMiss:
        return ()


async def _reverts(crew: Crew, base: str, head: str) -> bool:
    return await revert_all(crew.workspace.clone, base, head)


async def _touched(crew: Crew, base: str, head: str) -> tuple[str, ...]:
    return tuple(item.path for item in await touched(crew.workspace.clone, base, head))


async def _diff(crew: Crew, base: str, head: str, lane: str) -> str:
    text = await crew.journal.effect(lane, "diff", str, lambda: diff(crew.workspace.clone, base, head))
    return text if len(text) <= DIFF_SHOWN else f"{text[:DIFF_SHOWN]}\n[cut; read the files]"
