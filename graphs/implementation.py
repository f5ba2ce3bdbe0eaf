"""Phase 3: plan steps become commits, one idea each, kept only when they win their own duel and break nothing."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from agents.agent import AgentFailed, Answered, converse
from agents.briefs import show_effects, show_evidence
from agents.coder import CODE, CodeAnswer, brief_step, commit_message
from agents.crew import Crew
from graphs.state import RunState, Update
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.records.base import ArtifactRef, Record
from perfcrew.records.evidence import Check, Evidence, Verdict
from perfcrew.records.events import Event
from perfcrew.records.work import Attempt, Card, Change, Finding, PlanStep, Status
from perfcrew.duel_stats import noise_floors
from perfcrew.verdict import decide
from prompts import render, strategies_for
from tools.behaviour import compare_behaviour
from tools.duel import QUICK, Duel, run_duel
from tools.edit import violations
from tools.git import Touched, changed_paths, checkout, commit, diff, reset, touched
from tools.target_tests import run_tests

COMMIT_DATE = "2000-01-01T00:00:{:02d}Z"
"""Commits carry a fixed date, so that a commit made again after a crash has the same hash."""


class Patch(Record):
    """A candidate commit."""

    commit: str | None
    diff: ArtifactRef | None
    touched: tuple[Touched, ...]
    reason: str = ""
    """Why there is none."""


class Judged(Record):
    """What the gates said of a candidate."""

    verdict: Verdict
    reason: str


async def implement(state: RunState, crew: Crew) -> Update:
    """Work through the plan of this round, step by step, each on top of what was kept before it."""
    head = state["head"]
    changes: list[Change] = []
    board: dict[str, Card] = {}
    notes: list[str] = []
    for number, step in enumerate(state["plans"][-1].steps):
        spent = crew.budget.exceeded()
        if spent:
            notes.append(f"step {step.title!r} was not begun: {spent}")
            board[step.id] = show(crew, step, "BLOCKED", spent)
            continue
        change = await _take_step(state, crew, step, head, number, [*state["changes"], *changes], notes)
        changes.append(change)
        head = change.commit if change.kept and change.commit else head
        board[step.id] = show(crew, step, "DONE" if change.kept else "DROPPED", change.reason)
    return Update(head=head, changes=changes, board=board, notes=notes)


def show(crew: Crew, step: PlanStep, status: Status, note: str = "") -> Card:
    """Move a step's card."""
    card = Card(id=step.id, title=step.title, role="coder", status=status, note=note)
    crew.watch(Event(kind="card", text=step.title, phase="coder", role="coder", card=card))
    return card


async def _take_step(
    state: RunState, crew: Crew, step: PlanStep, head: str, number: int, earlier: list[Change], notes: list[str]
) -> Change:
    attempts: list[Attempt] = []
    for attempt in range(crew.limits.attempts):
        lane = f"{state['round']}/implementation/coder/{step.id}/{attempt}"
        show(crew, step, "IN_PROGRESS", f"attempt {attempt + 1}")
        try:
            done, patch = await _write_patch(state, crew, step, head, lane, number, earlier, attempts, notes)
        except (AgentFailed, ReplayMiss) as error:
            attempts.append(Attempt(number=attempt, diff=None, summary="", verdict=None, reason=str(error)))
            break
        if patch.commit is None:
            reason = done.answer.reason if done.answer.gave_up else patch.reason
            attempts.append(
                Attempt(number=attempt, diff=patch.diff, summary=done.answer.title, verdict=None, reason=reason)
            )
            if done.answer.gave_up:
                break
            continue
        show(crew, step, "IN_REVIEW")
        judged = await _judge(state, crew, step, head, patch, lane)
        attempts.append(
            Attempt(
                number=attempt, diff=patch.diff, summary=done.answer.title, verdict=judged.verdict, reason=judged.reason
            )
        )
        if judged.verdict.accepted:
            final = await _sign(crew, step, head, patch, done.answer, judged, lane, number)
            return _change(step, attempts, final, done.answer.title)
    return _change(step, attempts, None, step.title)


def _change(step: PlanStep, attempts: list[Attempt], patch: Patch | None, title: str) -> Change:
    last = attempts[-1]
    return Change(
        step=step.id,
        title=title,
        commit=patch.commit if patch else None,
        kept=patch is not None,
        reason=last.reason,
        touched=tuple(item.path for item in patch.touched) if patch else (),
        lines_added=sum(item.added for item in patch.touched) if patch else 0,
        lines_removed=sum(item.removed for item in patch.touched) if patch else 0,
        diff=last.diff,
        verdict=last.verdict,
        attempts=tuple(attempts),
    )


async def _write_patch(
    state: RunState,
    crew: Crew,
    step: PlanStep,
    head: str,
    lane: str,
    number: int,
    earlier: list[Change],
    failed: list[Attempt],
    notes: list[str],
) -> tuple[Answered[CodeAnswer], Patch]:
    """Let the coder write in a worktree that starts at the newest kept commit, and commit what it wrote."""
    worktree = crew.workspace.worktrees / "coder"

    async def prepare() -> str:
        await checkout(crew.workspace.clone, head, worktree)
        await reset(worktree, head)
        return head

    await crew.journal.effect(lane, "worktree", str, prepare, asked=head, reapply=True)
    inside = crew.within(replace(crew.workspace, worktree=worktree))
    addressed = [finding for finding in state["findings"].values() if finding.id in step.findings]
    diffs = [_read_diff(crew, attempt.diff) for attempt in failed]
    brief = brief_step(
        step,
        crew.workspace.target,
        addressed,
        _relevant(state, addressed),
        strategies_for({finding.kind for finding in addressed}),
        earlier,
        failed,
        diffs,
    )
    done = await converse(CODE, render(CODE.prompt), brief, inside, lane)
    notes += [f"{step.title}: {text}" for text in done.stale]
    message = f"{done.answer.title}\n\n{done.answer.body.strip()}\n"
    patch = await crew.journal.effect(
        lane, "patch", Patch, lambda: _commit(crew, worktree, head, message, number), asked=message, reapply=True
    )
    return done, patch


def _relevant(state: RunState, findings: list[Finding]) -> str:
    cited = {name for finding in findings for name in finding.evidence}
    return show_evidence(item for item in state["evidence"].values() if item.id in cited)


def _read_diff(crew: Crew, ref: ArtifactRef | None) -> str:
    if ref is None or not crew.workspace.artifacts.path(ref).exists():
        return "(none)"
    return crew.workspace.artifacts.get(ref).decode(errors="replace")[:6000]


async def _commit(crew: Crew, worktree: Path, head: str, message: str, number: int) -> Patch:
    paths = await changed_paths(worktree)
    if not paths:
        return Patch(commit=None, diff=None, touched=(), reason="nothing was changed")
    forbidden = violations(paths, crew.workspace.protected)
    if forbidden:
        return Patch(commit=None, diff=None, touched=(), reason=f"protected files were touched: {', '.join(forbidden)}")
    made = await commit(worktree, message, COMMIT_DATE.format(number % 60))
    text = await diff(crew.workspace.clone, head, made)
    return Patch(
        commit=made,
        diff=crew.workspace.artifacts.put_text(text, ".diff"),
        touched=await touched(crew.workspace.clone, head, made),
    )


async def _judge(state: RunState, crew: Crew, step: PlanStep, head: str, patch: Patch, lane: str) -> Judged:
    """The gates in order of cost: tests, equal answers, then the duel. The first that fails ends it."""
    workspace, candidate = crew.workspace, patch.commit or head
    tests = await crew.journal.effect(
        lane, "tests", Evidence, lambda: run_tests(workspace, candidate, "candidate"), asked=candidate
    )
    if tests.facts.get("passed_all") == 0:
        return _refused(Check(name="existing tests", passed=False, detail=tests.digest[:1500]))
    checks = await crew.journal.effect(
        lane, "behaviour", TypeAdapter(tuple[Check, ...]), lambda: _compare(crew, state["base"], candidate), asked=candidate
    )
    for check in checks:
        if not check.passed:
            return _refused(check)
    try:
        duel = await crew.journal.effect(
            lane, "duel", Duel, lambda: _duel(state, crew, head, candidate, step), asked=candidate
        )
    except InstrumentError as error:
        return _refused(Check(name="duel", passed=False, detail=str(error)))
    passed = (Check(name="existing tests", passed=True, detail=tests.title), *checks)
    verdict = decide(duel.effects, passed, aim=step.metric).model_copy(update={"samples": duel.samples})
    crew.tell("measured", f"{step.title}: {verdict.reason}", phase="coder", role="coder")
    return Judged(verdict=verdict, reason=verdict.reason)


def _refused(check: Check) -> Judged:
    reason = f"{check.name} failed: {check.detail.strip().splitlines()[0] if check.detail.strip() else 'no detail'}"
    return Judged(
        verdict=Verdict(outcome="regressed", reason=reason, accepted=False, checks=(check,)), reason=reason
    )


async def _compare(crew: Crew, base: str, candidate: str) -> tuple[Check, ...]:
    checks, _ = await compare_behaviour(crew.workspace, base, candidate, held_out=True)
    return checks


async def _duel(state: RunState, crew: Crew, head: str, candidate: str, step: PlanStep) -> Duel:
    workloads = {workload.name: workload for workload in crew.workspace.target.workload}
    workload = workloads.get(step.workload, crew.workspace.target.primary)
    noise = state["noise"]
    floors = noise_floors(crew.workspace.artifacts.get_json(noise.samples)) if noise else {}
    return await run_duel(
        crew.workspace, head, candidate, workload, name=step.id, protocol=QUICK, floors=floors
    )


async def _sign(
    crew: Crew, step: PlanStep, head: str, patch: Patch, answer: CodeAnswer, judged: Judged, lane: str, number: int
) -> Patch:
    """Commit the same tree again, now with the measured effect in its message."""
    worktree = crew.workspace.worktrees / "coder"
    shown = show_effects(effect for effect in judged.verdict.effects if effect.outcome == "improved")
    message = commit_message(answer, step, shown)

    async def again() -> Patch:
        made = await commit(worktree, message, COMMIT_DATE.format(number % 60), amend=True)
        return patch.model_copy(update={"commit": made})

    return await crew.journal.effect(lane, "signed", Patch, again, asked=message, reapply=True)
