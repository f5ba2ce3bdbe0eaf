"""From everything that a finished run knows to its report."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from perfcrew.records.base import ArtifactRef, Record
from perfcrew.records.evidence import Check, Effect, Evidence, Measurement
from perfcrew.records.report import ChangeRow, Handover, PageDuel, PhaseRow, Report, UsageTable
from perfcrew.records.target import Target
from perfcrew.records.work import Card, Change, Finding, Plan, RecipeRequest, Review, Snapshot
from perfcrew.report.derive import derive, row_metrics


class Comparison(Record):
    """A duel's effects and the raw cells that they come from."""

    effects: tuple[Effect, ...]
    samples: ArtifactRef | None


@dataclass(frozen=True)
class Material:
    """Everything that a finished run knows, nothing concluded yet."""

    run_id: str
    target: Target
    request: RecipeRequest
    base_commit: str
    phases: tuple[PhaseRow, ...]
    wall_seconds: float
    usage: UsageTable
    models: tuple[str, ...]
    answered_by: str
    head_commit: str = ""
    branch: str | None = None
    plans: tuple[Plan, ...] = ()
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    """Those that belong to no evidence, such as a duel's own."""
    final: Comparison | None = None
    """The branch as a whole against the base; None where nothing was kept, or it could not be measured."""
    pages: tuple[PageDuel, ...] = ()
    """The vitals of the branch's pages against the base's."""
    noise: Comparison | None = None
    """The base against itself."""
    checks: tuple[Check, ...] = ()
    reviews: tuple[Review, ...] = ()
    snapshot: Snapshot | None = None
    board: tuple[Card, ...] = ()
    prompts: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    """What kept validation from being done; makes the outcome `incomplete`."""
    handover: Handover | None = None


def build_report(material: Material) -> Report:
    """The report of a run: what it recorded, what follows from that, and a seal over both."""
    draft = Report(
        **_copy_fields(material),
        target=material.target.target.name,
        goals=material.target.goal,
        database=material.target.database.engine if material.target.database else "",
        workloads={workload.name: workload.kind for workload in material.target.workload},
        changes=tuple(row_change(change) for change in material.changes),
        effects=material.final.effects if material.final else (),
        duel_samples=material.final.samples if material.final else None,
        noise=material.noise.effects if material.noise else (),
        noise_samples=material.noise.samples if material.noise else None,
        outcome="incomplete",
        goals_met=False,
        reason="",
        metrics=(),
        criteria=(),
        gates=(),
        sequential_seconds=0.0,
    )
    concluded = draft.model_copy(update=dict(derive(draft)))
    return concluded.model_copy(update={"seal": seal_report(concluded)})


def row_change(change: Change) -> ChangeRow:
    """A change as the report's row, with its own duel's effects."""
    verdict = change.verdict
    return ChangeRow(
        commit=change.commit,
        title=change.title,
        kept=change.kept,
        reason=change.reason,
        metrics=row_metrics(verdict.effects) if verdict else (),
        step=change.step,
        touched=change.touched,
        lines_added=change.lines_added,
        lines_removed=change.lines_removed,
        diff=change.diff,
        samples=verdict.samples if verdict else None,
        attempts=change.attempts,
        outcome=verdict.outcome if verdict and verdict.effects else None,
        withdrawn=change.withdrawn,
    )


def seal_report(report: Report) -> str:
    """SHA-256 of the report's canonical JSON without its seal."""
    plain = report.model_dump(mode="json", by_alias=True, exclude={"seal"})
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _copy_fields(material: Material) -> dict[str, Any]:
    """What goes into the report as it is."""
    names = (
        "run_id", "request", "base_commit", "head_commit", "branch", "answered_by", "plans", "findings", "evidence",
        "measurements", "checks", "reviews", "snapshot", "board", "phases", "wall_seconds", "usage", "models",
        "prompts", "notes", "environment", "failures", "pages", "handover",
    )  # fmt: skip
    return {name: getattr(material, name) for name in names}
