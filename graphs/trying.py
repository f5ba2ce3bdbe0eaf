"""One attempt at a plan step: the coder writes in a worktree of its own, and what it wrote becomes a commit."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from agents.agent import AgentFailed, converse
from agents.briefs import show_effects, show_words
from agents.coder import CODE, CodeAnswer, brief_step, commit_message
from agents.crew import Crew
from graphs.fresh_evidence import show_fresh
from graphs.state import RunState, words_for
from perfcrew.errors import Forbidden, ReplayMiss
from perfcrew.records.base import ArtifactRef, Record
from perfcrew.records.evidence import Verdict
from perfcrew.records.work import Attempt, Change, Finding, PlanStep
from prompts import circumstances, render, strategies_for
from prompts.strategies.fitting import Circumstance
from tools.edit import violations
from tools.git import Touched, changed_paths, checkout, commit, diff, reset, reword, touched, working_diff
from tools.migrations import describe_way
from tools.schema_screen import screen_schema, way_of

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
class Task:
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
    evidence: str = ""
    """What the step's findings rest on, of the code that the coder sees."""
    way: str = ""
    """How the target changes its schema."""

    @property
    def lane(self) -> str:
        return self.lane_of(len(self.attempts))

    def lane_of(self, number: int) -> str:
        return f"{self.state['round']}/implementation/coder/{self.step.id}/{number}"

    @property
    def date(self) -> str:
        return COMMIT_DATE.format(self.number % 60)

    def begin(self) -> list["Try"]:
        """The attempts that are made side by side, an idea each."""
        first, folder = len(self.attempts), self.crew.workspace.worktrees
        return [
            Try(self, first + idea, idea, folder / (f"coder-{idea}" if idea else "coder"))
            for idea in range(self.crew.limits.ideas)
        ]


@dataclass
class Try:
    """One attempt at a step, in a worktree of its own."""

    task: Task
    number: int
    idea: int
    worktree: Path
    answer: CodeAnswer | None = None
    patch: Patch | None = None
    verdict: Verdict | None = None
    reason: str = ""
    """What became of it."""
    over: bool = False
    """Nothing more comes of trying: the coder gave up, or its conversation failed."""

    @property
    def lane(self) -> str:
        return self.task.lane_of(self.number)

    @property
    def accepted(self) -> bool:
        return self.verdict is not None and self.verdict.accepted

    @property
    def gain(self) -> float:
        """The lower end of what it gained on the metric aimed at, or of its best gain: how ideas compare."""
        effects = self.verdict.effects if self.verdict else ()
        improved = [effect for effect in effects if effect.outcome == "improved"]
        aimed = [effect for effect in improved if effect.metric == self.task.step.metric]
        return max((effect.ratio_low for effect in aimed or improved), default=0.0)

    def as_attempt(self) -> Attempt:
        return Attempt(
            number=self.number,
            diff=self.patch.diff if self.patch else None,
            summary=self.answer.title if self.answer else "",
            verdict=self.verdict,
            reason=self.reason,
        )


async def look_around(task: Task) -> None:
    """What every attempt at a step is told, found out once."""
    state = task.state
    cited = {name for finding in _addressed(task) for name in finding.evidence}
    evidence = [item for item in state["evidence"].values() if item.id in cited]
    task.evidence = await show_fresh(state, task.crew, task.head, task.earlier, evidence)
    task.way = await _tell_way(task)


def _around(task: Task) -> Collection[Circumstance]:
    state = task.state
    target = task.crew.workspace.target
    return circumstances(target, state["request"], state["findings"].values(), state["evidence"].values())


def _addressed(task: Task) -> list[Finding]:
    return [finding for finding in task.state["findings"].values() if finding.id in task.step.findings]


async def write_patch(one: Try) -> None:
    """Let the coder write in a worktree that starts at the newest kept commit, and commit what it wrote."""
    task, crew, lane = one.task, one.task.crew, one.lane

    async def prepare() -> str:
        await checkout(crew.workspace.clone, task.head, one.worktree)
        await reset(one.worktree, task.head)
        return task.head

    await crew.journal.effect(lane, "worktree", str, prepare, asked=task.head, reapply=True)
    inside = crew.within(replace(crew.workspace, worktree=one.worktree))
    try:
        done = await converse(CODE, render(CODE.prompt), _brief(one), inside, lane)
        one.answer = done.answer
        task.notes += [f"{task.step.title}: {text}" for text in done.stale]
        message = f"{done.answer.title}\n\n{done.answer.body.strip()}\n"
        one.patch = await crew.journal.effect(
            lane, "patch", Patch, lambda: _commit(one, message), asked=message, reapply=True
        )
    except (AgentFailed, ReplayMiss) as error:
        one.reason, one.over = str(error), True
        return
    if done.answer.gave_up:
        one.reason, one.over = f"the coder gave up: {done.answer.reason}", True
    else:
        one.reason = one.patch.reason


def _brief(one: Try) -> str:
    task = one.task
    crew, step, addressed = task.crew, task.step, _addressed(task)
    return brief_step(
        step,
        crew.workspace.target,
        addressed,
        task.evidence,
        strategies_for({finding.kind for finding in addressed}, around=_around(task)),
        task.earlier,
        task.attempts,
        [_read_diff(crew, attempt.diff) for attempt in task.attempts],
        (task.way, _tell_idea(one)),
    ) + show_words(words_for(task.state, "coder"))


async def _tell_way(task: Task) -> str:
    """How the target changes its schema."""
    workspace = task.crew.workspace
    if workspace.target.database is None:
        return ""

    async def look() -> str:
        return describe_way(await way_of(workspace, task.head))

    try:
        return await task.crew.journal.effect(task.lane_of(0), "way", str, look, asked=task.head)
    except ReplayMiss:  # recorded before coders were told
        return ""


def _tell_idea(one: Try) -> str:
    count = one.task.crew.limits.ideas
    if count == 1:
        return ""
    which = "the most promising way" if one.idea == 0 else f"the way number {one.idea + 1} that comes to mind"
    return (
        f"# One of {count} ideas\n\nThis step is tried {count} times side by side, each in a worktree of its own, and "
        f"the best by its duel is kept. Take {which}, and no mixture: the others take theirs."
    )


def _read_diff(crew: Crew, ref: ArtifactRef | None) -> str:
    if ref is None or not crew.workspace.artifacts.path(ref).exists():
        return "(none)"
    return crew.workspace.artifacts.get(ref).decode(errors="replace")[:DIFF_SHOWN]


async def _commit(one: Try, message: str) -> Patch:
    task = one.task
    workspace = task.crew.workspace
    try:
        paths = await changed_paths(one.worktree)
        if not paths:
            return Patch(commit=None, diff=None, touched=(), reason="nothing was changed")
        if forbidden := violations(paths, workspace.protected):
            raise Forbidden(f"protected files were touched: {', '.join(forbidden)}")
        if problems := await screen_schema(workspace, one.worktree, task.head, paths):
            diff_ref = workspace.artifacts.put_text(await working_diff(one.worktree), ".diff")
            return Patch(commit=None, diff=diff_ref, touched=(), reason="; ".join(problems))
        made = await commit(one.worktree, message, task.date)
    except Forbidden as error:
        return Patch(commit=None, diff=None, touched=(), reason=str(error), refused=(f"commit rules: {error}",))
    return Patch(
        commit=made,
        diff=workspace.artifacts.put_text(await diff(workspace.clone, task.head, made), ".diff"),
        touched=await touched(workspace.clone, task.head, made),
    )


async def sign(one: Try) -> Patch:
    """Commit the same tree again, now with the measured effect in its message."""
    task, patch, answer, verdict = one.task, one.patch, one.answer, one.verdict
    assert patch is not None and answer is not None and verdict is not None
    shown = show_effects(effect for effect in verdict.effects if effect.outcome == "improved")
    message = commit_message(answer, task.step, shown)

    async def again() -> Patch:
        await reset(one.worktree, patch.commit or task.head)
        return patch.model_copy(update={"commit": await reword(one.worktree, message, task.date)})

    return await task.crew.journal.effect(one.lane, "signed", Patch, again, asked=message, reapply=True)
