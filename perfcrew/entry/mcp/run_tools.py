"""Runs of the crew as tools: start slash commands, look, answer a plan, stop. Starting does not wait for the end."""

import asyncio

from pydantic import Field

from graphs.engine import Approval
from graphs.runs import is_finished, list_runs, read_any, run_folder
from perfcrew.entry.mcp.crew_runs import CrewRun
from perfcrew.entry.mcp.measuring import cut, report_links
from perfcrew.entry.mcp.offer import Host, Offer, Told, Watch
from perfcrew.entry.mcp.resources import render
from perfcrew.errors import UserError
from perfcrew.records.base import Record


class RunCommands(Record):
    """What to run."""

    text: str = Field(
        min_length=1,
        description="slash commands as the user wrote them, over several lines: /agent:performance, "
        "/agent:memory-sync, /agent:architect, /agent:coder, /agent:tester, /agent:security, or /recipe alone",
    )
    resume: str | None = Field(default=None, description="run id on whose state they go on; a new run by default")
    wait_s: float = Field(default=30, ge=0, le=3600, description="seconds to wait; then the run goes on by itself")
    quick: bool = Field(default=False, description="shorter measurements with wider intervals")


class LookAtRun(Record):
    """Which run."""

    run_id: str = Field(min_length=1, description="its id, or `last`")
    wait_s: float = Field(default=0, ge=0, le=3600, description="seconds to wait for its end")


class ApprovePlan(Record):
    """The user's own decision about a plan; never yours."""

    run_id: str = Field(min_length=1)
    approved: bool
    note: str = Field(default="", description="what the user said")


class StopRun(Record):
    """Which run."""

    run_id: str = Field(min_length=1)


def run_offers() -> tuple[Offer, ...]:
    """All of them."""
    return (
        Offer(
            "run_commands",
            "Let perfcrew's crew carry out slash commands. Takes from minutes to hours and costs the user's model "
            "money; returns the run's id after at most wait_s seconds, then look with run_status.",
            RunCommands, run_commands,
        ),
        Offer(
            "run_status",
            "What a run is doing, or what came of it: its report when it has finished, its plan when that waits.",
            LookAtRun, run_status,
        ),
        Offer("stop_run", "Stop a run of this server; it can be gone on with.", StopRun, stop_run),
        Offer(
            "approve_plan",
            "Answer a plan that waits. Only after the user has seen the plan and said yes or no.",
            ApprovePlan, approve_plan, writes=True,
        ),
    )  # fmt: skip


async def run_commands(arguments: RunCommands, host: Host, watch: Watch) -> Told:
    """Start, and wait a little; a call that is cancelled while it waits stops what it started."""
    known = await host.runs.start(arguments.text, resume=arguments.resume, writes=host.writes, quick=arguments.quick)
    try:
        await _follow(known, watch, arguments.wait_s)
    except asyncio.CancelledError:
        await host.runs.stop(known.run_id)
        raise
    return _tell(known, host)


async def run_status(arguments: LookAtRun, host: Host, watch: Watch) -> Told:
    """A run of this server as it stands, or any run's report."""
    known = host.runs.find(arguments.run_id)
    if known is not None:
        await _follow(known, watch, arguments.wait_s)
        return _tell(known, host)
    home = host.settings.home
    newest = list_runs(home, most=1) if arguments.run_id == "last" else []
    folder = newest[0] if newest else run_folder(home, arguments.run_id)
    if not is_finished(folder):
        raise UserError(f"{folder.name} has not finished, and this server is not at work on it: resume it")
    text = cut(render(read_any(folder), "md"), folder.name)
    return Told(text=text, links=report_links(folder.name), value={"run_id": folder.name, "state": "finished"})


async def approve_plan(arguments: ApprovePlan, host: Host, watch: Watch) -> Told:
    """The run goes on with the plan, or ends without it."""
    known = await host.runs.approve(arguments.run_id, Approval(approved=arguments.approved, note=arguments.note))
    await _follow(known, watch, 1.0)
    return _tell(known, host)


async def stop_run(arguments: StopRun, host: Host, _: Watch) -> Told:
    """All that the run started is ended."""
    return _tell(await host.runs.stop(arguments.run_id), host)


async def _follow(known: CrewRun, watch: Watch, wait_s: float) -> None:
    if known.task is None or wait_s == 0:
        return
    known.followers.append(watch)
    try:
        await asyncio.wait([known.task], timeout=wait_s)
    finally:
        known.followers.remove(watch)


def _tell(known: CrewRun, host: Host) -> Told:
    value = {"run_id": known.run_id, "state": known.state}
    if known.state == "finished":
        report = read_any(run_folder(host.settings.home, known.run_id))
        return Told(text=cut(render(report, "md"), known.run_id), links=report_links(known.run_id), value=value)
    lines = [f"run {known.run_id}: {known.state}", *(f"- {line}" for line in known.lines)]
    if known.plan is not None and known.state == "waiting":
        lines += ["", f"Plan: {known.plan.summary}"]
        lines += [
            f"{number}. {step.title} (effort {step.effort}, risk {step.risk})"
            for number, step in enumerate(known.plan.steps, 1)
        ]
        lines.append("Show this to the user and ask; then call approve_plan.")
    elif known.state == "running":
        lines.append("It goes on by itself; look again with run_status and a wait_s.")
    elif known.problem:
        lines.append(known.problem)
    return Told(text="\n".join(lines), value=value, is_error=known.state == "failed")
