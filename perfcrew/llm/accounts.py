"""Who used how much: sums over replies by role, phase and model, and their audit from a run's journal."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

from perfcrew.errors import VerificationError
from perfcrew.llm.base import Reply, Usage
from perfcrew.llm.entries import Entry, read_entries
from perfcrew.llm.journal import Journal
from perfcrew.llm.models import Catalogue, Model
from perfcrew.records.report import Report, UsagePart, UsageRow, UsageTable

Price = Callable[[str, Usage], float | None]
PRICE_OF = "price of:"
"""Begins the journal's facts about what models cost when the report was written."""


class Account:
    """Running sums.

    Args:
        price: what a reply of a model costs in US dollars; None where that is unknown.
    """

    def __init__(self, price: Price) -> None:
        self._price = price
        self._rows: dict[tuple[str, str, str], UsagePart] = {}

    def add(self, reply: Reply, role: str, phase: str) -> None:
        """Count a reply."""
        usage, usd = reply.usage, self._price(reply.model, reply.usage)
        key = (role, phase, reply.model)
        old = self._rows.get(key, UsagePart(role=role, phase=phase, model=reply.model, usd=0.0))
        row = old.model_copy(
            update={
                "input_tokens": old.input_tokens + usage.input_tokens,
                "output_tokens": old.output_tokens + usage.output_tokens,
                "cached_tokens": old.cached_tokens + usage.cached_tokens,
                "usd": None if usd is None or old.usd is None else old.usd + usd,
                "model_calls": old.model_calls + 1,
            }
        )
        self._rows[key] = row.model_copy(update={"cached_share": _share(row)})

    def rows(self) -> list[UsagePart]:
        """The sums by role, phase and model, in the order of their first replies."""
        return list(self._rows.values())

    def total(self) -> UsageRow:
        """The sum of all; `usd` is None as soon as one price is unknown."""
        return _sum(self._rows.values())

    def table(self) -> UsageTable:
        """All of it, as reports have it."""
        rows = tuple(sorted(self._rows.values(), key=lambda row: (row.role, row.phase, row.model)))
        unpriced = tuple(sorted({row.model for row in rows if row.usd is None}))
        return UsageTable(**_sum(rows).model_dump(), rows=rows, unpriced=unpriced)


def place_of(lane: str) -> tuple[str, str]:
    """Role and phase of a conversation, by its lane in the journal: `round/phase/role`, then whatever follows."""
    _, phase, role = (*lane.split("/"), "", "", "")[:3]
    return role, phase


def note_prices(journal: Journal, usage: UsageTable, catalogue: Catalogue) -> None:
    """Keep with the run what its models cost, so that its money can be counted again when prices have changed."""
    for model in {row.model: None for row in usage.rows}:
        known = catalogue.find(model)
        journal.note(f"{PRICE_OF}{model}", known.model_dump(mode="json") if known else None)


def verify_usage(report: Report, journal: Path) -> int:
    """Compute a report's usage again from the run's journal.

    Returns:
        How many figures were compared.

    Raises:
        VerificationError: the first sum that differs, or the journal is gone.
    """
    if not report.usage.rows and not report.usage.model_calls:
        return 0
    if not journal.is_file():
        raise VerificationError(f"usage: {journal.name}, from which it comes, is not there")
    table = _count_again(read_entries(journal))
    figures = 0
    sums: list[tuple[str, UsageRow, UsageRow]] = [("usage", report.usage, table)]
    if report.usage.rows:
        known = {(row.role, row.phase, row.model): row for row in table.rows}
        told = {(row.role, row.phase, row.model): row for row in report.usage.rows}
        if len(told) != len(report.usage.rows) or told.keys() != known.keys():
            raise VerificationError("usage: the report's rows are not those of the journal")
        sums += [(f"usage of {'/'.join(key)}", row, known[key]) for key, row in told.items()]
    for name, reported, counted in sums:
        figures += _compare(name, reported, counted)
    return figures


def noted_prices(entries: Iterable[Entry], otherwise: Price = lambda _model, _usage: None) -> Price:
    """Prices as `note_prices` kept them.

    Args:
        entries: a run's journal.
        otherwise: what models cost of which the journal says nothing, such as those of a run at work.
    """
    noted = {
        entry.key.removeprefix(PRICE_OF): Model.model_validate(entry.value)
        for entry in entries
        if entry.kind == "run" and entry.key.startswith(PRICE_OF) and entry.value is not None
    }
    return lambda model, usage: noted[model].usd(usage) if model in noted else otherwise(model, usage)


def count_usage(journal: Path, price: Price) -> UsageTable:
    """What a run has used so far, whether it ended or not, by its journal."""
    account = Account(price)
    for entry in read_entries(journal) if journal.is_file() else ():
        if entry.kind == "reply":
            account.add(Reply.model_validate(entry.value), *place_of(entry.lane))
    return account.table()


def _count_again(entries: Iterable[Entry]) -> UsageTable:
    entries = list(entries)
    account = Account(noted_prices(entries))
    for entry in entries:
        if entry.kind == "reply":
            account.add(Reply.model_validate(entry.value), *place_of(entry.lane))
    return account.table()


def _compare(name: str, reported: UsageRow, counted: UsageRow) -> int:
    names = UsageRow.model_fields
    for field in names:
        told, found = getattr(reported, field), getattr(counted, field)
        equal = told == found if told is None or found is None else math.isclose(told, found, rel_tol=1e-9)
        if not equal:
            raise VerificationError(f"{name}, {field}: the report says {told!r}, the journal gives {found!r}")
    return len(names)


def _sum(rows: Iterable[UsageRow]) -> UsageRow:
    rows = list(rows)
    known = [row.usd for row in rows if row.usd is not None]
    total = UsageRow(
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        usd=sum(known) if len(known) == len(rows) else None,
        model_calls=sum(row.model_calls for row in rows),
    )
    return total.model_copy(update={"cached_share": _share(total)})


def _share(row: UsageRow) -> float:
    return row.cached_tokens / row.input_tokens if row.input_tokens else 0.0
