"""Runs of the crew that a host started: they go on when the call that started them has returned."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphs.engine import Approval, ApprovalPending, Approve, RunOptions, prepare, run
from graphs.runs import run_folder
from graphs.session import run_orders
from perfcrew.entry.commands import parse_commands
from perfcrew.entry.shelf import write_pages
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.records.events import Event
from perfcrew.records.report import Report
from perfcrew.records.work import Order, Plan, RecipeRequest
from perfcrew.settings import Settings

LINES = 12
"""How many of the last lines a status shows."""
LASTING = ("phase_started", "phase_finished", "measured", "note", "warning")


@dataclass
class CrewRun:
    """One run at work, or what became of it."""

    run_id: str
    task: "asyncio.Task[Report] | None" = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    plan: Plan | None = None
    """A plan that waits for a person."""
    followers: list[Callable[[Event], None]] = field(default_factory=list)

    def watch(self, event: Event) -> None:
        """Hear an event."""
        if event.kind in LASTING and event.text:
            self.lines.append(event.text.splitlines()[0])
        for follower in self.followers:
            follower(event)

    @property
    def state(self) -> str:
        """`running`, `waiting` for approval, `finished`, `failed` or `stopped`."""
        if self.task is None or not self.task.done():
            return "running"
        if self.task.cancelled():
            return "stopped"
        error = self.task.exception()
        if error is None:
            return "finished"
        return "waiting" if isinstance(error, ApprovalPending) else "failed"

    @property
    def problem(self) -> str:
        """Why it did not finish, in one line."""
        if self.task is None or not self.task.done() or self.task.cancelled():
            return ""
        error = self.task.exception()
        if error is None:
            return ""
        return str(error) if isinstance(error, PerfcrewError) else f"unexpected {type(error).__name__}: {error}"


class CrewRuns:
    """The runs of one server.

    Args:
        repo: where they work.
        config: description of the target; None for the repository's own.
        settings: of this process.
    """

    def __init__(self, repo: Path, config: Path | None, settings: Settings) -> None:
        self._repo, self._config, self._settings = repo, config, settings
        self._known: dict[str, CrewRun] = {}

    def find(self, run_id: str) -> CrewRun | None:
        """A run that this server started."""
        return self._known.get(run_id)

    async def start(self, text: str, *, resume: str | None, writes: bool, quick: bool = False) -> CrewRun:
        """Start slash commands.

        Args:
            text: one or several, as `perfcrew exec` takes them.
            resume: the run on whose state they go on.
            writes: whether commands that patch are allowed.
            quick: shorter measurements.

        Raises:
            UserError: a command is not known or not allowed, or there is no such run.
        """
        commands = parse_commands(text, "text")
        recipe = next((command for command in commands if command.role is None), None)
        if recipe is not None and len(commands) > 1:
            raise UserError("/recipe runs all phases; expected it alone, got other commands beside it")
        if not writes and any(command.role in (None, "coder") for command in commands):
            raise UserError(
                "this server is read-only: to let the crew patch, start it as: perfcrew mcp --allow-patches"
            )
        request = RecipeRequest()
        if recipe is not None:
            context = request.context.model_copy(update={"issue": recipe.said})
            variation = recipe.variation or "full"
            request = RecipeRequest(context=context, variation=variation, approve=True)
        options = RunOptions(self._repo, self._config, request, run_id=resume, quick=quick)
        known = await self._begin(options)
        options = RunOptions(self._repo, self._config, request, run_id=known.run_id)
        if recipe is not None:
            work = run(options, settings=self._settings, watch=known.watch, approve=_wait(known))
        else:
            orders = [Order(role=one.role, said=one.said, phase=one.phase) for one in commands if one.role is not None]
            work = run_orders(options, orders, settings=self._settings, watch=known.watch)
        return self._go(known, work)

    async def approve(self, run_id: str, approval: Approval) -> CrewRun:
        """Answer a plan that waits; the run goes on."""

        async def answer(_: Plan) -> Approval:
            return approval

        options = RunOptions(self._repo, self._config, run_id=run_id)
        known = await self._begin(options)
        known.plan = None
        return self._go(known, run(options, settings=self._settings, watch=known.watch, approve=answer))

    async def stop(self, run_id: str) -> CrewRun:
        """Stop a run; everything that it started is ended, and it can be gone on with."""
        known = self._known.get(run_id)
        if known is None or known.task is None:
            raise UserError(f"{run_id}: no run of this server; it stops only what it started")
        known.task.cancel()
        await asyncio.wait([known.task])
        return known

    async def aclose(self) -> None:
        """Stop all."""
        tasks = [known.task for known in self._known.values() if known.task is not None and not known.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _begin(self, options: RunOptions) -> CrewRun:
        manifest, _ = await prepare(options, self._settings)
        if manifest.kind != "run":
            raise UserError(f"{manifest.run_id} is a {manifest.kind}, not a run of the crew")
        known = self._known.get(manifest.run_id)
        if known is not None and known.state == "running":
            raise UserError(f"{manifest.run_id} is at work; wait for it, or stop it first")
        self._known[manifest.run_id] = known = known or CrewRun(manifest.run_id)
        return known

    def _go(self, known: CrewRun, work: Coroutine[Any, Any, Report]) -> CrewRun:
        known.task = asyncio.create_task(work)
        known.task.add_done_callback(lambda _: self._keep_pages(known))
        return known

    def _keep_pages(self, known: CrewRun) -> None:
        if known.state == "finished" and known.task is not None:
            write_pages(run_folder(self._settings.home, known.run_id), known.task.result())


def _wait(known: CrewRun) -> Approve:
    async def hold(plan: Plan) -> Approval:
        known.plan = plan
        raise ApprovalPending("the plan waits for approval: show it to the user, then call approve_plan")

    return hold
