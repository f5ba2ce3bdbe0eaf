"""Phase 3: plan steps become commits, one idea each, kept only when they win their own duel and break nothing."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from agents.agent import AgentFailed, converse
from agents.briefs import show_effects, show_evidence, show_words
from agents.coder import CODE, CodeAnswer, brief_step, commit_message
from agents.crew import Crew
from graphs.gates import Candidate, judge_candidate, refuse
from graphs.screening import screen
from graphs.state import RunState, Update, words_for
from perfcrew.errors import Forbidden, ReplayMiss
from perfcrew.records.base import ArtifactRef, Record
from perfcrew.records.events import Event
from perfcrew.records.evidence import Verdict
from perfcrew.records.work import Attempt, Card, Change, PlanStep, Status, deciding_attempt
from prompts import render, strategies_for
from tools.edit import violations
from tools.git import Touched, changed_paths, checkout, commit, diff, reset, reword, touched

COMMIT_DATE = "2000-01-01T00:00:{:02d}Z"
"""Commits carry a fixed date, so that a commit made again after a crash has the same hash."""
DIFF_SHOWN = 6000
"""Characters of a failed attempt's diff that the next attempt sees."""


class Patch(Record):
    """A candidate commit."""

    commit: str | None
    diff: ArtifactRef | None
    touched: tuple[Touched, ...]
    reason: str = ""
    """Why there is none."""
    refused: tuple[str, ...] = ()
    """What of it is out of bounds, as in `tools.tool.ToolOutput`."""


@dataclass
class _Task:
    """One step at work."""

    state: RunState
    crew: Crew
    step: PlanStep
    number: int
    head: str
    """Newest kept commit: where each attempt starts, and what it is measured against."""
    earlier: list[Change]
    attempts: list[Attempt] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def lane(self) -> str:
        return f"{self.state['round']}/implementation/coder/{self.step.id}/{len(self.attempts)}"

    @property
    def worktree(self) -> Path:
        return self.crew.workspace.worktrees / "coder"

    @property
    def date(self) -> str:
        return COMMIT_DATE.format(self.number % 60)

    def record(
        self, reason: str, patch: Patch | None = None, summary: str = "", verdict: Verdict | None = None
    ) -> None:
        number = len(self.attempts)
        diff_ref = patch.diff if patch else None
        self.attempts.append(Attempt(number=number, diff=diff_ref, summary=summary, verdict=verdict, reason=reason))


async def implement(state: RunState, crew: Crew) -> Update:
    """Work through the plan of this round, step by step, each on top of what was kept before it."""
    head = state["head"]
    changes: list[Change] = []
    board: dict[str, Card] = {}
    notes: list[str] = []
    for number, step in enumerate(state["plans"][-1].steps):
        task = _Task(state, crew, step, number, head, [*state["changes"], *changes])
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


async def _take_step(task: _Task) -> Change:
    crew, step = task.crew, task.step
    while len(task.attempts) < crew.limits.attempts:
        _show(crew, step, "IN_PROGRESS", f"attempt {len(task.attempts) + 1}")
        try:
            answer, patch = await _write_patch(task)
        except (AgentFailed, ReplayMiss) as error:
            task.record(str(error))
            break
        if answer.gave_up:
            task.record(f"the coder gave up: {answer.reason}", patch, answer.title)
            break
        if patch.commit is None:
            task.record(patch.reason, patch, answer.title)
            continue
        _show(crew, step, "IN_REVIEW")
        verdict = await _judge(task, patch.commit)
        crew.tell("measured", f"{step.title}: {verdict.reason}", phase="coder", role="coder")
        lane = task.lane
        task.record(verdict.reason, patch, answer.title, verdict)
        if verdict.accepted:
            return _change(task, answer.title, await _sign(task, lane, patch, answer, verdict))
    return _change(task, step.title, None)


def _change(task: _Task, title: str, patch: Patch | None) -> Change:
    last, decided = task.attempts[-1], deciding_attempt(task.attempts)
    return Change(
        step=task.step.id,
        title=title,
        commit=patch.commit if patch else None,
        kept=patch is not None,
        reason=decided.reason if decided is last else f"{decided.reason} Then: {last.reason}",
        touched=tuple(item.path for item in patch.touched) if patch else (),
        lines_added=sum(item.added for item in patch.touched) if patch else 0,
        lines_removed=sum(item.removed for item in patch.touched) if patch else 0,
        diff=decided.diff,
        verdict=decided.verdict,
        attempts=tuple(task.attempts),
    )


async def _judge(task: _Task, commit_id: str) -> Verdict:
    target = task.crew.workspace.target
    named = {workload.name: workload for workload in target.workload}
    candidate = Candidate(
        base=task.state["base"],
        parent=task.head,
        commit=commit_id,
        workload=named.get(task.step.workload, target.primary),
        aim=task.step.metric,
        name=task.step.id,
    )
    if task.state["request"].security:
        # Told now, it can be mended; told of the whole branch, it costs the branch.
        ruled = await screen(task.crew, task.head, commit_id, task.lane)
        if not ruled.check.passed:
            return refuse(ruled.check)
    return await judge_candidate(task.crew, candidate, task.state["noise"], task.lane)


async def _write_patch(task: _Task) -> tuple[CodeAnswer, Patch]:
    """Let the coder write in a worktree that starts at the newest kept commit, and commit what it wrote."""
    crew, lane = task.crew, task.lane

    async def prepare() -> str:
        await checkout(crew.workspace.clone, task.head, task.worktree)
        await reset(task.worktree, task.head)
        return task.head

    await crew.journal.effect(lane, "worktree", str, prepare, asked=task.head, reapply=True)
    inside = crew.within(replace(crew.workspace, worktree=task.worktree))
    done = await converse(CODE, render(CODE.prompt), _brief(task), inside, lane)
    task.notes += [f"{task.step.title}: {text}" for text in done.stale]
    message = f"{done.answer.title}\n\n{done.answer.body.strip()}\n"
    patch = await crew.journal.effect(lane, "patch", Patch, lambda: _commit(task, message), asked=message, reapply=True)
    return done.answer, patch


def _brief(task: _Task) -> str:
    state, crew, step = task.state, task.crew, task.step
    addressed = [finding for finding in state["findings"].values() if finding.id in step.findings]
    cited = {name for finding in addressed for name in finding.evidence}
    return brief_step(
        step,
        crew.workspace.target,
        addressed,
        show_evidence(item for item in state["evidence"].values() if item.id in cited),
        strategies_for({finding.kind for finding in addressed}),
        task.earlier,
        task.attempts,
        [_read_diff(crew, attempt.diff) for attempt in task.attempts],
    ) + show_words(words_for(state, "coder"))


def _read_diff(crew: Crew, ref: ArtifactRef | None) -> str:
    if ref is None or not crew.workspace.artifacts.path(ref).exists():
        return "(none)"
    return crew.workspace.artifacts.get(ref).decode(errors="replace")[:DIFF_SHOWN]


async def _commit(task: _Task, message: str) -> Patch:
    workspace = task.crew.workspace
    try:
        paths = await changed_paths(task.worktree)
        if not paths:
            return Patch(commit=None, diff=None, touched=(), reason="nothing was changed")
        if forbidden := violations(paths, workspace.protected):
            raise Forbidden(f"protected files were touched: {', '.join(forbidden)}")
        made = await commit(task.worktree, message, task.date)
    except Forbidden as error:
        return Patch(commit=None, diff=None, touched=(), reason=str(error), refused=(f"commit rules: {error}",))
    return Patch(
        commit=made,
        diff=workspace.artifacts.put_text(await diff(workspace.clone, task.head, made), ".diff"),
        touched=await touched(workspace.clone, task.head, made),
    )


async def _sign(task: _Task, lane: str, patch: Patch, answer: CodeAnswer, verdict: Verdict) -> Patch:
    """Commit the same tree again, now with the measured effect in its message."""
    shown = show_effects(effect for effect in verdict.effects if effect.outcome == "improved")
    message = commit_message(answer, task.step, shown)

    async def again() -> Patch:
        await reset(task.worktree, patch.commit or task.head)
        return patch.model_copy(update={"commit": await reword(task.worktree, message, task.date)})

    return await task.crew.journal.effect(lane, "signed", Patch, again, asked=message, reapply=True)
