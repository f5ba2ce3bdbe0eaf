"""Rows in an evidence's flat facts: `statement.0.id`, `statement.0.calls`, `statement.1.id` …

Instruments write them, detectors read them; models read the digest instead.
"""

from collections.abc import Iterable, Mapping

Fact = float | int | str | None
Row = dict[str, Fact]


def pack_rows(kind: str, rows: Iterable[Mapping[str, Fact]]) -> dict[str, Fact]:
    """Rows as flat facts, numbered in their order."""
    return {f"{kind}.{number}.{name}": value for number, row in enumerate(rows) for name, value in row.items()}


def unpack_rows(facts: Mapping[str, Fact], kind: str) -> list[Row]:
    """The rows of one kind, in order."""
    rows: dict[int, Row] = {}
    for key, value in facts.items():
        found, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if found == kind and number.isdigit() and name:
            rows.setdefault(int(number), {})[name] = value
    return [rows[number] for number in sorted(rows)]


def number(row: Mapping[str, Fact], name: str) -> float:
    """A value of a row as a number; 0 where there is none."""
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def text(row: Mapping[str, Fact], name: str) -> str:
    """A value of a row as text; empty where there is none."""
    value = row.get(name)
    return "" if value is None else str(value)
