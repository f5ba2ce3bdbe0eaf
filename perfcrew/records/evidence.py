"""What was measured: measurements, evidence, effects."""

from pydantic import Field, field_validator

from perfcrew.records.base import ArtifactRef, Better, Outcome, Record

DIGEST_CHARACTERS = 6400
"""2,000 tokens, at 3.2 characters each."""


class Measurement(Record):
    """One figure with what is needed to compute it again from its raw file."""

    id: str
    """Stable name from what was asked: `p95@dashboard/base`. Never from a clock or a content hash."""
    metric: str
    """Such as `http.p95_ms`, `db.queries_per_request`, `cpu.ms_per_request`."""
    unit: str
    better: Better
    workload: str
    arm: str
    commit: str
    value: float
    spread: float | None = None
    """Median absolute deviation in the same unit, where it makes sense."""
    count: int
    """Number of raw samples behind the value."""
    method: str
    """How to recompute: the name of a function in `perfcrew.stats.RECOMPUTE`, and its argument, as `percentile:95`."""
    samples: ArtifactRef
    instrument: str
    """Name and version, such as `locust 2.47.0`."""
    environment: str
    """Digest of machine and settings; measurements of different environments never compare."""
    doubt: str = ""
    """Why it does not count, such as that the load generator was the bottleneck; empty where it does."""


class Evidence(Record):
    """What an instrument saw: a digest for readers, the raw file by reference, figures as measurements."""

    id: str
    """Stable name, such as `cpu@dashboard/base` or `queries@GET /api/dashboard`."""
    kind: str
    """The instrument: load, cpu, memory, queries, explain, payload, tests, behaviour, duel, source …"""
    title: str
    digest: str
    """What a model or a person reads. What is beyond `DIGEST_CHARACTERS` is cut off at a line, and said so."""
    measurements: tuple[Measurement, ...] = ()
    artifact: ArtifactRef | None = None
    facts: dict[str, float | int | str | None] = Field(default_factory=dict)
    """The few values that detectors read, named by the instrument."""

    @field_validator("digest")
    @classmethod
    def _shorten(cls, digest: str) -> str:
        if len(digest) <= DIGEST_CHARACTERS:
            return digest
        kept = digest[: DIGEST_CHARACTERS - 80].rpartition("\n")[0] or digest[: DIGEST_CHARACTERS - 80]
        return f"{kept}\n[cut: {len(digest) - len(kept):,} more characters; the raw file has everything]"


class Effect(Record):
    """How one metric differs between two arms of a duel. A ratio says how many times *better* the candidate is."""

    metric: str
    workload: str
    unit: str
    better: Better
    base: float
    candidate: float
    ratio: float
    ratio_low: float
    ratio_high: float
    confidence: float
    floor: float
    """Relative change below which a difference counts as noise: 0.01 means one per cent."""
    exact: bool
    """A counted metric (queries, bytes) that needs no interval."""
    outcome: Outcome
    doubt: str = ""
    """Why it shows nothing, such as that the load generator was the bottleneck; empty where it counts."""


class Check(Record):
    """A yes-or-no question that code answered."""

    name: str
    passed: bool
    detail: str = ""
    held_out: bool = False
    """The detail shows what the coder must not see; reasons name the check without it."""

    @property
    def shown(self) -> str:
        """The detail as whoever writes code may read it."""
        return "its details are held out" if self.held_out else self.detail


class Verdict(Record):
    """Outcome and reason of a comparison, built by one function so that they cannot differ."""

    outcome: Outcome
    reason: str
    accepted: bool
    effects: tuple[Effect, ...] = ()
    checks: tuple[Check, ...] = ()
    samples: ArtifactRef | None = None
    """The duel's raw cells."""

    @property
    def too_noisy(self) -> bool:
        """Nothing was shown because the measurement was too noisy to tell, and not because nothing changed."""
        return self.outcome == "underpowered"
