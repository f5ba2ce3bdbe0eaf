"""Replay a recorded session: with its recorded tool results in seconds, without a network; or with live tools."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from evals.case import Case, make_repository
from graphs.engine import RunOptions, run
from perfcrew.artifacts import write_whole
from perfcrew.errors import ReplayDrift, UserError
from perfcrew.llm.entries import read_entries, write_line
from perfcrew.llm.journal import STANDS_FOR, Journal
from perfcrew.llm.recording import Recording
from perfcrew.records.base import Record
from perfcrew.records.events import Event
from perfcrew.records.evidence import Check
from perfcrew.records.report import Report
from perfcrew.records.work import RecipeRequest
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


async def replay(
    case: Case,
    *,
    settings: Settings,
    watch: Callable[[Event], None],
    strict: bool = False,
    live_tools: bool = False,
    record: bool = False,
    request: RecipeRequest | None = None,
) -> tuple[Report | None, Grade]:
    """Run a case's recording through today's graph, agents and gates.

    Args:
        case: with a recording.
        settings: where the run lives.
        watch: gets events.
        strict: a request that differs from the recorded one fails the replay, with a diff; otherwise it is listed.
        live_tools: really measure, patch and test, in a scratch repository; minutes instead of seconds.
        request: what the user wants; by default nothing but the target's goals.
        record: let this run take the recording's place when it passed.

    Returns:
        The report, None where a strict replay ended before one; and the grade.

    Raises:
        UserError: the case has no recording.
    """
    if not case.recording.exists():
        raise UserError(f"case {case.name} has no recording: {case.recording} does not exist")
    with tempfile.TemporaryDirectory(prefix="perfcrew-replay-") as scratch:
        repo = await make_repository(case, Path(scratch) / case.name) if live_tools else case.app
        options = RunOptions(
            repo=repo, config=case.config, replay=case.recording, frozen=not live_tools, strict=strict,
            request=request or RecipeRequest(),
        )  # fmt: skip
        try:
            report = await run(options, settings=settings, watch=watch)
        except ReplayDrift as error:
            check = Check(name="asked as recorded", passed=False, detail=str(error))
            return None, Grade(case=case.name, passed=False, checks=(check,), drift=())
    journal = settings.home / "runs" / report.run_id / "journal.jsonl"
    graded = grade(case, report).model_copy(update={"drift": (*list_drift(case, journal), *_lost(report))})
    if record and graded.passed:
        refresh(case, journal)
    return report, graded


def list_drift(case: Case, journal: Path) -> tuple[str, ...]:
    """Where a replay's requests differ from the recorded ones, a line each: the conversation, the turn, the parts."""
    replayed = Journal(journal, Recording(case.recording, frozen=True))
    replayed.close()
    renamed = (f"{lane}: answered by the recorded {other}" for lane, other in replayed.renamed.items())
    return (*renamed, *(f"{place}: {parts}" for place, parts in replayed.drift.items()))


def _lost(report: Report) -> tuple[str, ...]:
    marks = ("stale", "the recording has no")
    return tuple(note for note in report.notes if any(mark in note for mark in marks))


def refresh(case: Case, journal: Path) -> None:
    """Let a replay's journal take the place of the case's recording."""
    kept = (write_line(entry) for entry in read_entries(journal) if not entry.key.startswith(STANDS_FOR))
    write_whole(case.recording, b"".join(kept))


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
    return Grade(case=case.name, passed=all(check.passed for check in checks), checks=tuple(checks), drift=())


def _equal(name: str, got: object, expected: object) -> Check:
    return Check(
        name=name, passed=got == expected, detail=f"{got!r}" if got == expected else f"{got!r}, expected {expected!r}"
    )
