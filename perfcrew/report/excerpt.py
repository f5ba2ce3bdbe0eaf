"""The code that a finding is about: a few lines around the one it names."""

from perfcrew.records.base import Record

AROUND = 6
"""Lines shown before and after."""


class Excerpt(Record):
    """Lines of a file of the base."""

    path: str
    first: int
    """Number of the first line, from 1."""
    lines: tuple[str, ...]
    marked: int | None = None
    """Number of the line that the finding names."""


def cut_excerpt(path: str, text: str, line: int | None, symbol: str | None) -> Excerpt | None:
    """The lines around a line, or from where a symbol is defined; None where neither is in the text."""
    lines = text.splitlines()
    centre = line or _find(lines, symbol)
    if centre is None or not 1 <= centre <= len(lines):
        return None
    before = AROUND if line else 1
    first, last = max(1, centre - before), min(len(lines), centre + (AROUND if line else 2 * AROUND))
    while not lines[first - 1].strip():
        first += 1
    return Excerpt(path=path, first=first, lines=tuple(lines[first - 1 : last]), marked=centre)


def _find(lines: list[str], symbol: str | None) -> int | None:
    name = (symbol or "").rpartition(".")[2]
    words = (f"def {name}(", f"class {name}", f"function {name}(", f"const {name} =") if name else ()
    return next((number for number, line in enumerate(lines, 1) if any(word in line for word in words)), None)
