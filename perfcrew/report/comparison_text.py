"""A comparison on the terminal, and in Markdown made for a comment on a pull request."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from perfcrew.records.evidence import Effect
from perfcrew.records.metrics import METRICS
from perfcrew.records.survey import Bout, Comparison, Revision
from perfcrew.report.figures import (
    name_metric,
    name_outcome,
    show_change,
    show_figure,
    show_interval,
    show_ratio,
    show_seconds,
)
from perfcrew.report.markdown import escape
from perfcrew.report.survey_terminal import cut
from perfcrew.report.survey_views import Table, short_name
from perfcrew.report.terminal import safe

_STYLES = {"improved": "bold green", "regressed": "bold red", "underpowered": "yellow"}
_MARKS = {"improved": "🟢", "regressed": "🔴", "underpowered": "🟡", "no_significant_change": "⚪"}
_WIDE = 92
"""Columns of a terminal that has room for every column of a comparison."""
_LEAST_NAME = 17
"""Characters of a metric's name that are enough to know it."""
_HEADER = ("metric", "base", "candidate", "change", "better", "interval", "outcome")


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison: the outcome first, then each workload's metrics."""
    style = _STYLES.get(comparison.outcome, "bold")
    console.print()
    console.print(Text(name_outcome(comparison.outcome).capitalize(), style=style))
    console.print(safe(comparison.reason))
    console.print(safe(f"{comparison.target}: {_name(comparison.base)} → {_name(comparison.candidate)}", "dim"))
    for bout in comparison.bouts:
        console.print()
        console.print(_draw(bout, console.width))
    for check in comparison.checks:
        mark = Text("✓ ", style="green") if check.passed else Text("✗ ", style="red")
        console.print(mark.append(safe(check.name)).append(safe(f"  {check.detail}".rstrip(), "dim")))
    for note in comparison.notes:
        console.print(Text("note: ", style="yellow").append(safe(note)))
    console.print()
    console.print(
        safe(f"{show_seconds(comparison.seconds)}; verify it: perfcrew verify {comparison.run_id}", "dim"),
        soft_wrap=True,
    )


def _draw(bout: Bout, width: int) -> RichTable:
    """The bout's effects, figures whole; where the terminal is narrow the interval alone says how much better."""
    table = RichTable(title=bout.workload, title_justify="left", title_style="bold", box=None, pad_edge=False)
    effects = list(shown_effects(bout))
    rows = [effect_cells(effect) for effect in effects]
    titles = list(_HEADER) if width >= _WIDE else [*_HEADER[:5], "times better", _HEADER[6]]
    shown = [number for number, name in enumerate(_HEADER) if width >= _WIDE or name != "better"]
    room = _room(width, shown, titles, rows)
    if room < _LEAST_NAME:
        shown = [number for number in shown if _HEADER[number] != "change"]
        room = _room(width, shown, titles, rows)
    for number in shown:
        figure = 0 < number < len(_HEADER) - 1
        table.add_column(titles[number], justify="right" if figure else "left", header_style="dim", no_wrap=True)
    for effect, (name, *figures, outcome) in zip(effects, rows, strict=True):
        texts = [safe(cut(name, max(room, _LEAST_NAME))), *map(safe, figures)]
        row = [*texts, Text(outcome, style=_STYLES.get(effect.outcome, ""))]
        table.add_row(*(row[number] for number in shown))
    return table


def _room(width: int, shown: Sequence[int], titles: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """What the other columns, with two blanks each, leave to the metric's name."""
    others = (max(len(titles[number]), *(len(row[number]) for row in rows)) for number in shown[1:])
    return width - sum(widest + 2 for widest in others)


def shown_effects(bout: Bout) -> Iterator[Effect]:
    """The effects that a reader needs: all but guards that say nothing."""
    for effect in bout.effects:
        quiet = METRICS[effect.metric].basis == "sampled" and effect.outcome == "no_significant_change"
        if not quiet or effect.metric in ("http.error_rate", "memory.peak_mb"):
            yield effect


def effect_cells(effect: Effect) -> tuple[str, ...]:
    """An effect as a table's cells, in the order of the header."""
    rate = effect.metric == "http.error_rate"
    return (
        short_name(effect.metric),
        show_figure(effect.metric, effect.base),
        show_figure(effect.metric, effect.candidate),
        show_change(effect.base, effect.candidate),
        "–" if rate else show_ratio(effect.ratio),
        "exact" if effect.exact else "–" if rate else show_interval(effect.ratio_low, effect.ratio_high),
        name_outcome(effect.outcome).removeprefix("no significant ").replace("change", "–"),
    )


def render_comparison(comparison: Comparison) -> str:
    """The comparison as Markdown: a headline, a table for each workload, the fine print folded away."""
    base, candidate = comparison.base, comparison.candidate
    lines = [
        f"### {_MARKS[comparison.outcome]} Performance: {name_outcome(comparison.outcome)}", "",
        f"{escape(comparison.reason)}.", "",
        f"{escape(comparison.target)}: {_name_markdown(base)} → {_name_markdown(candidate)}",
    ]  # fmt: skip
    for bout in comparison.bouts:
        rows = tuple(_mark_row(effect) for effect in shown_effects(bout))
        lines += ["", *_table(Table(bout.workload, _HEADER, rows))]
    if comparison.checks:
        failed = [check for check in comparison.checks if not check.passed]
        lines += ["", f"Checks: {len(comparison.checks) - len(failed)} of {len(comparison.checks)} passed."]
        lines += [f"- ✗ {escape(check.name)}: {escape(check.detail[:300])}" for check in failed]
    lines += ["", "<details><summary>How this was measured</summary>", "", *_fine_print(comparison), "", "</details>"]
    return "\n".join(lines) + "\n"


def _mark_row(effect: Effect) -> tuple[str, ...]:
    *cells, outcome = effect_cells(effect)
    return (*cells, f"{_MARKS[effect.outcome]} {outcome}")


def _table(table: Table) -> list[str]:
    rule = ["---", *("---:" for _ in table.header[1:-1]), "---"]
    lines = [f"**{escape(table.title)}**", "", f"| {' | '.join(table.header)} |", f"| {' | '.join(rule)} |"]
    return [*lines, *(f"| {' | '.join(escape(cell) for cell in row)} |" for row in table.rows)]


def _fine_print(comparison: Comparison) -> Iterable[str]:
    machine = ", ".join(f"{name} {value}" for name, value in comparison.environment.items())
    loads = [bout for bout in comparison.bouts if bout.noise_samples]
    if loads:
        yield (
            "Both versions ran side by side and were loaded by turns, over several fresh starts; the interval says how "
            "many times better the candidate is. A difference counts only beyond what the base shows against itself:"
        )
        yield ""
    if len(loads) < len(comparison.bouts):
        yield (
            "- Pages: both versions ran side by side and were visited by turns by a real browser; the interval is that "
            "of the exact Mann–Whitney test, and the risk of a false alarm is shared among all vitals of all pages."
        )
    for bout in loads:
        floors = "; ".join(
            f"{name_metric(effect.metric)} {show_interval(effect.ratio_low, effect.ratio_high)}"
            for effect in bout.noise
            if METRICS[effect.metric].basis == "timed"
        )
        yield f"- {escape(bout.workload)}, base against itself: {escape(floors)}"
    yield from (f"- {escape(note)}" for note in comparison.notes)
    yield f"- {show_seconds(comparison.seconds)} on {escape(machine)}; `perfcrew verify {comparison.run_id}`"


def _name(revision: Revision) -> str:
    short = revision.commit[:12]
    if revision.worktree:
        return "the worktree"
    return short if revision.commit.startswith(revision.name) else f"{revision.name} ({short})"


def _name_markdown(revision: Revision) -> str:
    if revision.worktree:
        return "the worktree"
    return f"`{revision.commit[:12]}` {escape(revision.subject)}".rstrip()
