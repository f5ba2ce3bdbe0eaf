"""What `perfcrew measure` and `perfcrew compare` give: what others read. Fields are only ever added."""

from typing import Literal

from pydantic import ConfigDict, Field

from perfcrew.records.base import ArtifactRef, Outcome, Record
from perfcrew.records.evidence import Check, Effect, Evidence, Measurement
from perfcrew.records.work import Finding


class WorkloadRow(Record):
    """A workload as it was asked."""

    name: str
    kind: str
    requests: tuple[str, ...] = ()
    """`GET /path` as described, or the command."""
    users: int = 1
    think_s: float = 0.0


class Survey(Record):
    """What one version of an application does: metrics, findings, and the evidence that both come from."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    commit: str
    environment: dict[str, str]
    """The machine; measurements of different environments never compare."""
    workloads: tuple[WorkloadRow, ...]
    """The first one is the primary one."""
    metrics: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    """The gravest first, among equals the largest share of end-to-end time."""
    notes: tuple[str, ...]
    """What could not be measured, and the remedy; what was left out."""
    run_id: str = ""
    target: str = ""
    subject: str = ""
    """First line of the commit's message."""
    dirty: bool = False
    """The worktree held changes that are not in the commit, and so were not measured."""
    quick: bool = False
    seconds: float = 0.0
    """Wall time of it all."""
    evidence: tuple[Evidence, ...] = ()
    """Without measurements: `metrics` has them."""
    seal: str = ""
    """SHA-256 of all other fields."""
    model_config = ConfigDict(populate_by_name=True)


class Revision(Record):
    """One side of a comparison."""

    name: str
    """As the user gave it."""
    commit: str
    subject: str = ""
    worktree: bool = False
    """The worktree as it stood; `commit` holds it in the comparison's own clone."""


class Bout(Record):
    """One workload's duel between two revisions, and what it says."""

    workload: str
    outcome: Outcome
    reason: str
    effects: tuple[Effect, ...]
    samples: ArtifactRef
    noise: tuple[Effect, ...] = ()
    """The base against itself, measured before."""
    noise_samples: ArtifactRef | None = None
    seconds: float = 0.0
    guards: tuple[Effect, ...] = ()
    """What no win on another workload may make worse here: tail, writes, errors."""


class Comparison(Record):
    """Two revisions side by side."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    base: Revision
    candidate: Revision
    outcome: Outcome
    """The worst of the workloads' outcomes; `improved` where one improved and none became worse."""
    reason: str
    environment: dict[str, str]
    bouts: tuple[Bout, ...]
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    run_id: str = ""
    target: str = ""
    quick: bool = False
    seconds: float = 0.0
    seal: str = ""
    model_config = ConfigDict(populate_by_name=True)
