"""Plots as inline SVG: no script, no network, colours from the page's style, so that they suit light, dark and print.

Each plot has a title and a description for those who don't see it; the page puts a table of the figures beside it. Arms
differ by shape and dash as well as by colour.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from perfcrew.report.figures import show_number
from perfcrew.report.scales import Scale, choose_log_ticks, choose_ticks, linear_scale, log_scale, thin

WIDTH, HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 44
_AXIS = (_LEFT, WIDTH - _RIGHT)
_UP = (HEIGHT - _BOTTOM, _TOP)


class Series(NamedTuple):
    """Points of one arm (`base` or `candidate`), each with x and y."""

    arm: str
    points: tuple[tuple[float, float], ...]


def plot_distribution(name: str, title: str, arms: Mapping[str, Sequence[float]], unit: str) -> Markup:
    """Cumulative distributions: for each value the share of samples that are no larger.

    Args:
        name: unique on the page.
        title: what is distributed.
        arms: arm to samples.
        unit: of the samples.
    """
    samples = {arm: sorted(values) for arm, values in arms.items() if values}
    across = log_scale([value for values in samples.values() for value in (values[0], values[-1])], *_AXIS)
    up = Scale(0.0, 100.0, *_UP)
    marks = [_axes(across, up, f"{title} ({unit}, logarithmic)", "% of requests", choose_ticks(0, 100, 6))]
    for level in (50, 95):
        y = up.place(level)
        marks.append(Markup('<line class="level" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(*_AXIS, y, y))
        marks.append(Markup('<text class="note" x="{}" y="{:.1f}">P{}</text>').format(_AXIS[0] + 4, y - 3, level))
    for arm, values in samples.items():
        shown = thin(values)
        points = [(across.place(x), up.place(100 * (i + 1) / len(shown))) for i, x in enumerate(shown)]
        marks.append(_path(arm, _steps(points)))
    said = "; ".join(f"{arm}: {len(values)} samples" for arm, values in samples.items())
    return _svg(name, f"Distribution of {title}", f"Cumulative shares. {said}.", marks)


def plot_rounds(name: str, title: str, series: Sequence[Series], starts: Sequence[float], unit: str) -> Markup:
    """One mark for each round of a duel in the order in which they ran; lines part the starts.

    Args:
        name: unique on the page.
        title: what was measured.
        series: an arm's rounds: (position in time, value).
        starts: positions where fresh processes were started.
        unit: of the values.
    """
    xs = [x for one in series for x, _ in one.points]
    across = Scale(min(xs, default=0.0) - 1, max(xs, default=1.0) + 1, *_AXIS)
    up = linear_scale([y for one in series for _, y in one.points], *_UP)
    marks = [_axes(across, up, "rounds in order; lines part fresh starts", f"{title} ({unit})", None, bare=True)]
    for start in starts:
        x = across.place(start)
        marks.append(Markup('<line class="level" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(x, x, *_UP))
    for one in series:
        marks.extend(_dot(one.arm, across.place(x), up.place(y), f"{one.arm}: {show_number(y)} {unit}")
                     for x, y in one.points)  # fmt: skip
    return _svg(name, f"{title} by round", f"{len(xs)} rounds of both arms, interleaved.", marks)


def plot_lines(name: str, title: str, series: Sequence[Series], x_title: str, y_title: str) -> Markup:
    """Values over time, a line for each arm."""
    across = linear_scale([x for one in series for x, _ in one.points] or [1.0], *_AXIS)
    up = linear_scale([y for one in series for _, y in one.points] or [1.0], *_UP)
    marks = [_axes(across, up, x_title, y_title, None)]
    marks.extend(_path(one.arm, [(across.place(x), up.place(y)) for x, y in one.points]) for one in series)
    said = "; ".join(
        f"{one.arm}: {show_number(one.points[0][1])} to {show_number(one.points[-1][1])}"
        for one in series
        if one.points
    )
    return _svg(name, title, f"{y_title} over {x_title}. {said}.", marks)


def place_ratio(ratio: float, low: float, high: float) -> float:
    """Where a ratio lies between two others on a logarithmic track, in per cent."""
    return round(Scale(low, high, 0.0, 100.0, log=True).place(ratio), 2)


def _svg(name: str, title: str, description: str, marks: Iterable[Markup]) -> Markup:
    body = Markup("").join(marks)
    return Markup(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-about">'
        '<title id="{}-title">{}</title><desc id="{}-about">{}</desc>{}</svg>'
    ).format(WIDTH, HEIGHT, name, name, name, title, name, description, body)


def _axes(
    across: Scale, up: Scale, x_title: str, y_title: str, y_ticks: Sequence[float] | None, *, bare: bool = False
) -> Markup:
    """Grid, tick labels and titles of both axes; `bare` leaves the x axis without ticks."""
    marks: list[Markup] = []
    for tick in y_ticks if y_ticks is not None else choose_ticks(up.low, up.high):
        y = up.place(tick)
        marks.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(*_AXIS, y, y))
        marks.append(
            Markup('<text class="tick end" x="{}" y="{:.1f}">{}</text>').format(_LEFT - 5, y + 4, _label(tick))
        )
    ticks = choose_log_ticks(across.low, across.high) if across.log else choose_ticks(across.low, across.high)
    for tick in [] if bare else ticks:
        x = across.place(tick)
        marks.append(Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(x, x, *_UP))
        marks.append(Markup('<text class="tick mid" x="{:.1f}" y="{}">{}</text>').format(x, _UP[0] + 16, _label(tick)))
    middle = (_AXIS[0] + _AXIS[1]) / 2
    marks.append(Markup('<text class="axis mid" x="{}" y="{}">{}</text>').format(middle, HEIGHT - 8, x_title))
    centre = (_UP[0] + _UP[1]) / 2
    marks.append(
        Markup('<text class="axis mid" transform="translate(12 {}) rotate(-90)">{}</text>').format(centre, y_title)
    )
    return Markup("").join(marks)


def _path(arm: str, points: Sequence[tuple[float, float]]) -> Markup:
    drawn = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(points))
    return Markup('<path class="line {}" d="{}"/>').format(arm, drawn)


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of a staircase that starts on the ground."""
    corners = [(points[0][0], float(_UP[0]))] if points else []
    for x, y in points:
        corners.extend([(x, corners[-1][1]), (x, y)])
    return corners


def _dot(arm: str, x: float, y: float, said: str) -> Markup:
    title = escape(said)
    if arm == "base":
        return Markup('<circle class="dot base" cx="{:.1f}" cy="{:.1f}" r="3.6"><title>{}</title></circle>').format(
            x, y, title
        )
    return Markup(
        '<rect class="dot candidate" x="{:.1f}" y="{:.1f}" width="6.6" height="6.6"><title>{}</title></rect>'
    ).format(x - 3.3, y - 3.3, title)


def _label(value: float) -> str:
    """A tick's number: short, thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}" if math.isfinite(value) else ""
