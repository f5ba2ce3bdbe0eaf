"""A batch: the jobs that a file asks for, and what became of each."""

from perfcrew.records.base import Record
from perfcrew.records.work import Variation


class Job(Record):
    """One run of a batch: a target under one variation with one model."""

    id: str
    """From what is asked, so that the same line means the same job when a batch goes on."""
    path: str
    """Paths are relative to the batch's file."""
    name: str | None = None
    config: str | None = None
    context: str | None = None
    variation: Variation = "full"
    security: bool = False
    replay: str | None = None
    recorded_tools: bool = False
    model: str | None = None
    quick: bool = False

    @property
    def title(self) -> str:
        """What people call it."""
        parts = (self.name or self.path, self.variation if self.variation != "full" else "", self.model or "")
        return " ".join(part for part in parts if part)


class JobBegun(Record):
    """A job has a run of its own, by which it can be gone on with."""

    job: str
    run_id: str


class JobResult(Record):
    """What became of one job."""

    job: str
    path: str
    title: str
    variation: Variation
    model: str | None
    exit_code: int
    run_id: str | None = None
    outcome: str = "incomplete"
    goals_met: bool = False
    reason: str
    gain: str = ""
    """The report's headline; empty without a report."""
    branch: str | None = None
    report: str | None = None
    """The page's path."""
    usd: float | None = None
    """None where a price is unknown."""
    tokens: int = 0
    seconds: float = 0.0
    """Wall clock of the newest try, without what `blocked_seconds` holds."""
    blocked_seconds: float = 0.0
    """How long it stood still because another job of the batch held the quiet lease."""


class BatchSummary(Record):
    """A whole batch."""

    file: str
    jobs: int
    """How many the file asks for; fewer results where it was stopped."""
    results: tuple[JobResult, ...]
    wall_seconds: float
    """Of the call that made the summary."""
    sequential_seconds: float
    """What the jobs of that call take one after the other, at least."""

    @property
    def saved_seconds(self) -> float:
        """What working on several jobs at once saved that call, at least."""
        return max(0.0, self.sequential_seconds - self.wall_seconds)

    @property
    def exit_code(self) -> int:
        """The worst of the jobs'; 3 where some have no result."""
        return max([3 * (len(self.results) < self.jobs), *(result.exit_code for result in self.results)])
