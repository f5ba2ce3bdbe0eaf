"""`perfcrew batch`: many targets, variations and models; a JSON line for each, a summary at the end."""

import asyncio
import dataclasses
import hashlib
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from graphs.engine import RunOptions, prepare, run
from graphs.runs import MANIFEST, new_run_id
from perfcrew.artifacts import write_whole
from perfcrew.entry.batch_file import read_jobs
from perfcrew.entry.batch_queue import FolderQueue, Lease, Queue
from perfcrew.entry.drive import Stopped, exit_code, run_to_end, settings_of
from perfcrew.entry.recipes import options_of
from perfcrew.entry.shelf import write_pages
from perfcrew.errors import UserError
from perfcrew.llm.accounts import count_usage
from perfcrew.llm.choice import choose
from perfcrew.records.batch import BatchSummary, Job, JobBegun, JobResult
from perfcrew.records.events import Event
from perfcrew.records.report import Report
from perfcrew.report.summary import head_line
from perfcrew.report.terminal import safe
from perfcrew.settings import Settings
from tools.lease import FILE, TURNS, Turns, locked
from tools.target import load_target

_TOLD = ("phase_started", "warning")


def run_batch(given: Mapping[str, Any]) -> int:
    """Do all jobs; the worst of their exit codes."""
    file: Path = given["file"]
    jobs = read_jobs(file)
    again = given["resume"] or given["retry_failed"]
    out = given["out"] or _place(file, settings_of({}), again=again)
    began = time.monotonic()
    told: list[JobResult] = []

    def tell(result: JobResult) -> None:
        told.append(result)
        click.echo(result.model_dump_json())
        click.echo(f"{len(queue.results)} of {len(jobs)}: {result.title}: {result.gain or result.reason}", err=True)

    queue = FolderQueue(
        out, usd=given["budget_usd"], workers=given["jobs"], retry=given["retry_failed"], told=tell
    )  # fmt: skip
    go_on = f"perfcrew batch {shlex.quote(str(file))} --out {shlex.quote(str(out))} --resume"
    worker = Worker(queue, file.resolve().parent, out, given)
    try:
        if queue.has_begun and not again:
            raise UserError(f"{out}: an earlier batch is there; go on with it by --resume, or name another --out")
        queue.submit(jobs)
        run_to_end(worker.work(given["jobs"]))
    except Stopped as error:
        error.add_note(f"go on with: {go_on}")
        raise
    finally:
        summary = BatchSummary(
            file=file.name, jobs=len(jobs), results=tuple(queue.results), wall_seconds=time.monotonic() - began,
            sequential_seconds=sum(result.seconds for result in told) - worker.shared_seconds,
        )  # fmt: skip
        if queue.has_begun:
            _conclude(summary, out)
        queue.close()
    return summary.exit_code


def _place(file: Path, settings: Settings, *, again: bool) -> Path:
    """Where a batch's results are when no --out names a folder: a new one, or the newest of the same file."""
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]
    folder = settings.home / "batches"
    earlier = sorted(folder.glob(f"{file.stem}-{digest}-*"))
    if again and not earlier:
        raise UserError(f"{file}: no batch of it to go on with in {folder}; name its folder by --out")
    return earlier[-1] if again else folder / f"{file.stem}-{digest}-{new_run_id()}"


def _conclude(summary: BatchSummary, out: Path) -> None:
    """Write the summary and say where it is."""
    from perfcrew.report.batch_page import describe_time, render_batch, render_batch_page

    write_whole(out / "summary.md", render_batch(summary).encode())
    write_whole(out / "summary.html", render_batch_page(summary).encode())
    click.echo(describe_time(summary), err=True)
    click.echo(f"Summary: {out / 'summary.html'}", err=True)


class Worker:
    """Does the jobs of a queue as tasks of one process.

    What is timed holds the quiet lease, whichever job it belongs to, so that no job disturbs another's figures; waits
    for models overlap.
    """

    def __init__(self, queue: Queue, folder: Path, out: Path, given: Mapping[str, Any]) -> None:
        self._queue, self._folder, self._out, self._given = queue, folder, out, given
        self._console = Console(stderr=True, highlight=False)
        self._cpu_s = self._cpu_of_jobs_s = 0.0

    @property
    def shared_seconds(self) -> float:
        """How long, at most, jobs took longer because this process was computing for others meanwhile."""
        return max(0.0, self._cpu_of_jobs_s - self._cpu_s)

    async def work(self, tasks: int) -> None:
        """Take jobs, so many at a time, until there is none."""
        began = time.process_time()
        try:
            await self._share(tasks)
        finally:
            self._cpu_s = time.process_time() - began

    async def _share(self, tasks: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(self._take_turns())

    async def _take_turns(self) -> None:
        while (lease := self._queue.lease()) is not None:
            self._queue.report(await self.do(lease))

    async def do(self, lease: Lease) -> JobResult:
        """Do a job and time it; whatever happens to it becomes its result."""
        job, turns, began, computed = lease.job, Turns(), time.monotonic(), time.process_time()
        TURNS.set(turns)
        found = await self.carry_out(lease)
        self._cpu_of_jobs_s += time.process_time() - computed
        blocked = turns.blocked_s
        return JobResult(
            job=job.id, path=job.path, title=job.title, variation=job.variation, model=job.model, **found,
            seconds=round(max(0.0, time.monotonic() - began - blocked), 3), blocked_seconds=round(blocked, 3),
        )  # fmt: skip

    async def carry_out(self, lease: Lease) -> dict[str, Any]:
        """Run a job's run to its end; the fields of its result."""
        run_id: str | None = None
        try:
            settings = self._settings(lease)
            options = await self._begin(lease, settings)
            run_id = options.run_id
            report = await run(options, settings=settings, watch=lambda event: self._show(lease.job, event))
            # Drawing pages keeps a core busy: not while another job is timed.
            async with locked(settings.home / FILE):
                return self._deliver(report, settings)
        except UserError as error:
            return {"exit_code": 2, "reason": str(error), "run_id": run_id}
        except Exception as error:  # noqa: BLE001  one failed job must not stop the others
            notes = " ".join(getattr(error, "__notes__", ()))
            reason = f"{type(error).__name__}: {error} {notes}".strip()
            if run_id is None:
                return {"exit_code": 3, "reason": reason}
            reason += f"; go on with: perfcrew run --resume {run_id}"
            return {"exit_code": 3, "reason": reason, "run_id": run_id, **_used(settings, options)}

    def _settings(self, lease: Lease) -> Settings:
        given = {**self._given, "model": lease.job.model or self._given.get("model"), "budget_usd": None}
        settings = settings_of(given)
        if lease.usd is None or lease.usd >= settings.budget_usd:
            return settings
        return settings_of({**given, "budget_usd": lease.usd})

    async def _begin(self, lease: Lease, settings: Settings) -> RunOptions:
        """The options of the job's run: that of an earlier try, or a new one that has its folder from now on."""
        if lease.run_id and (settings.home / "runs" / lease.run_id / MANIFEST).is_file():
            return options_of({"resume": lease.run_id}, settings)
        values = lease.job.model_dump() | {
            name: self._folder / value if (value := getattr(lease.job, name)) else None
            for name in ("config", "context", "replay")
        }
        options = options_of({**values, "path": self._folder / lease.job.path}, settings)
        manifest, _ = await prepare(options, settings)
        self._queue.report(JobBegun(job=lease.job.id, run_id=manifest.run_id))
        return dataclasses.replace(options, run_id=manifest.run_id)

    def _deliver(self, report: Report, settings: Settings) -> dict[str, Any]:
        """Write the report's pages, also beside the results; what the result says of it."""
        page = write_pages(settings.home / "runs" / report.run_id, report)
        write_whole(
            self._out / f"{report.run_id}.json", report.model_dump_json(by_alias=True, indent=1).encode()
        )  # fmt: skip
        page = Path(shutil.copyfile(page, self._out / f"{report.run_id}.html"))
        usage = report.usage
        return {
            "exit_code": exit_code(report), "run_id": report.run_id, "outcome": report.outcome,
            "goals_met": report.goals_met, "reason": report.reason, "gain": head_line(report),
            "branch": report.branch, "report": str(page), "usd": usage.usd,
            "tokens": usage.input_tokens + usage.output_tokens,
        }  # fmt: skip

    def _show(self, job: Job, event: Event) -> None:
        if event.kind in _TOLD:
            text = f"{event.phase}: {event.text}" if event.phase else event.text
            self._console.print(
                safe(f"  {job.title}: {text}", "yellow" if event.kind == "warning" else "dim"), soft_wrap=True
            )


def _used(settings: Settings, options: RunOptions) -> dict[str, Any]:
    """What a job without a report has used, so that the batch's money is counted whole."""
    try:
        models = load_target(options.repo, options.config)[0].models
    except UserError:
        # The description is gone, and with it what it says of prices.
        return {}
    journal = settings.home / "runs" / str(options.run_id) / "journal.jsonl"
    usage = count_usage(journal, choose(settings, models).catalogue.price)
    return {"usd": usage.usd, "tokens": usage.input_tokens + usage.output_tokens}
