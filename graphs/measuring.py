"""Measuring one version by the plan of instruments: baseline, validation and `perfcrew measure` do it alike.

What can't be measured is noted in a line, and everything else goes on.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from typing import Protocol

from graphs.instruments import FOLLOWS, STEPS, Follow, Step
from perfcrew.errors import InstrumentError, NothingToMeasure, ReplayMiss
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Target, Workload
from perfcrew.telemetry import TELEMETRY, Value
from tools.workspace import Workspace

Take = Callable[[str, Callable[[], Awaitable[Evidence]]], Awaitable[Evidence]]
"""Takes one measurement by its key: by doing it, or from a journal that knows it."""

MAX_FOLLOWED = 4
"""Workloads on whose evidence others build where a model waits for the baseline."""


class Tell(Protocol):
    """Says something to whoever watches."""

    def __call__(self, kind: str, text: str) -> None:
        """`kind` is an event's: `measured`, `warning`, `tool`."""
        ...


KINDS: tuple[str, ...] = (*dict.fromkeys(step.kind for step in STEPS), *(follow.kind for follow in FOLLOWS))
"""What `--only` may name."""


def plan_steps(target: Target, *, deep: bool, only: Collection[str] = ()) -> Iterator[tuple[Step, Workload]]:
    """The steps for a target in their order: everything for the primary workload, then the others."""
    wanted = set(only) | {follow.after for follow in FOLLOWS if follow.kind in only}
    steps = [step for step in STEPS if step.applies(target) and _wanted(step, deep, wanted)]
    first: dict[str, Workload] = {}
    for step in steps:
        fitting = [workload for workload in target.workload if workload.kind in step.workloads]
        # A measure of pages only has no http workload first: the first that fits stands in.
        if fitting:
            first[step.kind] = fitting[0]
            yield step, fitting[0]
    for step in (step for step in steps if step.everywhere or (deep and step.wide)):
        for workload in target.workload:
            if workload.kind in step.workloads and workload != first[step.kind]:
                yield step, workload


def _wanted(step: Step, deep: bool, named: Collection[str]) -> bool:
    if named:
        return step.kind in named
    return not step.asked and (deep or not step.deep)


def plan_follows(target: Target, *, deep: bool, only: Collection[str] = ()) -> Iterator[Follow]:
    """The instruments that build on what others found."""
    for follow in FOLLOWS:
        if (deep or not follow.deep) and (not only or follow.kind in only) and follow.applies(target):
            yield follow


async def take_all(
    workspace: Workspace,
    commit: str,
    arm: str,
    take: Take,
    tell: Tell,
    *,
    deep: bool,
    only: Collection[str] = (),
    also: Callable[[str], bool] = lambda _: False,
) -> tuple[list[Evidence], list[str]]:
    """Take every measurement of one arm, each on a fresh start.

    Args:
        workspace: where the arm runs.
        commit: the version.
        arm: what to call it.
        take: carries out one measurement.
        tell: gets a line for each.
        deep: also what a model's baseline leaves out.
        only: kinds of evidence to which the plan is limited; empty for all.
        also: whether to take, by its key, what builds on another workload's evidence where not `deep`.

    Returns:
        The evidence, and a line for each reason why measurements could not be taken, which names them.
    """
    evidence: list[Evidence] = []
    missed: dict[str, list[str]] = {}

    async def attempt(key: str, run: Callable[[], Awaitable[Evidence]]) -> None:
        tell("tool", key)
        try:
            with TELEMETRY.span(f"execute_tool {key.partition('@')[0]}", _spoken(key, arm)):
                item = await take(key, run)
        except NothingToMeasure as error:
            tell("note", f"{key}: {error}")
            return
        except (InstrumentError, ReplayMiss) as error:
            if (reason := str(error)) not in missed:
                tell("warning", f"{key}: {reason}")
            missed.setdefault(reason, []).append(key)
            return
        evidence.append(item)
        tell("measured", item.title)

    for step, workload in plan_steps(workspace.target, deep=deep, only=only):
        if not _fits(step, evidence):
            continue
        await attempt(f"{step.kind}@{workload.name}/{arm}", _bound(step, workspace, commit, workload, arm, deep))
    for follow in plan_follows(workspace.target, deep=deep, only=only):
        found = [item for item in evidence if item.kind == follow.after]
        for place, item in enumerate(found if deep else found[:MAX_FOLLOWED]):
            # The first workload's key is the arm's alone, as journals have known it from the beginning.
            key = f"{follow.kind}@{item.id.partition('@')[2] if place else arm}"
            if place and not (deep or also(key)):
                continue
            await attempt(key, _following(follow, workspace, item, arm))
    return evidence, [f"{', '.join(keys)}: {reason}" for reason, keys in missed.items()]


def _spoken(key: str, arm: str) -> dict[str, Value]:
    """A measurement as its span has it."""
    kind = key.partition("@")[0]
    return {
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": kind, "gen_ai.tool.type": "function",
        "perfcrew.measurement": key, "perfcrew.arm": arm,
    }  # fmt: skip


def _fits(step: Step, evidence: Iterable[Evidence]) -> bool:
    """Whether the server's runtime is one that the step is for; where nobody knows it yet, trying will tell."""
    started = _first(evidence, "start")
    known = started.facts.get("runtime") if started else None
    return not step.runtime or not known or known == step.runtime


def _bound(
    step: Step, workspace: Workspace, commit: str, workload: Workload, arm: str, deep: bool
) -> Callable[[], Awaitable[Evidence]]:
    thorough = deep and not (step.wide and workload != workspace.target.primary)
    take = step.take if thorough or step.brief is None else step.brief
    return lambda: take(workspace, commit, workload, arm)


def _following(follow: Follow, workspace: Workspace, found: Evidence, arm: str) -> Callable[[], Awaitable[Evidence]]:
    return lambda: follow.take(workspace, found, arm)


def _first(evidence: Iterable[Evidence], kind: str) -> Evidence | None:
    return next((item for item in evidence if item.kind == kind), None)
