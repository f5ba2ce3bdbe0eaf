"""Collapsed stacks (`a;b;c 12`, one a line, as py-spy's raw format and FlameGraph's), placed with callers on top."""

import hashlib
import re
from collections import Counter
from typing import NamedTuple

DEEPEST = 60
NARROWEST = 0.4
"""Per cent of the width below which a frame is left out."""
_LINE = re.compile(r"^(?P<stack>.+) (?P<count>\d+)$")
_PROCESS = re.compile(r"^process \d+\b")
_PLACE = re.compile(r"^(?P<name>.*?) \((?P<path>.*?)(?::\d+)?\)$")


class Frame(NamedTuple):
    """A rectangle of the flame graph; left and width in per cent, depth in rows."""

    label: str
    depth: int
    left: float
    width: float
    hue: int


class Hot(NamedTuple):
    """A function's share of all samples, 0 to 1: at the top of the stack, and anywhere on it."""

    label: str
    own: float
    total: float


def read_stacks(text: str, root: str = "") -> Counter[tuple[str, ...]]:
    """Stacks and their sample counts; lines of another form are left out.

    Frames become functions: line numbers go, paths are shortened to what lies in `root` or in a package folder, and the
    frames by which py-spy names processes, which differ from run to run, are dropped.
    """
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if match:
            frames = [frame for frame in match["stack"].split(";") if not _PROCESS.match(frame)]
            if frames:
                stacks[tuple(_name_function(frame, root) for frame in frames)] += int(match["count"])
    return stacks


def drop_stem(stacks: Counter[tuple[str, ...]]) -> tuple[Counter[tuple[str, ...]], int]:
    """Stacks without the frames that all of them begin with, save the last of these; and how many were dropped."""
    first, *others = stacks or [()]
    stem = 0
    while stem + 1 < len(first) and all(stack[: stem + 2] == first[: stem + 2] for stack in others):
        stem += 1
    return Counter({stack[stem:]: count for stack, count in stacks.items()}), stem


def place_frames(stacks: Counter[tuple[str, ...]]) -> list[Frame]:
    """The flame graph's frames, outermost callers first; siblings by name, so that two graphs can be compared."""
    whole = sum(stacks.values())
    frames: list[Frame] = []

    def place(group: list[tuple[tuple[str, ...], int]], depth: int, left: float) -> None:
        children: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for stack, count in group:
            if len(stack) > depth:
                children.setdefault(stack[depth], []).append((stack, count))
        for label, inside in sorted(children.items()):
            width = 100 * sum(count for _, count in inside) / whole
            if width >= NARROWEST:
                frames.append(Frame(label, depth, round(left, 3), round(width, 3), _hue(label)))
                if depth + 1 < DEEPEST:
                    place(inside, depth + 1, left)
            left += width

    place(list(stacks.items()), 0, 0.0)
    return frames


def rank_functions(stacks: Counter[tuple[str, ...]], most: int = 10) -> list[Hot]:
    """The functions with the largest own share."""
    whole = sum(stacks.values())
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for label in set(stack):
            total[label] += count
    return [Hot(label, count / whole, total[label] / whole) for label, count in own.most_common(most)]


def _name_function(frame: str, root: str) -> str:
    match = _PLACE.match(frame)
    if not match:
        return frame
    path = match["path"]
    if root and path.startswith(f"{root.rstrip('/')}/"):
        path = path[len(root.rstrip("/")) + 1 :]
    elif path.startswith("/"):
        path = path.rpartition("-packages/")[2].removeprefix("/") if "-packages/" in path else path.rpartition("/")[2]
    return f"{match['name']} ({path})"


def _hue(label: str) -> int:
    """A warm hue by name, the same in every graph."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:2], "big") % 55
