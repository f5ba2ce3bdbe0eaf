"""What a run works with, from its manifest: journal, models, workspace, budget; and what it leaves when it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agents.crew import Absent, Crew, Limits
from graphs.phase import Run
from graphs.runs import Manifest, claim_run
from graphs.tracing import traced
from graphs.workplace import make_workspace, redact_logs
from perfcrew.event_log import EVENT_LOG
from perfcrew.llm.accounts import place_of
from perfcrew.llm.base import LLM, Listener, Reply, Request
from perfcrew.llm.budget import Budget
from perfcrew.llm.choice import Chosen, allow, choose
from perfcrew.llm.connect import Access, connect, locate
from perfcrew.llm.journal import Journal
from perfcrew.llm.limits import Limited
from perfcrew.llm.recording import Recording
from perfcrew.llm.tokens import count_bytes, load_tables
from perfcrew.records.base import Role
from perfcrew.records.events import Event
from perfcrew.settings import Settings
from tools.arm import clear_leftovers
from tools.database import close_databases
from tools.git import clone
from tools.workspace import Workspace

JOURNAL = "journal.jsonl"
Watch = Callable[[Event], None]
Overhear = Callable[[Role], Listener]
"""Gives who hears a role's text while it comes."""


@asynccontextmanager
async def at_work(
    manifest: Manifest,
    folder: Path,
    settings: Settings,
    watch: Watch,
    overhear: Overhear | None = None,
    journal: str = JOURNAL,
) -> AsyncIterator[Run]:
    """The context of a run, for as long as it is at work; nothing that it started outlives it.

    Raises:
        UserError: another process is at work on the run.
    """
    watch = EVENT_LOG.listen(watch, manifest.run_id)
    with claim_run(folder):
        async with traced(manifest, settings, watch):
            context = await assemble(manifest, folder, settings, watch, overhear, journal)
            crew = context.crew
            try:
                yield context
            finally:
                await crew.llm.aclose()
                if not manifest.frozen:
                    await close_databases(crew.workspace)
                redact_logs(crew.workspace)
                crew.journal.close()


def open_journal(manifest: Manifest, workspace: Workspace, name: str = JOURNAL) -> Journal:
    """The run's journal, with the recording behind it when one stands in."""
    source = None
    if manifest.replay:
        replies = not manifest.live_model
        source = Recording(manifest.replay, frozen=manifest.frozen, strict=manifest.strict, replies=replies)
    journal = Journal(workspace.folder / name, source, workspace.artifacts.redactor)
    journal.note("label", source.label if source and source.replies else manifest.answered_by)
    journal.note("base", manifest.base)
    return journal


def limits_of(journal: Journal, settings: Settings) -> Limits:
    """How long the run may go on trying: as the run began, or as the recording did that stands in for the model."""
    recorded = journal.source.value("limits") if journal.source else None
    journal.note(
        "limits",
        recorded
        or {
            "rounds": settings.max_rounds,
            "attempts": settings.max_attempts,
            "steps": settings.max_steps,
            "ideas": settings.max_ideas,
        },
    )
    return Limits(**journal.fact("limits"))


async def assemble(
    manifest: Manifest,
    folder: Path,
    settings: Settings,
    watch: Watch,
    overhear: Overhear | None = None,
    journal_name: str = JOURNAL,
) -> Run:
    """Everything that nodes need at run time. What a killed process left behind is ended and cleaned first."""
    workspace = make_workspace(manifest, folder, settings)
    chosen = choose(settings, workspace.target.models)
    if not manifest.frozen:
        clear_leftovers(workspace)
        redact_logs(workspace)
        await clone(manifest.repo, workspace.clone)
    journal = open_journal(manifest, workspace, journal_name)
    allowed = allow(settings, workspace.target.budget)
    limits = allowed.model_dump(exclude={"roles"})
    budget = Budget(**limits, roles=allowed.roles, price=chosen.catalogue.price)
    for lane, reply in journal.replies():
        role, phase = place_of(lane)
        budget.charge(reply, role, phase)
        budget.spend(reply.seconds, role)
    answered = not journal.live
    tables = await load_tables(settings.tiktoken_cache_dir) if settings.tiktoken_cache_dir else None
    crew = Crew(
        models=chosen.tiers,
        llm=Absent() if answered else Routed(settings, chosen, budget, watch),
        journal=journal,
        workspace=workspace,
        budget=budget,
        watch=watch,
        limits=limits_of(journal, settings),
        count=tables or count_bytes,
        roles=chosen.roles,
        catalogue=chosen.catalogue,
        overhear=overhear,
    )
    if not answered:
        for gap in filter(None, map(chosen.catalogue.gaps, chosen.names)):
            watch(Event(kind="note", text=gap))
    return Run(crew, manifest.repo)


def check_models(chosen: Chosen, settings: Settings) -> None:
    """Look whether every model can be asked, before anything is started.

    Raises:
        UserError: a key is missing, or an address isn't one.
    """
    for model in chosen.names:
        locate(model, **_access(settings))


def _access(settings: Settings) -> Access:
    return Access(
        anthropic_api_key=settings.anthropic_api_key,
        anthropic_base_url=settings.anthropic_base_url,
        openai_api_key=settings.openai_api_key,
        openai_base_url=settings.openai_base_url,
        openai_chat_api_key=settings.openai_chat_api_key,
        openai_chat_base_url=settings.openai_chat_base_url,
    )


class Routed:
    """Sends each request to the client of its model; models of one run may be of several providers.

    Args:
        settings: keys and addresses.
        chosen: the models.
        budget: refuses calls when overdrawn.
        watch: told of each retry.
        sleep: waits between tries.
    """

    def __init__(
        self,
        settings: Settings,
        chosen: Chosen,
        budget: Budget,
        watch: Watch,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._chosen, self._budget, self._watch, self._sleep = chosen, budget, watch, sleep
        self._adapters: list[Any] = []
        self._clients: dict[str, LLM] = {model: self._connect(model, settings) for model in chosen.names}

    def _connect(self, model: str, settings: Settings) -> LLM:
        client = connect(
            model,
            timeout=settings.reply_timeout_s,
            stream=settings.stream_replies,
            catalogue=self._chosen.catalogue,
            **_access(settings),
        )
        self._adapters.append(client)
        return Limited(client, self._budget, watch=self._watch, sleep=self._sleep)

    async def complete(self, request: Request, listener: Listener | None = None) -> Reply:
        """Answer through the model's client."""
        return await self._clients[request.model].complete(request, listener)

    async def aclose(self) -> None:
        """Close the connections."""
        for adapter in self._adapters:
            await adapter.aclose()
