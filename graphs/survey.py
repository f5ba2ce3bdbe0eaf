"""`perfcrew measure`: every instrument on one version of an application, detectors, a survey. No model is asked."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from graphs.measuring import KINDS, Tell, take_all
from graphs.runs import SURVEY, Manifest, new_run_id, run_folder, write_manifest, write_result
from graphs.tracing import traced
from graphs.workplace import make_workspace, prepare, tidied
from perfcrew.errors import InstrumentError, PerfcrewError, UserError
from perfcrew.event_log import EVENT_LOG
from perfcrew.records.events import Event
from perfcrew.records.evidence import Evidence
from perfcrew.records.survey import Survey, WorkloadRow
from perfcrew.records.target import Target, Workload
from perfcrew.records.work import RecipeRequest
from perfcrew.report.survey_seal import seal
from perfcrew.settings import Settings
from tools.detectors import detect
from tools.git import RepoState, clone, inspect_repo
from tools.machine import describe_machine
from tools.revisions import subject_of
from tools.sandbox import describe, why_shared
from tools.target import load_target
from tools.workspace import Workspace

ARM = "base"


@dataclass(frozen=True)
class SurveyOptions:
    """What to measure."""

    repo: Path
    config: Path | None = None
    workloads: tuple[str, ...] = ()
    """Names; empty for all. The first becomes the primary one."""
    only: tuple[str, ...] = ()
    """Kinds of evidence; empty for all."""
    quick: bool = False


async def take_survey(
    options: SurveyOptions, *, settings: Settings, watch: Callable[[Event], None]
) -> tuple[Survey, Path]:
    """Measure HEAD of a repository.

    Returns:
        The survey, and the folder that holds it with its raw files.

    Raises:
        UserError: something the user can mend; nothing was measured.
        PerfcrewError: the application does not start, or nothing at all could be measured.
    """
    began = time.monotonic()
    _check(options)
    state = await inspect_repo(options.repo)
    manifest = manifest_of("measure", state, options.config, quick=options.quick)
    folder = run_folder(settings.home, manifest.run_id, new=True)
    write_manifest(folder, manifest)
    full = make_workspace(manifest, folder, settings)
    workspace = choose_workloads(full, options.workloads)
    watch = EVENT_LOG.listen(watch, manifest.run_id)
    async with tidied(full), traced(manifest, settings, watch):
        tell = teller(watch)
        tell("tool", "preparing the application: clone, environment, data")
        await clone(state.root, workspace.clone)
        await prepare(workspace)
        tell("note", f"prepared {workspace.target.target.name} at {state.head[:12]}")
        evidence, failed = await _measure(workspace, state.head, options, tell)
        survey = Survey(
            commit=state.head,
            environment=describe_machine(),
            workloads=tuple(row_of(workload) for workload in workspace.target.workload),
            metrics=tuple(measurement for item in evidence for measurement in item.measurements),
            findings=detect(evidence),
            notes=(*notes_of(state, workspace), *failed),
            run_id=manifest.run_id,
            target=workspace.target.target.name,
            subject=await subject_of(workspace.clone, state.head),
            dirty=state.dirty,
            quick=options.quick,
            seconds=time.monotonic() - began,
            evidence=tuple(item.model_copy(update={"measurements": ()}) for item in evidence),
        )
    survey = seal(survey)
    write_result(folder, SURVEY, survey)
    return survey, folder


def _check(options: SurveyOptions) -> None:
    """Find the user's mistakes before anything is made."""
    target, path = load_target(options.repo, options.config)
    choose(target, options.workloads, str(path))
    unknown = [kind for kind in options.only if kind not in KINDS]
    if unknown:
        raise UserError(f"--only {unknown[0]}: no such kind; expected one of {', '.join(KINDS)}")


def manifest_of(kind: str, state: RepoState, config: Path | None, *, quick: bool, base: str | None = None) -> Manifest:
    """The manifest of a measure or a comparison: no request, no model."""
    return Manifest.model_validate(
        {
            "run_id": new_run_id(), "repo": state.root, "config": config.resolve() if config else None,
            "base": base or state.head, "request": RecipeRequest(), "replay": None, "frozen": False,
            "answered_by": "", "quick": quick, "kind": kind,
        }
    )  # fmt: skip


def choose_workloads(workspace: Workspace, names: tuple[str, ...]) -> Workspace:
    """The workspace with the named workloads only, in that order."""
    return replace(workspace, target=choose(workspace.target, names, str(workspace.config_path)))


def choose(target: Target, names: tuple[str, ...], where: str) -> Target:
    """The target with the named workloads only, in that order; with all where none is named.

    Raises:
        UserError: there is no such workload.
    """
    known = {workload.name: workload for workload in target.workload}
    for name in names:
        if name not in known:
            raise UserError(f"{where}: no workload {name!r}; there is: {', '.join(known)}")
    return (
        target.model_copy(update={"workload": tuple(known[name] for name in dict.fromkeys(names))}) if names else target
    )


def teller(watch: Callable[[Event], None]) -> Tell:
    """Tells events of a kind."""

    def tell(kind: str, text: str) -> None:
        watch(Event.model_validate({"kind": kind, "text": text}))

    return tell


def row_of(workload: Workload) -> WorkloadRow:
    """A workload as the survey shows it."""
    requests = tuple(f"{request.method} {request.path}" for request in workload.request)
    return WorkloadRow(
        name=workload.name, kind=workload.kind, users=workload.users, think_s=workload.think_s,
        requests=requests or ((workload.command,) if workload.command else ()),
    )  # fmt: skip


def notes_of(state: RepoState, workspace: Workspace) -> tuple[str, ...]:
    """What a reader must know about the version that was measured, and how."""
    dirty = (f"the worktree has changes that are not committed: HEAD ({state.head[:12]}) was measured, without them",)
    shared = why_shared(workspace.network, workspace.load_workers)
    sandbox = (f"sandbox: {describe(confined=workspace.sandbox, shared=shared)}",) if shared else ()
    return (*(dirty if state.dirty else ()), *state.notes, *sandbox)


async def _measure(
    workspace: Workspace, commit: str, options: SurveyOptions, tell: Tell
) -> tuple[list[Evidence], list[str]]:
    first = True
    reasons: list[str] = []

    async def take(key: str, run: Callable[[], Awaitable[Evidence]]) -> Evidence:
        nonlocal first
        try:
            return await run()
        except InstrumentError as error:
            reasons.append(f"{key}: {error}")
            if first and str(error).startswith(f"arm {ARM}:"):
                raise PerfcrewError(f"the application does not start: {error}") from error
            raise
        finally:
            first = False

    evidence, notes = await take_all(workspace, commit, ARM, take, tell, deep=True, only=options.only)
    if not evidence:
        raise PerfcrewError(reasons[0] if reasons else "no instrument fits these workloads")
    return evidence, notes
