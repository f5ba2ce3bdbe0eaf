"""Who does which job of a batch: submit, lease, report. Here on one machine, in a folder that survives any crash."""

import fcntl
import json
import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from perfcrew.errors import UserError
from perfcrew.llm.entries import whole_part
from perfcrew.records.base import Record
from perfcrew.records.batch import Job, JobBegun, JobResult

R = TypeVar("R", bound=Record)
RESULTS, BEGUN = "results.jsonl", "begun.jsonl"
LEAST_USD = 0.01
"""No job is begun with less money than this."""
UNFINISHED = (2, 3)
"""Exit codes of jobs that may be tried again."""


class Lease(Record):
    """A job that a worker has taken, and what it may use."""

    job: Job
    run_id: str | None = None
    """The run of an earlier try, to go on with."""
    usd: float | None = None
    """Most money for it; None where the batch has no limit of its own."""


class Queue(Protocol):
    """What workers of a batch need; whether they are tasks of one process or hosts is no concern of theirs."""

    def submit(self, jobs: Iterable[Job]) -> None:
        """Add jobs; those with a result already are not done again."""
        ...

    def lease(self) -> Lease | None:
        """The next job, or None where there is none that may be begun."""
        ...

    def report(self, news: JobBegun | JobResult) -> None:
        """Tell that a job has a run, or what became of it."""
        ...


class FolderQueue:
    """A queue whose state is JSON Lines in a folder: each line is on disk before the next step is taken.

    Args:
        folder: made where it is missing; one process at a time works on it.
        usd: most money for all jobs together; None without a limit.
        workers: how many share the money at once.
        retry: give jobs that failed another try.
        told: gets each result when it is on disk.

    Raises:
        UserError: another process works on the folder, or it can't be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        usd: float | None = None,
        workers: int = 1,
        retry: bool = False,
        told: Callable[[JobResult], None] = lambda _: None,
    ) -> None:
        self.folder, self._usd, self._workers, self._retry, self._told = folder, usd, workers, retry, told
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "batch.lock").open("ab")
        except OSError as error:
            raise UserError(f"{folder}: can't be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise UserError(f"{folder}: another batch is at work there; wait for it, or name another --out") from None
        self._begun = {line.job: line.run_id for line in _read(folder / BEGUN, JobBegun)}
        self._results = {line.job: line for line in _read(folder / RESULTS, JobResult)}
        self._jobs: list[Job] = []
        self._waiting: deque[Job] = deque()
        self._promised: dict[str, float] = {}

    @property
    def has_begun(self) -> bool:
        """Whether an earlier call worked here."""
        return bool(self._begun or self._results)

    @property
    def results(self) -> list[JobResult]:
        """The newest result of each submitted job that has one, in the order of submission."""
        return [self._results[job.id] for job in self._jobs if job.id in self._results]

    def submit(self, jobs: Iterable[Job]) -> None:
        """Add jobs; those with a result already are not done again."""
        for job in jobs:
            self._jobs.append(job)
            known = self._results.get(job.id)
            if known is None or (self._retry and known.exit_code in UNFINISHED):
                self._waiting.append(job)

    def lease(self) -> Lease | None:
        """The next job with its share of the money that is neither spent nor promised; None where none is left."""
        while self._waiting:
            job = self._waiting.popleft()
            share = self._share()
            if share is None or share >= LEAST_USD:
                self._promised[job.id] = share or 0.0
                return Lease(job=job, run_id=self._begun.get(job.id), usd=share)
            reason = f"not begun: the batch's ${self._usd:.2f} are spent or promised to jobs at work"
            self.report(
                JobResult(job=job.id, path=job.path, title=job.title, variation=job.variation, model=job.model,
                          exit_code=3, reason=reason)
            )  # fmt: skip
        return None

    def report(self, news: JobBegun | JobResult) -> None:
        """Tell that a job has a run, or what became of it."""
        if isinstance(news, JobBegun):
            self._begun[news.job] = news.run_id
            _append(self.folder / BEGUN, news)
            return
        self._promised.pop(news.job, None)
        self._results[news.job] = news
        _append(self.folder / RESULTS, news)
        self._told(news)

    def close(self) -> None:
        """Let another process work on the folder."""
        self._lock.close()

    def _share(self) -> float | None:
        if self._usd is None:
            return None
        bought = {job.id for job in self._jobs if job.replay is None}
        spent = sum(result.usd or 0.0 for result in self.results if result.job in bought)
        free = max(1, self._workers - len(self._promised))
        return (self._usd - spent - sum(self._promised.values())) / min(free, len(self._waiting) + 1)


def _append(path: Path, line: Record) -> None:
    with path.open("ab") as file:
        file.write(line.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, kind: type[R]) -> list[R]:
    """The lines of a file; what a crash left of the last one is taken away."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = whole_part(content)
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    lines = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            lines.append(kind.model_validate(json.loads(line)))
        except (ValueError, ValidationError):
            raise UserError(f"{path}, line {number}: not a line of this version; name another --out") from None
    return lines
