"""The summary of a batch, as Markdown and as one self-contained HTML page."""

from collections import Counter
from pathlib import PurePath

from perfcrew.records.batch import BatchSummary, JobResult
from perfcrew.report.figures import clean, name_outcome, show_money, show_seconds
from perfcrew.report.html import find_template
from perfcrew.report.markdown import escape

HEADER = ("Job", "Outcome", "Goals", "What it came to", "Took", "Cost", "Branch", "Exit code")


def count_outcomes(summary: BatchSummary) -> str:
    """How many jobs came to what, in one line."""
    counts = Counter(_outcome(result) for result in summary.results)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    waiting = summary.jobs - len(summary.results)
    return f"{summary.jobs} jobs: {told or 'none done'}" + (f", {waiting} not done yet" if waiting else "")


def describe_time(summary: BatchSummary) -> str:
    """How long the last call took, and what doing several jobs at once saved."""
    return (
        f"This call took {show_seconds(summary.wall_seconds)}; its jobs one after the other take "
        f"{show_seconds(summary.sequential_seconds)}: {show_seconds(summary.saved_seconds)} saved."
    )


def batch_rows(summary: BatchSummary) -> list[tuple[str, ...]]:
    """A row for each job under `HEADER`."""
    return [
        (result.title, _outcome(result), "met" if result.goals_met else "not met", _told(result),
         show_seconds(result.seconds), show_money(result.usd) if result.run_id else "–", result.branch or "–",
         str(result.exit_code))
        for result in summary.results
    ]  # fmt: skip


def render_batch(summary: BatchSummary) -> str:
    """The summary as Markdown."""
    lines = [f"# Batch {clean(summary.file)}", "", count_outcomes(summary) + ".", "", describe_time(summary), ""]
    lines += [f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    lines += [f"| {' | '.join(escape(text) for text in row)} |" for row in batch_rows(summary)]
    return "\n".join(lines) + "\n"


def render_batch_page(summary: BatchSummary) -> str:
    """The summary as a page; it leads to the reports that lie beside it."""
    pages = [PurePath(result.report).name if result.report else "" for result in summary.results]
    return find_template("batch.html").render(
        summary=summary,
        counted=count_outcomes(summary),
        time=describe_time(summary),
        header=HEADER,
        rows=list(zip(summary.results, batch_rows(summary), pages, strict=True)),
    )


def _outcome(result: JobResult) -> str:
    if result.exit_code == 2:
        return "mistake"
    return name_outcome(result.outcome) if result.run_id and result.report else "failed"


def _told(result: JobResult) -> str:
    return result.gain or result.reason
