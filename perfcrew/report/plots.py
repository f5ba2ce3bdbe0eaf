"""Plots as inline SVG: no network, colours from the page's style, so that they suit light, dark and print.

Each plot has a title and a description for those who don't see it; the page puts a table of the figures beside it. Arms
differ by shape and dash as well as by colour. A plot is whole without a script; what the page's script needs to read
values off it and to zoom is in the attribute `data-plot`.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from perfcrew.report.figures import show_number
from perfcrew.report.scales import Scale, choose_log_ticks, choose_ticks, linear_scale, log_scale, thin

WIDTH, HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 44
_AXIS = (_LEFT, WIDTH - _RIGHT)
_UP = (HEIGHT - _BOTTOM, _TOP)
_LEVELS = (50, 95)
BINS = 40


@dataclass(frozen=True)
class Plot:
    """A drawing and the table of what it shows, for those who read rather than look."""

    title: str
    drawing: Markup
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    arms: tuple[str, ...] = ("base", "candidate")
    """Those that the legend names."""


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
    x_title = f"{title} ({unit}, logarithmic)"
    marks = [_axes(across, up, x_title, "% of requests", choose_ticks(0, 100, 6))]
    for level in _LEVELS:
        y = up.place(level)
        marks.append(Markup('<line class="level" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(*_AXIS, y, y))
        marks.append(Markup('<text class="note" x="{}" y="{:.1f}">P{}</text>').format(_AXIS[0] + 4, y - 3, level))
    series = []
    for arm, values in samples.items():
        shown = thin(values)
        points = tuple((x, 100 * (i + 1) / len(shown)) for i, x in enumerate(shown))
        series.append(Series(arm, points))
        marks.append(_path(arm, _steps([(across.place(x), up.place(y)) for x, y in points])))
    said = "; ".join(f"{arm}: {len(values)} samples" for arm, values in samples.items())
    data = _data("steps", _Axis(across, x_title, f" {unit}"), _Axis(up, "% of requests", " %"), series, levels=_LEVELS)
    return _svg(name, f"Distribution of {title}", f"Cumulative shares. {said}.", marks, data)


def plot_density(name: str, title: str, arms: Mapping[str, Sequence[float]], unit: str) -> Markup:
    """How often which values occur: the share of samples in equal parts of a logarithmic axis, at most `BINS`.

    Args:
        name: unique on the page.
        title: what is distributed.
        arms: arm to samples, all positive.
        unit: of the samples.
    """
    samples = {arm: sorted(values) for arm, values in arms.items() if values}
    across = log_scale([value for values in samples.values() for value in (values[0], values[-1])], *_AXIS)
    series = [Series(arm, _bins(values, across)) for arm, values in samples.items()]
    up = linear_scale([y for one in series for _, y in one.points], *_UP)
    x_title, y_title = f"{title} ({unit}, logarithmic)", "% of requests"
    marks = [_axes(across, up, x_title, y_title, None)]
    for one in series:
        points = [(across.place(x), up.place(y)) for x, y in one.points]
        ends = ((points[0][0], float(_UP[0])), *points, (points[-1][0], float(_UP[0])))
        marks.append(Markup('<polygon class="area {}" points="{}"/>').format(
            one.arm, " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)))  # fmt: skip
        marks.append(_path(one.arm, points))
    modes = "; ".join(
        f"{one.arm}: most often near {show_number(max(one.points, key=lambda point: point[1])[0])} {unit}"
        for one in series
    )
    data = _data("lines", _Axis(across, x_title, f" {unit}"), _Axis(up, y_title, " %"), series, filled=True)
    return _svg(name, f"Histogram of {title}", f"Shares of bins of equal width. {modes}.", marks, data)


def _bins(values: Sequence[float], across: Scale) -> tuple[tuple[float, float], ...]:
    """The middle of each bin and the share of samples in it, in per cent."""
    number = min(BINS, max(8, round(math.sqrt(len(values)))))
    low, width = math.log10(across.low), (math.log10(across.high) - math.log10(across.low)) / number
    counts = [0] * number
    for value in values:
        counts[min(max(int((math.log10(max(value, across.low)) - low) / width), 0), number - 1)] += 1
    return tuple((10 ** (low + (i + 0.5) * width), 100 * count / len(values)) for i, count in enumerate(counts))


def plot_points(name: str, title: str, series: Sequence[Series], x_title: str, y_title: str) -> Markup:
    """A mark for each pair of values, arms apart; both axes begin at 0."""
    across = linear_scale([x for one in series for x, _ in one.points] or [1.0], *_AXIS)
    up = linear_scale([y for one in series for _, y in one.points] or [1.0], *_UP)
    marks = [_axes(across, up, x_title, y_title, None)]
    for one in series:
        marks.extend(_dot(one.arm, across.place(x), up.place(y), f"{one.arm}: {show_number(y)} at {show_number(x)}")
                     for x, y in one.points)  # fmt: skip
    said = "; ".join(f"{one.arm}: {len(one.points)} points" for one in series)
    data = _data("dots", _Axis(across, x_title), _Axis(up, y_title), series)
    return _svg(name, title, f"{y_title} against {x_title}. {said}.", marks, data)


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
    data = _data("dots", _Axis(across, "rounds in order; lines part fresh starts", bare=True),
                 _Axis(up, f"{title} ({unit})", f" {unit}"), series, starts=starts)  # fmt: skip
    return _svg(name, f"{title} by round", f"{len(xs)} rounds of both arms, interleaved.", marks, data)


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
    data = _data("lines", _Axis(across, x_title, " s"), _Axis(up, y_title), series)
    return _svg(name, title, f"{y_title} over {x_title}. {said}.", marks, data)


def place_ratio(ratio: float, low: float, high: float) -> float:
    """Where a ratio lies between two others on a logarithmic track, in per cent."""
    return round(Scale(low, high, 0.0, 100.0, log=True).place(ratio), 2)


class _Axis(NamedTuple):
    """An axis as the page's script draws it again."""

    scale: Scale
    title: str
    unit: str = ""
    bare: bool = False


def _data(kind: str, across: _Axis, up: _Axis, series: Sequence[Series], **more: Any) -> dict[str, Any]:
    axes = {
        name: {"low": _short(axis.scale.low), "high": _short(axis.scale.high), "log": axis.scale.log,
               "title": axis.title, "unit": axis.unit, "bare": axis.bare}
        for name, axis in (("x", across), ("y", up))
    }  # fmt: skip
    drawn = [{"arm": one.arm, "points": [(_short(x), _short(y)) for x, y in one.points]} for one in series]
    return {"kind": kind, **axes, "series": drawn, **more}


def _short(value: float) -> float:
    """Enough digits for a drawing."""
    return float(f"{value:.5g}")


def _svg(name: str, title: str, description: str, marks: Iterable[Markup], data: Mapping[str, Any]) -> Markup:
    body = Markup("").join(marks)
    plot = json.dumps({**data, "title": title}, separators=(",", ":"), ensure_ascii=False)
    return Markup(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-about" data-plot="{}">'
        '<title id="{}-title">{}</title><desc id="{}-about">{}</desc>{}</svg>'
    ).format(WIDTH, HEIGHT, name, name, plot, name, title, name, description, body)


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
