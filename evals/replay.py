"""Replay a recorded session with its recorded tool results: deterministic, in seconds, without a network."""

import json
from collections.abc import Callable

from pydantic import Field

from evals.case import Case
from graphs.engine import RunOptions, run
from perfcrew.errors import UserError
from perfcrew.records.base import Record
from perfcrew.records.events import Event
from perfcrew.records.evidence import Check
from perfcrew.records.report import Report
from perfcrew.settings import Settings


class Expectation(Record):
    """What a replay must give."""

    outcome: str
    goals_met: bool
    kept: tuple[str, ...]
    """Titles of the kept changes, in order."""
    dropped: int
    minimum: dict[str, float] = Field(default_factory=dict)
    """Metric name to the least `ratio_low`."""


class Grade(Record):
    """How a replay compares with what was expected."""

    case: str
    passed: bool
    checks: tuple[Check, ...]
    drift: tuple[str, ...]
    """Conversations where what is asked today differs from what was asked when recorded."""


async def replay(case: Case, *, settings: Settings, watch: Callable[[Event], None]) -> tuple[Report, Grade]:
    """Run a case's recording through today's graph, agents and gates.

    Raises:
        UserError: the case has no recording.
    """
    if not case.recording.exists():
        raise UserError(f"case {case.name} has no recording: {case.recording} does not exist")
    options = RunOptions(repo=case.app, config=case.config, replay=case.recording, frozen=True)
    report = await run(options, settings=settings, watch=watch)
    return report, grade(case, report)


def grade(case: Case, report: Report) -> Grade:
    """Compare a report with the case's expectation."""
    expected = Expectation.model_validate(json.loads(case.expectation.read_text(encoding="utf-8")))
    kept = tuple(change.title for change in report.changes if change.kept)
    dropped = sum(not change.kept for change in report.changes)
    checks = [
        _equal("outcome", report.outcome, expected.outcome),
        _equal("goals met", report.goals_met, expected.goals_met),
        _equal("kept changes", kept, expected.kept),
        _equal("dropped changes", dropped, expected.dropped),
    ]
    rows = {row.name: row for row in report.metrics}
    for name, least in expected.minimum.items():
        low = rows[name].ratio_low if name in rows else 0.0
        checks.append(Check(name=name, passed=low >= least, detail=f"ratio_low {low:.3g}, expected at least {least:g}"))
    drift = tuple(note for note in report.notes if note.startswith("replay:"))
    return Grade(case=case.name, passed=all(check.passed for check in checks), checks=tuple(checks), drift=drift)


def _equal(name: str, got: object, expected: object) -> Check:
    return Check(
        name=name, passed=got == expected, detail=f"{got!r}" if got == expected else f"{got!r}, expected {expected!r}"
    )
