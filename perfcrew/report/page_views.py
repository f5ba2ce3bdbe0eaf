"""A web page as readers of the survey see it: its vitals and what it loads as tables, a visit as a waterfall."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from perfcrew.page_stats import visit_values
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.report.figures import show_bytes, show_number
from perfcrew.report.scales import Scale, choose_ticks
from perfcrew.report.survey_views import Table

MOST_REQUESTS = 24
_WIDTH, _NAME, _LINE, _TOP, _FOOT = 760, 190, 18, 26, 30
_MARKS = (("FCP", "page.fcp_ms"), ("LCP", "page.lcp_ms"))


def vital_table(found: Sequence[Evidence]) -> Table:
    """Each vital of each page: what it is about, how good it is, its median and the spread over the visits."""
    rows = [
        (
            _page(item), text(row, "short") + (" (retired)" if number(row, "retired") else ""), _about(row),
            text(row, "rating"), _value(row, "value"), f"{_value(row, 'least')} to {_value(row, 'most')}",
            show_number(number(row, "visits")),
        )
        for item in found
        for row in unpack_rows(item.facts, "vital")
    ]  # fmt: skip
    return Table(
        "Web vitals", ("page", "vital", "about", "rating", "median", "spread", "visits"), tuple(rows), 4,
        "By a real browser with a cold cache, under the page's throttling. FID (superseded by INP in March 2024) and "
        "TTI are retired: for information only.",
    )  # fmt: skip


def resource_table(found: Sequence[Evidence]) -> Table:
    """What each page loads, the largest first."""
    rows = [
        (
            text(row, "url"), _page(item), text(row, "type"), text(row, "http") or "–", text(row, "encoding"),
            text(row, "cache_control") or "–", show_bytes(number(row, "decoded")), show_bytes(number(row, "bytes")),
            f"{show_number(number(row, 'ttfb_ms'))} ms" if row.get("ttfb_ms") is not None else "–",
        )
        for item in found
        for row in unpack_rows(item.facts, "resource")
    ]  # fmt: skip
    header = ("resource", "page", "type", "HTTP", "encoding", "cache-control", "decoded", "on the\nwire", "first\nbyte")
    note = "A visit at full speed; bytes on the wire with headers."
    return Table("What pages load, by bytes on the wire", header, tuple(rows), 6, note)


def _page(item: Evidence) -> str:
    return item.id.partition("@")[2].rpartition("/")[0]


def _about(row: Row) -> str:
    told = [text(row, name) for name in ("element", "url", "script", "parts")]
    return "; ".join(part for part in told if part and part != "None") or "–"


def _value(row: Row, name: str) -> str:
    value = number(row, name)
    return f"{value:.3f}" if row["metric"] == "page.cls" else f"{show_number(float(f'{value:.3g}'))} ms"


def waterfall_rows(visit: Mapping[str, Any]) -> list[tuple[str, str, float, float, float, int]]:
    """The finished requests of a visit: address, type, start, first byte and end in ms since navigation, bytes."""
    finished = [entry for entry in visit["network"] if entry["end"]]
    rows = []
    for entry, (start, end) in zip(finished, visit["requests"], strict=True):
        parts = urlsplit(entry["url"])
        name = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        first = min(start + float(entry.get("ttfb_ms") or 0.0), end)
        rows.append((name, str(entry["type"]), start, first, end, int(entry["bytes"])))
    return rows


def draw_waterfall(visit: Mapping[str, Any], name: str, title: str) -> Markup:
    """A bar for each request: pale until its first byte, then full; lines where the page paints."""
    rows = waterfall_rows(visit)[:MOST_REQUESTS]
    values = visit_values(visit)
    paints = [(short, value) for short, metric in _MARKS if (value := values[metric]) is not None]
    last = max([row[4] for row in rows] + [value for _, value in paints], default=1.0)
    across = Scale(0.0, last * 1.04, _NAME, _WIDTH - 70)
    ground = _TOP + _LINE * len(rows)
    marks = [_axis(across, ground)]
    for at, (address, _, start, first, end, size) in enumerate(rows):
        marks.append(_bar(across, _TOP + _LINE * at, (address, start, first, end, size)))
    for at, (short, value) in enumerate(paints):
        x, y = across.place(value), _TOP - 14 + 10 * (at % 2)
        marks.append(
            Markup(
                '<line class="paint" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                '<text class="note" x="{3:.1f}" y="{1}">{4}</text>'
            ).format(x, y, ground, x + 3, short)
        )
    said = "; ".join(f"{short} at {value:,.0f} ms" for short, value in paints)
    return Markup(
        '<svg class="plot waterfall" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-about">'
        '<title id="{}-title">{}</title><desc id="{}-about">{} requests; {}.</desc>{}</svg>'
    ).format(
        _WIDTH, ground + _FOOT, name, name, name, title, name, len(visit["network"]), said, Markup("").join(marks)
    )  # fmt: skip


def _axis(across: Scale, ground: int) -> Markup:
    marks = []
    for tick in choose_ticks(across.low, across.high):
        if tick > across.high:
            continue
        x = across.place(tick)
        marks.append(
            Markup(
                '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/><text class="tick mid" x="{0:.1f}" '
                'y="{3}">{4:g}</text>'
            ).format(x, _TOP, ground, ground + 15, tick)
        )
    middle = (_NAME + _WIDTH - 70) / 2
    marks.append(Markup('<text class="axis mid" x="{}" y="{}">ms since navigation</text>').format(middle, ground + 28))
    return Markup("").join(marks)


def _bar(across: Scale, y: int, row: tuple[str, float, float, float, int]) -> Markup:
    address, start, first, end, size = row
    left, middle, right = (across.place(value) for value in (start, first, end))
    shown = address if len(address) <= 28 else f"…{address[-27:]}"
    said = f"{address}: {start:,.0f} to {end:,.0f} ms, first byte at {first:,.0f} ms, {size:,} B"
    return Markup(
        '<g><title>{}</title><text class="tick end" x="{}" y="{}">{}</text>'
        '<rect class="wait" x="{:.1f}" y="{}" width="{:.1f}" height="12"/>'
        '<rect class="content" x="{:.1f}" y="{}" width="{:.1f}" height="12"/>'
        '<text class="note" x="{:.1f}" y="{}">{}</text></g>'
    ).format(
        said, _NAME - 6, y + 12, shown, left, y + 2, max(middle - left, 0.0), middle, y + 2, max(right - middle, 1.5),
        right + 4, y + 12, show_bytes(size),
    )  # fmt: skip
