"""Flame graphs as inline SVG, callers on top: no network, colours from the page's style.

Each function is a rectangle as wide as its share of samples, with a title that pointers show and screen readers say.
Those wide enough to hold a word can be reached with the keyboard, from the outermost caller inwards; the page's script
goes into functions and finds them.
"""

from collections import Counter
from collections.abc import Mapping

from markupsafe import Markup

from perfcrew.report.figures import clean, show_number
from perfcrew.report.flame import Frame, drop_stem, place_frames

WIDTH, ROW = 960, 19
_LETTER = 6.4
"""Width of a letter of the label's font, with room to spare."""
_REACHED = 2.0
"""Per cent of the width from which on a frame has a label and takes part in keyboard navigation."""
Stacks = Mapping[tuple[str, ...], int]


def flame_svg(stacks: Stacks, *, name: str, title: str, compared: Stacks | None = None, scale: float = 1.0) -> Markup:
    """A flame graph of collapsed stacks.

    Args:
        stacks: functions, outermost first, to sample counts.
        name: unique on the page.
        title: what was sampled.
        compared: stacks of another version; each title then tells the share there as well.
        scale: part of the drawing's width that all samples take, 0 to 1: of two versions the cheaper is narrower.

    Returns:
        An `<svg>` element; an empty string where there are no samples.
    """
    grown, stem = drop_stem(Counter(stacks))
    frames = place_frames(grown)
    if not frames:
        return Markup("")
    scale = min(max(scale, 0.02), 1.0)
    others = _shares(compared) if compared else {}
    shares = _shares(stacks)
    rows = 1 + max(frame.depth for frame in frames)
    left_out = f" {stem} outermost callers, common to all samples, are left out." if stem else ""
    drawn = Markup("").join(_draw(frame, scale, shares, others if compared else None) for frame in frames)
    return Markup(
        '<svg class="flame" viewBox="0 0 {w} {h}" role="group" aria-labelledby="{n}-title {n}-desc">'
        '<title id="{n}-title">{title}</title>'
        '<desc id="{n}-desc">Flame graph of {total} samples, callers above callees, widths by share.{stem}</desc>'
        "{drawn}</svg>"
    ).format(w=WIDTH, h=rows * ROW, n=name, title=clean(title), total=sum(stacks.values()), stem=left_out, drawn=drawn)


def flame_pair(
    before: Stacks, after: Stacks, *, name: str, title: str, cost: tuple[float, float] = (1.0, 1.0)
) -> tuple[Markup, Markup]:
    """Flame graphs of two versions, drawn to one scale.

    Args:
        before: the base's stacks.
        after: the candidate's.
        name: unique on the page.
        title: what was sampled.
        cost: what all samples of each stand for, such as CPU ms a request: the widths compare as these do.
    """
    most = max(*cost, 1e-9)
    return (
        flame_svg(before, name=f"{name}-before", title=f"{title}, before", compared=after, scale=cost[0] / most),
        flame_svg(after, name=f"{name}-after", title=f"{title}, after", compared=before, scale=cost[1] / most),
    )


def _shares(stacks: Stacks) -> dict[str, float]:
    """Function to its share of samples in per cent, wherever it is on a stack."""
    whole = sum(stacks.values()) or 1
    found: Counter[str] = Counter()
    for stack, count in stacks.items():
        for label in set(stack):
            found[label] += count
    return {label: 100 * count / whole for label, count in found.items()}


def _draw(frame: Frame, scale: float, shares: Mapping[str, float], others: Mapping[str, float] | None) -> Markup:
    part = WIDTH * scale / 100
    x, width, y = frame.left * part, frame.width * part, frame.depth * ROW
    said = f"{clean(frame.label)}: {show_number(frame.width)} % of samples here"
    if others is not None:
        there = others.get(frame.label, 0.0)
        said += f"; anywhere {show_number(shares[frame.label])} %, in the other version {show_number(there)} %"
    text = reached = Markup("")
    if 100 * width / WIDTH >= _REACHED:
        text = Markup('<text x="{:.1f}" y="{}" aria-hidden="true">{}</text>').format(
            x + 3, y + ROW - 6, _cut(frame.label, width)
        )
        reached = Markup(' tabindex="0" role="img" aria-label="{}"').format(said)
    return Markup(
        '<g{reached} data-place="{x:.2f} {width:.2f} {depth}" data-name="{name}"><title>{said}</title>'
        '<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{height}" '
        'style="--hue:{hue}"/>{text}</g>'
    ).format(
        reached=reached,
        said=said,
        x=x,
        y=y,
        width=width,
        height=ROW - 1,
        hue=frame.hue,
        text=text,
        depth=frame.depth,
        name=clean(frame.label),
    )


def _cut(label: str, width: float) -> str:
    most = int((width - 6) / _LETTER)
    label = clean(label)
    return label if len(label) <= most else f"{label[: most - 1]}…" if most > 2 else ""
