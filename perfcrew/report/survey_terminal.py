"""A survey on the terminal: the summary first, then findings, then tables."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from perfcrew.records.survey import Survey
from perfcrew.records.work import Finding, Place
from perfcrew.report.figures import clean, name_kind, show_seconds
from perfcrew.report.survey_views import Table, doubts, headlines, nothing_found, tables
from perfcrew.report.terminal import safe

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
_BAR = 10
_LEAST = 8


def print_survey(survey: Survey, console: Console, page: Path | None = None) -> None:
    """Print the survey. `page` is where the HTML page is."""
    console.print()
    what = f" {survey.subject}" if survey.subject else ""
    console.print(safe(survey.target, "bold").append(safe(f" at {survey.commit[:12]}{what}", "not bold dim")))
    for subject, answer in headlines(survey):
        console.print(Padding(Text(f"{subject:<8} ", style="cyan").append(safe(answer)), (0, 0, 0, 2)))
    _print_findings(survey, console)
    for table in tables(survey):
        for part in split_table(table, console.width):
            console.print()
            console.print(draw_table(part, console.width))
    notes = (*doubts(survey), *survey.notes)
    if notes:
        console.print()
        for note in notes:
            console.print(Text("note: ", style="yellow").append(safe(note.splitlines()[0])))
    console.print()
    console.print(f"{len(survey.metrics)} figures in {show_seconds(survey.seconds)}.", style="dim")
    if page is not None:
        console.print(safe(f"Page: {page}  (verify it: perfcrew verify {survey.run_id})"), soft_wrap=True)


def _print_findings(survey: Survey, console: Console) -> None:
    console.print()
    if not survey.findings:
        console.print(Text(f"{nothing_found(survey)}.", style="green"))
        return
    count = len(survey.findings)
    head = f"{count} finding{'s' if count > 1 else ''}, the gravest first, with shares of end-to-end time"
    console.print(Text(head, style="bold"))
    told: set[str] = set()
    for finding in survey.findings:
        console.print(_head(finding), no_wrap=True, overflow="ellipsis")
        body = safe(finding.claim)
        if finding.remedy not in told:
            body.append("\n→ ", style="cyan").append(safe(finding.remedy))
            told.add(finding.remedy)
        body.append(safe(f"\n  {' '.join(finding.evidence)}", "dim"))
        console.print(Padding(body, (0, 0, 0, 5)))


def _head(finding: Finding) -> Text:
    style = _STYLES[finding.severity]
    share = "      –" if finding.share is None else f"{finding.share:7.0%}"
    filled = round(_BAR * (finding.share or 0.0))
    bar = Text(
        f" {'█' * filled}{'░' * (_BAR - filled)} " if finding.share is not None else " " * (_BAR + 2), style=style
    )
    where = describe_place(finding.place)
    title = Text(name_kind(finding.kind), style=style)
    return Text(share, style=style).append(bar).append(title).append(safe(f"  {where}" if where else ""))


def describe_place(place: Place) -> str:
    """Where a finding is, in one line."""
    line = f":{place.line}" if place.line else ""
    parts = [place.endpoint or "", f"{place.path}{line}" if place.path else "", place.symbol or ""]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def draw_table(table: Table, width: int) -> RichTable:
    """A table as rich draws it: figures whole, texts cut to what is left of the width."""
    drawn = RichTable(title=table.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    drawn.caption, drawn.caption_justify, drawn.caption_style = table.note or None, "left", "dim"
    widths = fit_texts(table, width)
    for number, name in enumerate(table.header):
        figure = number >= table.figures
        drawn.add_column(
            name, justify="right" if figure else "left", no_wrap=True, header_style="dim", vertical="bottom"
        )
    for row in table.rows:
        texts = (cut(clean(cell), most) for cell, most in zip(row, widths, strict=False))
        drawn.add_row(*(Text(cell) for cell in (*texts, *row[table.figures :])))
    return drawn


def fit_texts(table: Table, width: int) -> list[int]:
    """How wide each column of text may be, so that the figures keep their places; at least `_LEAST` each."""

    left = width - sum(_widest(table, number) + 2 for number in range(table.figures, len(table.header)))
    wanted = [_widest(table, number) for number in range(table.figures)]
    given = [0] * len(wanted)
    # The narrow ones get all that they want, and what they leave goes to the others.
    for rank, number in enumerate(sorted(range(len(wanted)), key=lambda each: wanted[each])):
        share = (left - sum(given) - 2 * len(wanted) + 2) // (len(wanted) - rank)
        given[number] = min(wanted[number], max(share, _LEAST))
    return given


def split_table(table: Table, width: int) -> list[Table]:
    """The table in parts whose figures fit side by side, each with the same texts in front."""
    room = width - sum(min(_widest(table, number), _LEAST) + 2 for number in range(table.figures))
    parts: list[list[int]] = [[]]
    left = room
    for number in range(table.figures, len(table.header)):
        needed = _widest(table, number) + 2
        if parts[-1] and needed > left:
            parts.append([])
            left = room
        parts[-1].append(number)
        left -= needed
    texts = list(range(table.figures))
    return [
        replace(
            table, title=f"{table.title}, more" if rank else table.title,
            header=tuple(table.header[number] for number in [*texts, *part]),
            rows=tuple(tuple(row[number] for number in [*texts, *part]) for row in table.rows),
            note=table.note if rank == len(parts) - 1 else "",
        )
        for rank, part in enumerate(parts)
    ]  # fmt: skip


def _widest(table: Table, number: int) -> int:
    header = max(len(line) for line in table.header[number].split("\n"))
    return max(header, *(len(row[number]) for row in table.rows))


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else f"{text[: max(most - 1, 0)]}…"
