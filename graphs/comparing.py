"""`perfcrew compare`: a duel between two revisions of a repository, workload by workload. No model is asked."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from graphs.measuring import Tell
from graphs.page_comparing import compare_pages, pages_of
from graphs.runs import COMPARISON, run_folder, write_manifest, write_result
from graphs.survey import choose, choose_workloads, manifest_of, notes_of, teller
from graphs.tracing import traced
from graphs.workplace import make_workspace, prepare, tidied
from perfcrew.errors import InstrumentError, PerfcrewError, UserError
from perfcrew.event_log import EVENT_LOG
from perfcrew.records.events import Event
from perfcrew.records.evidence import Check
from perfcrew.records.survey import Bout, Comparison, Revision
from perfcrew.records.target import Target, Workload
from perfcrew.report.comparing import conclude, goal_checks, guarded
from perfcrew.report.survey_seal import seal
from perfcrew.settings import Settings
from perfcrew.verdict import decide
from tools.behaviour import compare_behaviour, run_checks
from tools.duel import NOISE, THOROUGH, floors_of, run_duel
from tools.git import RepoState, clone, inspect_repo
from tools.machine import describe_machine
from tools.protocol import Protocol
from tools.revisions import bring_commit, commit_worktree, find_commit, subject_of
from tools.target import load_target
from tools.workspace import Workspace


@dataclass(frozen=True)
class CompareOptions:
    """What to compare."""

    base: str
    candidate: str | None
    """None: the worktree as it stands, with what is not committed."""
    repo: Path
    config: Path | None = None
    workloads: tuple[str, ...] = ()
    within_s: float | None = None
    """Seconds that all duels together may take, A/A included."""
    check_behaviour: bool = False
    goals: bool = False
    """Hold the candidate to the description's limits as well."""
    quick: bool = False


async def compare_revisions(
    options: CompareOptions, *, settings: Settings, watch: Callable[[Event], None]
) -> tuple[Comparison, Path]:
    """Compare two revisions.

    Returns:
        The comparison, and the folder that holds it with its raw files.

    Raises:
        UserError: something the user can mend; nothing was measured.
        PerfcrewError: a version does not start or answers nothing.
    """
    began = time.monotonic()
    target, path = load_target(options.repo, options.config)
    choose(target, options.workloads, str(path))
    state = await inspect_repo(options.repo)
    base, candidate = await _revisions(options, state)
    manifest = manifest_of("compare", state, options.config, quick=options.quick, base=base.commit)
    folder = run_folder(settings.home, manifest.run_id, new=True)
    write_manifest(folder, manifest)
    full = replace(make_workspace(manifest, folder, settings), own_environments=True)
    workspace = choose_workloads(full, options.workloads)
    watch = EVENT_LOG.listen(watch, manifest.run_id)
    async with tidied(full), traced(manifest, settings, watch):
        tell = teller(watch)
        tell("tool", "preparing both versions: clone, environments, data")
        await clone(state.root, workspace.clone)
        for commit in {base.commit, candidate.commit}:
            await bring_commit(state.root, workspace.clone, commit)
        if candidate.worktree:
            snapshot = await commit_worktree(workspace, state.root, candidate.commit)
            candidate = candidate.model_copy(update={"commit": snapshot})
        await prepare(workspace)
        tell("note", f"prepared {workspace.target.target.name}: {_named(base)} against {_named(candidate)}")
        match = _Match(workspace, base, candidate, tell)
        bouts, missed = await _compare_all(match, options.within_s)
        checks = await _check(match) if options.check_behaviour else ()
        checks = (*checks, *goal_checks(bouts, target.goal)) if options.goals else checks
        outcome, reason = conclude(bouts, checks)
        notes = (*notes_of(state.model_copy(update={"dirty": False}), workspace), *missed)
        comparison = Comparison(
            base=base, candidate=candidate, outcome=outcome, reason=reason, environment=describe_machine(),
            bouts=bouts, checks=checks, notes=notes,
            run_id=manifest.run_id, target=workspace.target.target.name, quick=options.quick,
            seconds=time.monotonic() - began,
        )  # fmt: skip
    comparison = seal(comparison)
    write_result(folder, COMPARISON, comparison)
    return comparison, folder


@dataclass(frozen=True)
class _Match:
    """What all duels of a comparison share."""

    workspace: Workspace
    base: Revision
    candidate: Revision
    tell: Tell

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Those that put load on the arms: pages have duels of their own."""
        return loads_of(self.workspace.target)


def loads_of(target: Target) -> tuple[Workload, ...]:
    """The target's workloads but its pages."""
    return tuple(workload for workload in target.workload if workload.kind != "page")


async def _revisions(options: CompareOptions, state: RepoState) -> tuple[Revision, Revision]:
    commit = await find_commit(state.root, options.base)
    base = Revision(name=options.base, commit=commit, subject=await subject_of(state.root, commit))
    if options.candidate is None:
        subject = await subject_of(state.root, state.head)
        return base, Revision(name="worktree", commit=state.head, subject=subject, worktree=True)
    commit = await find_commit(state.root, options.candidate)
    if commit == base.commit:
        raise UserError(f"{options.base} and {options.candidate} are the same commit {commit[:12]}")
    return base, Revision(name=options.candidate, commit=commit, subject=await subject_of(state.root, commit))


def _named(revision: Revision) -> str:
    return "the worktree" if revision.worktree else f"{revision.name} ({revision.commit[:12]})"


async def _compare_all(match: _Match, within_s: float | None) -> tuple[tuple[Bout, ...], tuple[str, ...]]:
    """All duels, and what could not be compared; the risk of a false alarm is shared among the workloads."""
    count = len(match.workloads) + len(pages_of(match.workspace.target))
    bouts = await _duel_all(match, count, within_s)
    left = None if within_s is None else within_s / count
    commits = (match.base.commit, match.candidate.commit)
    pages, missed = await compare_pages(match.workspace, commits, match.tell, family=count, within_s=left)
    if not bouts and not pages:
        raise PerfcrewError(missed[0])
    return guarded((*bouts, *pages), match.workspace.artifacts), missed


async def _duel_all(match: _Match, count: int, within_s: float | None) -> tuple[Bout, ...]:
    """A/A noise, then the duel, for each workload but pages."""
    bouts = []
    for number, workload in enumerate(match.workloads):
        left = None if within_s is None else within_s / count
        try:
            bouts.append(await _duel(match, workload, count, left))
        except InstrumentError as error:
            if number == 0:
                raise PerfcrewError(str(error)) from error
            raise PerfcrewError(f"workload {workload.name}: {error}") from error
        match.tell("measured", f"{workload.name}: {bouts[-1].outcome.replace('_', ' ')}: {bouts[-1].reason}")
    return tuple(bouts)


async def _duel(match: _Match, workload: Workload, count: int, within_s: float | None) -> Bout:
    began = time.monotonic()
    match.tell("tool", f"{workload.name}: the base against itself, for the noise of this machine")
    base = match.base.commit
    noise = await run_duel(
        match.workspace, base, base, workload, name="noise", protocol=_within(NOISE, within_s, 0.3), floors={}
    )
    match.tell("measured", f"{workload.name}, base against itself: {noise.digest.splitlines()[0]}")
    match.tell("tool", f"{workload.name}: {_named(match.base)} against {_named(match.candidate)}")
    shared = THOROUGH.for_family(count)
    duel = await run_duel(
        match.workspace, base, match.candidate.commit, workload, name="compare",
        protocol=_within(shared, within_s, 0.7), floors=floors_of(match.workspace, noise),
    )  # fmt: skip
    verdict = decide(duel.effects, ())
    return Bout(
        workload=workload.name, outcome=verdict.outcome, reason=verdict.reason, effects=duel.effects,
        samples=duel.samples, noise=noise.effects, noise_samples=noise.samples, seconds=time.monotonic() - began,
    )  # fmt: skip


def _within(protocol: Protocol, within_s: float | None, part: float) -> Protocol:
    """The protocol with its part of the time that the user gives; never more than it would take by itself."""
    if within_s is None:
        return protocol
    return protocol.model_copy(update={"limit_s": min(protocol.limit_s, max(within_s * part, 1.0))})


async def _check(match: _Match) -> tuple[Check, ...]:
    """Equal answers, and the user's own checks."""
    match.tell("tool", "comparing answers")
    base, candidate = match.base.commit, match.candidate.commit
    checks, _ = await compare_behaviour(match.workspace, base, candidate, held_out=True)
    own = await run_checks(match.workspace, base, candidate)
    for check in (*checks, *own):
        detail = check.detail.splitlines()[0] if check.detail else ""
        match.tell("measured" if check.passed else "note", f"{'✓' if check.passed else '✗'} {check.name}: {detail}")
    return (*checks, *own)
