"""The report: what others read. The JSON form is stable; fields are only ever added."""

from typing import Literal

from pydantic import ConfigDict, Field

from perfcrew.records.base import ArtifactRef, Better, Outcome, Record, RunOutcome
from perfcrew.records.evidence import Check, Effect, Evidence, Measurement
from perfcrew.records.work import Attempt, Card, Criterion, Finding, Plan, RecipeRequest, Review, Snapshot


class MetricRow(Record):
    """One metric before and after; `ratio` says how many times better it became."""

    name: str
    workload: str
    unit: str
    better: Better
    base: float
    candidate: float
    ratio: float
    ratio_low: float
    ratio_high: float
    confidence: float
    outcome: str
    exact: bool = False
    doubt: str = ""
    """Why it does not count; empty where it does."""


class ChangeRow(Record):
    """One plan step and what became of it."""

    commit: str | None
    title: str
    kept: bool
    reason: str
    metrics: tuple[MetricRow, ...]
    step: str
    touched: tuple[str, ...]
    lines_added: int
    lines_removed: int
    diff: ArtifactRef | None
    samples: ArtifactRef | None
    attempts: tuple[Attempt, ...] = ()
    outcome: Outcome | None = None
    """What its own duel found; None when it never came to one."""
    withdrawn: bool = False
    """Its own verdict accepted it, but the branch as a whole was refused with it."""


class CriterionRow(Record):
    """A success criterion of the plan, the target or the recipe, ticked by code."""

    name: str
    met: bool | None
    """None: not applicable; the detail says why."""
    detail: str


class PhaseRow(Record):
    """When a phase ran, in seconds since the run began."""

    name: str
    seconds: float
    started: float
    group: str = ""
    """Phases of one group ran in parallel."""


class UsageRow(Record):
    """What was asked of models, and what it cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    usd: float | None = None
    """None where the price of a model is unknown."""
    model_calls: int = 0
    cached_share: float = 0.0
    """Part of the input that was read from a cache of the provider's."""


class UsagePart(UsageRow):
    """The part of one role in one phase with one model."""

    role: str
    phase: str
    model: str


class UsageTable(UsageRow):
    """The sum, and its parts."""

    rows: tuple[UsagePart, ...] = ()
    unpriced: tuple[str, ...] = ()
    """Models whose price is unknown."""


class PageDuel(Record):
    """A page of the composed branch against the base's."""

    workload: str
    effects: tuple[Effect, ...]
    samples: ArtifactRef


class Handover(Record):
    """What a branch brings along so that its gains last, in a last commit of its own, and how it was checked."""

    commit: str | None
    """None where the target's tests did not pass with these files, so that they are not offered."""
    files: tuple[str, ...]
    checks: tuple[Check, ...]
    absent: dict[str, str] = Field(default_factory=dict)
    """Name of a check to why there is nothing to check."""


class Report(Record):
    """A whole run."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    run_id: str
    outcome: RunOutcome
    goals_met: bool
    reason: str
    metrics: tuple[MetricRow, ...]
    changes: tuple[ChangeRow, ...]
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    criteria: tuple[CriterionRow, ...]
    gates: tuple[CriterionRow, ...]
    phases: tuple[PhaseRow, ...]
    sequential_seconds: float
    wall_seconds: float
    usage: UsageTable
    models: tuple[str, ...]
    branch: str | None
    # What follows is beyond the stable core: everything needed to draw and verify the report.
    target: str = ""
    base_commit: str = ""
    head_commit: str = ""
    request: RecipeRequest = RecipeRequest()
    answered_by: str = ""
    """Who gave the replies: a model service, or the label of the recording that stood in for one."""
    plans: tuple[Plan, ...] = ()
    snapshot: Snapshot | None = None
    reviews: tuple[Review, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    effects: tuple[Effect, ...] = ()
    """The final duel, from which `metrics` comes."""
    duel_samples: ArtifactRef | None = None
    pages: tuple[PageDuel, ...] = ()
    """The vitals of each page, which `metrics` has as well."""
    noise: tuple[Effect, ...] = ()
    """The A/A duel: the base against itself."""
    noise_samples: ArtifactRef | None = None
    board: tuple[Card, ...] = ()
    prompts: dict[str, str] = Field(default_factory=dict)
    """Prompt name to digest."""
    notes: tuple[str, ...] = ()
    """What could not be done here, and the remedy; stale edits; drift of a replay."""
    environment: dict[str, str] = Field(default_factory=dict)
    goals: tuple[Criterion, ...] = ()
    """The target's goals, which `goals_met` and `criteria` judge."""
    workloads: dict[str, str] = Field(default_factory=dict)
    """Workload name to kind; the first one decides."""
    database: str | None = None
    """Engine of the target's database; empty where it has none, None in reports of before this was noted."""
    failures: tuple[str, ...] = ()
    """Why validation could not be done; empty when it was."""
    handover: Handover | None = None
    """None where no branch is offered."""
    seal: str = ""
    """SHA-256 of all other fields: catches a slip in those that no raw file gives, such as usage."""
    model_config = ConfigDict(populate_by_name=True)
