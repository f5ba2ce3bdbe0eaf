"""What the crew passes on: request, findings, plan, changes, board, snapshot."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from perfcrew.records.base import ArtifactRef, Record, Role
from perfcrew.records.evidence import Check, Verdict

Variation = Literal["full", "api", "frontend", "database", "microservices"]
FindingKind = Literal[
    "n_plus_one", "missing_index", "slow_query", "large_payload", "no_compression", "memory_leak", "blocking_call",
    "cpu_hot_path", "cache_miss", "pool_exhausted", "repeated_computation", "serialisation", "bundle_size",
    "layout_shift", "slow_paint", "slow_interaction", "blocked_rendering", "heavy_image", "duplicate_index",
    "unused_index", "round_trips", "low_capacity", "memory_peak", "other",
]  # fmt: skip
Severity = Literal["low", "medium", "high", "critical"]
Level = Literal["low", "medium", "high"]
Layer = Literal["database", "backend", "frontend", "infrastructure"]
Status = Literal["BACKLOG", "TODO", "IN_PROGRESS", "IN_REVIEW", "DONE", "DROPPED", "BLOCKED"]


class PerformanceContext(Record):
    """The issue in the user's words."""

    issue: str = ""
    components: str = ""
    current_metrics: str = ""
    target_metrics: str = ""


class TechnicalEnvironment(Record):
    """Where the application runs."""

    stack: str = ""
    infrastructure: str = ""
    traffic: str = ""
    data_volume: str = ""


class Constraints(Record):
    """What limits the work."""

    budget: str = ""
    timeline: str = ""
    compatibility: str = ""
    downtime: str = ""


class RecipeRequest(Record):
    """What the user asks for: the recipe's common context template as typed fields."""

    context: PerformanceContext = PerformanceContext()
    environment: TechnicalEnvironment = TechnicalEnvironment()
    constraints: Constraints = Constraints()
    variation: Variation = "full"
    security: bool = False
    """Run the optional security branch in validation."""
    approve: bool = False
    """Ask a person before anything is implemented."""


class Order(Record):
    """A phase that a user asked for by its command."""

    role: Role
    said: str = ""
    """The user's words about it."""
    phase: int | None = None
    """The recipe's phase, where the user named it: tells a baseline from a validation, and what runs side by side."""


class Place(Record):
    """Where a finding is."""

    path: str | None = None
    line: int | None = None
    symbol: str | None = None
    endpoint: str | None = None
    fingerprint: str | None = None


class Finding(Record):
    """A bottleneck, with the evidence that shows it."""

    id: str
    """`kind@place`, such as `n_plus_one@GET /api/dashboard`."""
    kind: FindingKind
    place: Place
    claim: str
    evidence: tuple[str, ...]
    """Ids of evidence or measurements."""
    share: float | None = None
    """Share of end-to-end time, 0 to 1; None where the instrument can't tell."""
    unshared: str = ""
    """Why there is no share; empty where there is one, and where a model proposed the finding."""
    severity: Severity
    remedy: str
    prevention: str
    source: str
    """`detector` or the role of the agent that proposed it."""
    covers: tuple[str, ...] = ()
    """Queries and source lines (`path:line`) that it is about beside its place: what names one of them names this."""


class Criterion(Record):
    """A measurable condition for success."""

    metric: str
    """A metric name such as `http.p95_ms`."""
    workload: str
    comparison: Literal["at_most", "at_least", "improve_by"]
    value: float
    """In the metric's unit; for `improve_by` the ratio, 2.0 meaning twice as good."""


class PlanStep(Record):
    """One idea, to be one commit."""

    id: str
    """Derived from the findings it addresses and its layer: `fix:n_plus_one@GET /api/dashboard`."""
    title: str
    findings: tuple[str, ...]
    layer: Layer
    hypothesis: str
    metric: str
    """The metric that should move."""
    workload: str
    predicted_ratio: float
    """How many times better the metric should become."""
    impact: Level
    effort: Level
    risk: Level
    side_effects: str
    rollback: str
    monitoring: str
    test_strategy: str
    files: tuple[str, ...] = ()


class Plan(Record):
    """The architect's answer."""

    round: int
    summary: str
    steps: tuple[PlanStep, ...]
    criteria: tuple[Criterion, ...]
    risks: str
    rollback: str


class Attempt(Record):
    """One try at a step: what was changed and what became of it."""

    number: int
    diff: ArtifactRef | None
    summary: str
    verdict: Verdict | None
    reason: str


def deciding_attempt(attempts: Sequence[Attempt]) -> Attempt:
    """The attempt that says what became of a step: the last that was judged, or else the last."""
    judged = [attempt for attempt in attempts if attempt.verdict is not None]
    return judged[-1] if judged else attempts[-1]


class Change(Record):
    """What became of a plan step."""

    step: str
    title: str
    commit: str | None
    kept: bool
    reason: str
    touched: tuple[str, ...] = ()
    lines_added: int = 0
    lines_removed: int = 0
    diff: ArtifactRef | None = None
    verdict: Verdict | None = None
    attempts: tuple[Attempt, ...] = ()
    withdrawn: bool = False
    """It was kept by itself, but the branch as a whole was refused with it, so that an earlier one is offered."""


class Card(Record):
    """A task on the board."""

    id: str
    title: str
    role: Role
    status: Status
    note: str = ""


class CriticalPath(Record):
    """A route and what it runs through."""

    route: str
    functions: tuple[str, ...]
    tables: tuple[str, ...]
    note: str


class Snapshot(Record):
    """The memory-sync agent's answer: the architecture as it stands."""

    summary: str
    components: tuple[str, ...]
    critical_paths: tuple[CriticalPath, ...]
    patterns: tuple[str, ...]
    """Optimisation patterns that are in use already."""
    graph: dict[str, int] = Field(default_factory=dict)
    """How many nodes and edges of each kind the knowledge graph holds."""


class Review(Record):
    """What a validating agent says beside the checks: it can only reject."""

    role: Role
    summary: str
    concerns: tuple[str, ...]
    checks: tuple[Check, ...]
