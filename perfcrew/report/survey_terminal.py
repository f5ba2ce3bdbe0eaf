"""A survey on the terminal: the summary first, then findings, then tables."""

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from perfcrew.records.survey import Survey
from perfcrew.records.work import Finding, Place
from perfcrew.report.figures import name_kind, show_seconds
from perfcrew.report.survey_views import Table, headlines, tables
from perfcrew.report.terminal import safe

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
_BAR = 10


def print_survey(survey: Survey, console: Console, page: Path | None = None) -> None:
    """Print the survey. `page` is where the HTML page is."""
    console.print()
    what = f" {survey.subject}" if survey.subject else ""
    console.print(safe(survey.target, "bold").append(safe(f" at {survey.commit[:12]}{what}", "dim")))
    for subject, answer in headlines(survey):
        console.print(Padding(Text(f"{subject:<8} ", style="cyan").append(safe(answer)), (0, 0, 0, 2)))
    _print_findings(survey, console)
    for table in tables(survey):
        console.print()
        console.print(draw_table(table))
    if survey.notes:
        console.print()
        for note in survey.notes:
            console.print(Text("note: ", style="yellow").append(safe(note.splitlines()[0])))
    console.print()
    console.print(f"{len(survey.metrics)} figures in {show_seconds(survey.seconds)}.", style="dim")
    if page is not None:
        console.print(safe(f"Page: {page}  (verify it: perfcrew verify {survey.run_id})"), soft_wrap=True)


def _print_findings(survey: Survey, console: Console) -> None:
    console.print()
    if not survey.findings:
        console.print(Text("Nothing found that is worth mending.", style="green"))
        return
    count = len(survey.findings)
    console.print(Text(f"{count} finding{'s' if count > 1 else ''}, by share of end-to-end time", style="bold"))
    for finding in survey.findings:
        console.print(_head(finding))
        body = safe(finding.claim).append("\n→ ", style="cyan").append(safe(finding.remedy))
        body.append(safe(f"\n  {' '.join(finding.evidence)}", "dim"))
        console.print(Padding(body, (0, 0, 0, 18)))


def _head(finding: Finding) -> Text:
    style = _STYLES[finding.severity]
    share = "      –" if finding.share is None else f"{finding.share:7.0%}"
    filled = round(_BAR * (finding.share or 0.0))
    bar = Text(
        f" {'█' * filled}{'░' * (_BAR - filled)} " if finding.share is not None else " " * (_BAR + 2), style=style
    )
    where = describe_place(finding.place)
    title = Text(name_kind(finding.kind), style=style)
    return Text(share, style=style).append(bar).append(title).append(safe(f"  {where}" if where else "", "bold"))


def describe_place(place: Place) -> str:
    """Where a finding is, in one line."""
    line = f":{place.line}" if place.line else ""
    parts = [place.endpoint or "", f"{place.path}{line}" if place.path else "", place.symbol or ""]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def draw_table(table: Table) -> RichTable:
    """A table as rich draws it."""
    drawn = RichTable(title=table.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    drawn.caption, drawn.caption_justify, drawn.caption_style = table.note or None, "left", "dim"
    for number, name in enumerate(table.header):
        figure = number >= table.figures
        drawn.add_column(
            name, justify="right" if figure else "left", no_wrap=True, overflow="ellipsis", header_style="dim"
        )
    for row in table.rows:
        drawn.add_row(*(safe(cell) for cell in row))
    return drawn
