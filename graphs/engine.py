"""The engine that every way in calls: start or resume a run, and get its report."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from langgraph.types import Command

from graphs.assembly import Overhear, Watch, at_work, check_models
from graphs.checkpoints import open_checkpoints
from graphs.phase import Run
from graphs.recipe import Recipe, build
from graphs.runs import REPORT, Manifest, new_run_id, read_manifest, run_folder, write_manifest, write_result
from graphs.state import RunState, start
from graphs.workplace import redactor_of
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.llm.choice import choose
from perfcrew.llm.recording import Recording
from perfcrew.records.base import Record
from perfcrew.records.report import Report
from perfcrew.records.work import Plan, RecipeRequest
from perfcrew.settings import Settings
from tools.git import inspect_repo
from tools.target import load_target

SUPERSTEPS = 100
"""More than any bounded run takes; a loop beyond it is a bug."""


class Approval(Record):
    """A person's decision about a plan."""

    approved: bool
    note: str = ""


Approve = Callable[[Plan], Awaitable[Approval]]


class ApprovalPending(PerfcrewError):
    """The plan waits for a person; the run is resumable."""


@dataclass(frozen=True)
class RunOptions:
    """What to run, on what, with whose replies."""

    repo: Path
    config: Path | None = None
    request: RecipeRequest = field(default_factory=RecipeRequest)
    run_id: str | None = None
    """Resume this run."""
    replay: Path | None = None
    """A recording that answers in place of the model."""
    frozen: bool = False
    """Take tool results from the recording too."""
    strict: bool = False
    """Refuse a replay that asks anything else than was recorded."""
    live_model: bool = False
    """Ask the model all the same: only tool results come from the recording."""
    answered_by: str = ""
    """Who answers, for the journal: a recording made from it carries this label."""
    quick: bool = False
    """Shorter measurements with wider intervals."""


async def run(
    options: RunOptions,
    *,
    settings: Settings,
    watch: Watch,
    approve: Approve | None = None,
    overhear: Overhear | None = None,
) -> Report:
    """Run the recipe, or go on with a run that stopped.

    Raises:
        UserError: something the user can mend; nothing was started.
        ApprovalPending: a plan waits and there is nobody to ask.
        PerfcrewError: the run could not go on; it is resumable by its id.
    """
    manifest, folder = await prepare(options, settings)
    async with open_checkpoints(folder) as checkpoints, at_work(manifest, folder, settings, watch, overhear) as context:
        state = await drive(build(checkpoints), manifest, context, approve)
    report = state["report"]
    if report is None:
        raise PerfcrewError("the graph ended without a report")
    save_report(folder, report)
    return report


def save_report(folder: Path, report: Report) -> None:
    """Write `report.json`, whole or not at all."""
    write_result(folder, REPORT, report)


async def prepare(options: RunOptions, settings: Settings) -> tuple[Manifest, Path]:
    """The manifest and folder of a new run, or of the one to resume."""
    if options.run_id:
        folder = run_folder(settings.home, options.run_id)
        return read_manifest(folder), folder
    target, config = load_target(options.repo, options.config)
    chosen = choose(settings, target.models)
    if options.live_model or not options.replay:
        check_models(chosen, settings)
    if options.frozen and options.replay:
        recording = Recording(options.replay, frozen=True)
        base = str(recording.value("base"))
        repo = options.repo.resolve()
    else:
        state = await inspect_repo(options.repo)
        base, repo = state.head, state.root
    manifest = Manifest(
        run_id=new_run_id(),
        repo=repo,
        config=options.config.resolve() if options.config else None,
        base=base,
        request=redactor_of(target, repo, config, settings).record(options.request),
        replay=options.replay.resolve() if options.replay else None,
        frozen=options.frozen,
        strict=options.strict,
        live_model=options.live_model,
        answered_by=options.answered_by or ", ".join(chosen.names),
        quick=options.quick,
    )
    folder = run_folder(settings.home, manifest.run_id, new=True)
    write_manifest(folder, manifest)
    return manifest, folder


async def drive(graph: Recipe, manifest: Manifest, context: Run, approve: Approve | None) -> RunState:
    """Invoke until the graph ends, asking a person wherever it interrupts."""
    config: Any = {"configurable": {"thread_id": manifest.run_id}, "recursion_limit": SUPERSTEPS}
    snapshot = await graph.aget_state(config)
    context.go_on_from(snapshot.values.get("phases", []))
    given: Any = None if snapshot.values else start(manifest.request, manifest.base)
    if snapshot.values.get("orders"):
        raise UserError(
            f'this run is made of slash commands; go on with: perfcrew exec --resume {manifest.run_id} "/resume"'
        )
    if snapshot.values and not snapshot.tasks and not snapshot.values.get("report"):
        raise UserError(f"run {manifest.run_id} can't be resumed: its checkpoints end before a report")
    while True:
        snapshot = await graph.aget_state(config)
        waiting = [item for task in snapshot.tasks for item in task.interrupts]
        if waiting:
            given = Command(resume=(await _ask(waiting[0].value, manifest, approve)).model_dump())
        # A killed process may have left what a step's last node wrote, and not the checkpoint after it: then no node is
        # left to run, and the step is.
        elif snapshot.values and not snapshot.tasks:
            return cast(RunState, snapshot.values)
        try:
            await graph.ainvoke(given, config, context=context, durability="sync")
        except PerfcrewError as error:
            # LangGraph notes its own name and id of the task, which say nothing to the user.
            error.__dict__.pop("__notes__", None)
            raise
        given = None


async def _ask(value: Any, manifest: Manifest, approve: Approve | None) -> Approval:
    if approve is None:
        raise ApprovalPending(f"the plan waits for approval: perfcrew run --resume {manifest.run_id} --approve")
    return await approve(Plan.model_validate(value["plan"]))
