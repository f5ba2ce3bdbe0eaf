"""Unified diffs, read line by line."""

import re
from typing import Literal, NamedTuple

Kind = Literal["file", "hunk", "added", "removed", "context"]
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


class DiffLine(NamedTuple):
    """A line of a unified diff and what it is."""

    kind: Kind
    text: str


def read_diff(text: str) -> list[DiffLine]:
    """The lines of a unified diff.

    Hunks are followed by their line counts, so that a removed line that looks like a file header (`--- x`) is a
    removed line.
    """
    lines: list[DiffLine] = []
    old = new = 0
    for line in text.removesuffix("\n").split("\n") if text else []:
        hunk = None if old > 0 or new > 0 else _HUNK.match(line)
        if hunk:
            old, new = (int(count) if count is not None else 1 for count in hunk.groups())
            lines.append(DiffLine("hunk", line))
            continue
        kind = _kind(line, inside=old > 0 or new > 0)
        old -= kind in ("removed", "context")
        new -= kind in ("added", "context")
        lines.append(DiffLine(kind, line))
    return lines


def count_lines(text: str) -> tuple[int, int]:
    """How many lines a diff adds and removes, as `git diff --numstat` counts them."""
    kinds = [line.kind for line in read_diff(text)]
    return kinds.count("added"), kinds.count("removed")


def _kind(line: str, *, inside: bool) -> Kind:
    if not inside or line.startswith("\\"):
        return "file"
    return "added" if line.startswith("+") else "removed" if line.startswith("-") else "context"
