"""Phase 3: plan steps become commits, one idea each, kept only when they win their own duel and break nothing."""

import asyncio
from collections.abc import Sequence

from agents.crew import Crew
from graphs.gates import Candidate, judge_candidate, refuse
from graphs.screening import screen
from graphs.state import RunState, Update
from graphs.trying import Patch, Task, Try, look_around, sign, write_patch
from perfcrew.records.events import Event
from perfcrew.records.evidence import Verdict
from perfcrew.records.work import Card, Change, PlanStep, Status, deciding_attempt


async def implement(state: RunState, crew: Crew) -> Update:
    """Work through the plan of this round, step by step, each on top of what was kept before it."""
    head = state["head"]
    changes: list[Change] = []
    board: dict[str, Card] = {}
    notes: list[str] = []
    for number, step in enumerate(state["plans"][-1].steps):
        task = Task(state, crew, step, number, head, [*state["changes"], *changes])
        # A step that was begun before the run was interrupted is in the journal, and costs no more.
        if (spent := crew.budget.exceeded("coder")) and not crew.journal.has(task.lane, "worktree"):
            notes.append(f"step {step.title!r} was not begun: {spent}")
            board[step.id] = _show(crew, step, "BLOCKED", spent)
            continue
        change = await _take_step(task)
        changes.append(change)
        notes += task.notes
        head = change.commit or head
        board[step.id] = _show(crew, step, "DONE" if change.kept else "DROPPED", change.reason)
    return Update(head=head, changes=changes, board=board, notes=notes)


def _show(crew: Crew, step: PlanStep, status: Status, note: str = "") -> Card:
    card = Card(id=step.id, title=step.title, role="coder", status=status, note=note)
    crew.watch(Event(kind="card", text=step.title, phase="coder", role="coder", card=card))
    return card


async def _take_step(task: Task) -> Change:
    crew, step = task.crew, task.step
    await look_around(task)
    for wave in range(crew.limits.attempts):
        _show(crew, step, "IN_PROGRESS", f"attempt {wave + 1}")
        tries = task.begin()
        await asyncio.gather(*(write_patch(one) for one in tries))
        for one in tries:
            await _judge(one, tries)
        best = max((one for one in tries if one.accepted), key=lambda one: one.gain, default=None)
        for one in tries:
            if one.accepted and one is not best and best is not None:
                one.reason = f"accepted as well, but attempt {best.number} gained more: {one.reason}"
        task.attempts += [one.as_attempt() for one in tries]
        if best is not None:
            return _change(task, await sign(best), best)
        if all(one.over for one in tries):
            break
    return _change(task, None, None)


def _change(task: Task, patch: Patch | None, best: Try | None) -> Change:
    last = task.attempts[-1]
    decided = best.as_attempt() if best else deciding_attempt(task.attempts)
    later = best is None and decided is not last
    return Change(
        step=task.step.id,
        title=best.answer.title if best and best.answer else task.step.title,
        commit=patch.commit if patch else None,
        kept=patch is not None,
        reason=f"{decided.reason} Then: {last.reason}" if later else decided.reason,
        touched=tuple(item.path for item in patch.touched) if patch else (),
        lines_added=sum(item.added for item in patch.touched) if patch else 0,
        lines_removed=sum(item.removed for item in patch.touched) if patch else 0,
        diff=decided.diff,
        verdict=decided.verdict,
        attempts=tuple(task.attempts),
    )


async def _decide(one: Try, candidate: Candidate) -> Verdict:
    task = one.task
    if task.state["request"].security:
        # Told now, it can be mended; told of the whole branch, it costs the branch.
        ruled = await screen(task.crew, task.head, candidate.commit, one.lane)
        if not ruled.check.passed:
            return refuse(ruled.check)
    return await judge_candidate(task.crew, candidate, task.state["noise"], one.lane)


async def _judge(one: Try, tries: Sequence[Try]) -> None:
    """Measure what was written; the quiet lease lets one attempt be timed after the other."""
    task, patch = one.task, one.patch
    if patch is None or patch.commit is None or one.over:
        return
    twin = next((other for other in tries[: one.idea] if other.patch and other.patch.diff == patch.diff), None)
    if twin is not None:
        one.reason = f"the same change as attempt {twin.number}"
        return
    _show(task.crew, task.step, "IN_REVIEW")
    target = task.crew.workspace.target
    named = {workload.name: workload for workload in target.workload}
    candidate = Candidate(
        base=task.state["base"],
        parent=task.head,
        commit=patch.commit,
        workload=named.get(task.step.workload, target.primary),
        aim=task.step.metric,
        name=task.step.id,
        touched=tuple(item.path for item in patch.touched),
    )
    one.verdict = await _decide(one, candidate)
    one.reason = one.verdict.reason
    task.crew.tell("measured", f"{task.step.title}: {one.reason}", phase="coder", role="coder")
