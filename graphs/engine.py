"""The engine that every way in calls: start or resume a run, and get its report."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from langgraph.types import Command

from agents.crew import Absent, Crew, Limits
from graphs.checkpoints import open_checkpoints
from graphs.phase import Run
from graphs.recipe import Recipe, build
from graphs.runs import REPORT, Manifest, new_run_id, read_manifest, run_folder, write_manifest, write_result
from graphs.state import RunState, start
from graphs.workplace import make_workspace
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.llm.base import LLM, Reply, Request
from perfcrew.llm.budget import Budget
from perfcrew.llm.connect import connect
from perfcrew.llm.journal import Journal, Recording
from perfcrew.llm.limits import Limited
from perfcrew.llm.tokens import count_bytes, load_tables
from perfcrew.records.base import Record
from perfcrew.records.events import Event
from perfcrew.records.report import Report
from perfcrew.records.work import Plan, RecipeRequest
from perfcrew.settings import Settings
from tools.arm import clear_leftovers
from tools.database import close_databases
from tools.git import clone, inspect_repo
from tools.target import load_target

Watch = Callable[[Event], None]
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
    answered_by: str = ""
    """Who answers, for the journal: a recording made from it carries this label."""
    quick: bool = False
    """Shorter measurements with wider intervals."""


async def run(options: RunOptions, *, settings: Settings, watch: Watch, approve: Approve | None = None) -> Report:
    """Run the recipe, or go on with a run that stopped.

    Raises:
        UserError: something the user can mend; nothing was started.
        ApprovalPending: a plan waits and there is nobody to ask.
        PerfcrewError: the run could not go on; it is resumable by its id.
    """
    manifest, folder = await prepare(options, settings)
    async with open_checkpoints(folder) as checkpoints, at_work(manifest, folder, settings, watch) as context:
        state = await _drive(build(checkpoints), manifest, context, approve)
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
    load_target(options.repo, options.config)
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
        request=options.request,
        replay=options.replay.resolve() if options.replay else None,
        frozen=options.frozen,
        answered_by=options.answered_by or f"{settings.model}, {settings.model_quick}",
        quick=options.quick,
    )
    folder = run_folder(settings.home, manifest.run_id, new=True)
    write_manifest(folder, manifest)
    return manifest, folder


@asynccontextmanager
async def at_work(manifest: Manifest, folder: Path, settings: Settings, watch: Watch) -> AsyncIterator[Run]:
    """The context of a run, for as long as it is at work; nothing that it started outlives it."""
    journal = open_journal(manifest, folder)
    try:
        context = await assemble(manifest, folder, journal, settings, watch)
        try:
            yield context
        finally:
            await context.crew.llm.aclose()
            if not manifest.frozen:
                await close_databases(context.crew.workspace)
    finally:
        journal.close()


def open_journal(manifest: Manifest, folder: Path) -> Journal:
    """The run's journal, with the recording behind it when one stands in."""
    source = Recording(manifest.replay, frozen=manifest.frozen) if manifest.replay else None
    journal = Journal(folder / "journal.jsonl", source)
    journal.note("label", source.label if source else manifest.answered_by)
    journal.note("base", manifest.base)
    return journal


def limits_of(journal: Journal, settings: Settings) -> Limits:
    """How long the run may go on trying: as the run began, or as the recording did that stands in for the model."""
    recorded = journal.source.value("limits") if journal.source else None
    journal.note(
        "limits",
        recorded or {"rounds": settings.max_rounds, "attempts": settings.max_attempts, "steps": settings.max_steps},
    )
    return Limits(**journal.fact("limits"))


async def assemble(manifest: Manifest, folder: Path, journal: Journal, settings: Settings, watch: Watch) -> Run:
    """Everything that nodes need at run time."""
    workspace = make_workspace(manifest, folder, settings)
    if not manifest.frozen:
        clear_leftovers(workspace)
        await clone(manifest.repo, workspace.clone)
    budget = Budget(
        turns=settings.budget_turns,
        tokens=settings.budget_tokens,
        usd=settings.budget_usd,
        minutes=settings.budget_minutes,
    )
    for lane, reply in journal.replies():
        budget.charge(reply, role=lane.split("/")[2])
    tables = await load_tables(settings.tiktoken_cache_dir) if settings.tiktoken_cache_dir else None
    crew = Crew(
        models={"strong": settings.model, "quick": settings.model_quick},
        llm=Absent() if journal.source else Routed(settings, budget, watch),
        journal=journal,
        workspace=workspace,
        budget=budget,
        watch=watch,
        limits=limits_of(journal, settings),
        count=tables or count_bytes,
    )
    return Run(crew, manifest.repo)


class Routed:
    """Sends each request to the client of its model, connecting at first use."""

    def __init__(self, settings: Settings, budget: Budget, watch: Watch) -> None:
        self._settings, self._budget, self._watch = settings, budget, watch
        self._clients: dict[str, LLM] = {}
        self._adapters: list[Any] = []
        for model in {settings.model, settings.model_quick}:
            self._clients[model] = self._connect(model)

    def _connect(self, model: str) -> LLM:
        settings = self._settings
        client = connect(
            model,
            anthropic_api_key=settings.anthropic_api_key,
            anthropic_base_url=settings.anthropic_base_url,
            openai_api_key=settings.openai_api_key,
            openai_base_url=settings.openai_base_url,
            timeout=settings.reply_timeout_s,
        )
        self._adapters.append(client)
        return Limited(client, self._budget, watch=self._watch)

    async def complete(self, request: Request) -> Reply:
        """Answer through the model's client."""
        return await self._clients[request.model].complete(request)

    async def aclose(self) -> None:
        """Close the connections."""
        for adapter in self._adapters:
            await adapter.aclose()


async def _drive(graph: Recipe, manifest: Manifest, context: Run, approve: Approve | None) -> RunState:
    """Invoke until the graph ends, asking a person wherever it interrupts."""
    config: Any = {"configurable": {"thread_id": manifest.run_id}, "recursion_limit": SUPERSTEPS}
    snapshot = await graph.aget_state(config)
    context.go_on_from(snapshot.values.get("phases", []))
    given: Any = None if snapshot.values else start(manifest.request, manifest.base)
    if snapshot.values and not snapshot.next and not snapshot.values.get("report"):
        raise UserError(f"run {manifest.run_id} can't be resumed: its checkpoints end before a report")
    while True:
        snapshot = await graph.aget_state(config)
        waiting = [item for task in snapshot.tasks for item in task.interrupts]
        if waiting:
            given = Command(resume=(await _ask(waiting[0].value, manifest, approve)).model_dump())
        elif snapshot.values and not snapshot.next:
            return cast(RunState, snapshot.values)
        await graph.ainvoke(given, config, context=context, durability="sync")
        given = None


async def _ask(value: Any, manifest: Manifest, approve: Approve | None) -> Approval:
    if approve is None:
        raise ApprovalPending(f"the plan waits for approval: perfcrew run --resume {manifest.run_id} --approve")
    return await approve(Plan.model_validate(value["plan"]))
