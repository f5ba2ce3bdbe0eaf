"""Detectors for the database: queries, their plans, indexes, connections."""

import re
from collections.abc import Iterator

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.records.work import Finding, Place
from tools.findings import MIN_SHARE, Rule, grouped, line_of, make_finding, place_of, workload_of
from tools.traces import SHOWN_SQL

SLOW_QUERY_MS = 20.0
SLOW_QUERY_SHARE = 0.10
CACHE_SHARE = 0.05
"""Share of the time from which on asking the same in every request is worth a cache."""
ASKED = 3
"""Different requests that must all have asked the same."""
UNINDEXED_ROWS = 10_000
"""A foreign key of a smaller table is checked quickly without an index."""
MAX_QUERIES = 4
"""Queries that a claim lists; the others are counted."""
INDEX_GAIN = 0.7
"""A tried index must leave less than this of the query's time."""
OWN_WRITES = "the workload's own writes"
_NAME = r"[\"`\[]?(\w+)"
_READ = re.compile(rf"\b(?:FROM|JOIN)\s+{_NAME}", re.IGNORECASE)
_WRITTEN = re.compile(
    rf"^\s*(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM)\s+{_NAME}", re.IGNORECASE
)


def find_n_plus_one(item: Evidence) -> Iterator[Finding]:
    """One statement again and again within a request, with other values each time."""
    for row in unpack_rows(item.facts, "statement"):
        if not number(row, "n_plus_one") or number(row, "loop_share") < MIN_SHARE:
            continue
        endpoint = text(row, "endpoint")
        claim = (
            f"{endpoint} sends {text(row, 'id')} {number(row, 'calls'):g} times a request (up to "
            f"{number(row, 'max_calls'):g}) with different values, from {text(row, 'site')}: "
            f"{number(row, 'share'):.0%} of the workload's time in the driver, "
            f"{number(row, 'loop_share'):.0%} with the usual gaps between calls"
        )
        place = place_of(text(row, "site"), endpoint=endpoint, fingerprint=text(row, "id"))
        yield make_finding("n_plus_one", place, claim, item, number(row, "loop_share"))


def find_repeated(item: Evidence) -> Iterator[Finding]:
    """One statement with the same values, several times within a request."""
    for row in unpack_rows(item.facts, "statement"):
        if not number(row, "repeated") or number(row, "loop_share") < MIN_SHARE:
            continue
        claim = (
            f"{text(row, 'endpoint')} sends {text(row, 'id')} {number(row, 'calls'):g} times a request with only "
            f"{number(row, 'distinct'):g} different parameter sets, from {text(row, 'site')}"
        )
        place = place_of(text(row, "site"), endpoint=text(row, "endpoint"), fingerprint=text(row, "id"))
        yield make_finding("repeated_computation", place, claim, item, number(row, "loop_share"))


def find_slow_query(item: Evidence) -> Iterator[Finding]:
    """A statement that takes long each time."""
    for row in unpack_rows(item.facts, "statement"):
        each = number(row, "ms") / max(number(row, "calls"), 1.0)
        if each < SLOW_QUERY_MS or number(row, "share") < SLOW_QUERY_SHARE:
            continue
        claim = f"{text(row, 'id')} takes {each:.0f} ms a call in {text(row, 'endpoint')}, from {text(row, 'site')}"
        place = place_of(text(row, "site"), endpoint=text(row, "endpoint"), fingerprint=text(row, "id"))
        yield make_finding("slow_query", place, claim, item, number(row, "share"))


def find_cacheable(item: Evidence) -> Iterator[Finding]:
    """A statement that asks the same in every request, whatever is asked for, of what this workload does not change.

    Only one without a value in it: one with the same value each time may ask about the one user that the load logs in.
    """
    statements = unpack_rows(item.facts, "statement")
    changed = {name for row in statements for name in _WRITTEN.findall(text(row, "sql"))}
    for row in statements:
        sql, share = text(row, "sql"), number(row, "loop_share")
        read = set(_READ.findall(sql))
        if "?" in sql or len(sql) >= SHOWN_SQL or not read or read & changed:
            continue
        if number(row, "same_for") < ASKED or share < CACHE_SHARE:
            continue
        claim = (
            f"{text(row, 'endpoint')} sends {text(row, 'id')} with the same values in each of "
            f"{number(row, 'same_for'):g} different requests, from {text(row, 'site')}: "
            f"{number(row, 'loop_share'):.0%} of the workload's time"
        )
        place = place_of(text(row, "site"), endpoint=text(row, "endpoint"), fingerprint=text(row, "id"))
        yield make_finding("cache_miss", place, claim, item, number(row, "loop_share"))


def find_spill(item: Evidence) -> Iterator[Finding]:
    """Queries that sort or hash more than fits into the memory that they may use."""
    for row in unpack_rows(item.facts, "plan"):
        if not text(row, "spills") or number(row, "share") < MIN_SHARE:
            continue
        claim = f"{text(row, 'id')} spills to disk ({text(row, 'spills')}) in {text(row, 'endpoint')}, from "
        claim += f"{text(row, 'site')}: {number(row, 'ms'):.0f} ms on a copy"
        place = place_of(text(row, "site"), endpoint=text(row, "endpoint"), fingerprint=text(row, "id"))
        remedy = "sort or group fewer rows and columns, let an index give the order, or allow it more memory (work_mem)"
        yield make_finding("slow_query", place, claim, item, number(row, "share"), remedy=remedy)


def find_missing_index(item: Evidence) -> Iterator[Finding]:
    """Queries that read a big table from end to end where an index would do: one finding a table and leading column."""
    wanted = [row for row in unpack_rows(item.facts, "plan") if text(row, "index") and not _useless(row)]
    for lead, rows in grouped(wanted, "lead").items():
        share = sum(number(row, "share") for row in rows)
        if share < MIN_SHARE:
            continue
        rows.sort(key=lambda row: -number(row, "share"))
        queries = "; ".join(f"{text(row, 'id')} {_trial(row)}" for row in rows[:MAX_QUERIES])
        queries += f" and {len(rows) - MAX_QUERIES} more" if len(rows) > MAX_QUERIES else ""
        candidates = list(dict.fromkeys(text(row, "index") for row in rows))
        claim = (
            f"all {number(rows[0], 'scanned'):,.0f} rows of {text(rows[0], 'table')} are read by {queries}: "
            f"{share:.0%} of the workload's time in the driver. Candidates (one may serve several): "
            f"{', '.join(candidates[:MAX_QUERIES])}"
        )
        place = place_of(text(rows[0], "site"), endpoint=text(rows[0], "endpoint")).model_copy(update={"symbol": lead})
        covers = [name for row in rows for name in (text(row, "id"), line_of(text(row, "site")))]
        yield make_finding("missing_index", place, claim, item, share, covers=covers)


def _useless(row: Row) -> bool:
    """Tried, and not used or no gain."""
    if row.get("after_ms") is None:
        return False
    return not number(row, "index_used") or number(row, "after_ms") >= INDEX_GAIN * number(row, "ms")


def _trial(row: Row) -> str:
    if row.get("after_ms") is None:
        return f"({number(row, 'ms'):.2f} ms)"
    return f"({number(row, 'ms'):.2f} → {number(row, 'after_ms'):.2f} ms with an index on a copy)"


def find_tried_index(item: Evidence) -> Iterator[Finding]:
    """Indexes that save time over all that a workload reads: evidence for what plans of single queries say.

    Of several on the same first column it is the one that saves most.
    """
    best: dict[str, Row] = {}
    for row in unpack_rows(item.facts, "trial"):
        known = best.setdefault(text(row, "lead"), row)
        if number(row, "saved_ms") > number(known, "saved_ms"):
            best[text(row, "lead")] = row
    for row in best.values():
        share, saved = number(row, "share"), number(row, "saved_share")
        if saved < 1 - INDEX_GAIN or number(row, "saved_ms") <= 2 * number(row, "spread_ms"):
            continue
        if share * saved < MIN_SHARE or costs_more(row):
            continue
        price = "its price for writes is not known"
        if row.get("write_added_ms") is not None:
            price = f"it adds {number(row, 'write_added_ms'):.3f} ms to {text(row, 'written')}"
        claim = (
            f"{text(row, 'index')} takes what {workload_of(item)} reads of {text(row, 'table')} from "
            f"{number(row, 'read_ms'):.2f} to {number(row, 'read_after_ms'):.2f} ms a request on a copy; {price}"
        )
        place = place_of(text(row, "site"), endpoint=text(row, "endpoint"))
        place = place.model_copy(update={"symbol": text(row, "lead")})
        covers = [*text(row, "queries").split(","), line_of(text(row, "site"))]
        remedy = f"{text(row, 'index')}, by a migration: of those tried on a copy it is the one that saves most"
        yield make_finding("missing_index", place, claim, item, share * saved, covers=covers, remedy=remedy)


def costs_more(row: Row) -> bool:
    """Whether a tried index adds more to the workload's own writes than it takes from its reads."""
    own = text(row, "written").startswith(OWN_WRITES)
    return own and number(row, "write_added_ms") >= max(number(row, "saved_ms"), 0.0)


def find_idle_indexes(item: Evidence) -> Iterator[Finding]:
    """Indexes that another does the work of, and indexes that no workload used."""
    for row in unpack_rows(item.facts, "duplicate"):
        claim = (
            f"{text(row, 'index')} on {text(row, 'table')} ({text(row, 'columns')}) does nothing that "
            f"{text(row, 'covered_by')} does not do"
        )
        yield make_finding("duplicate_index", Place(symbol=text(row, "index")), claim, item, None, severity="low")
    for row in unpack_rows(item.facts, "unused"):
        claim = f"no measured workload used {text(row, 'index')} on {text(row, 'table')} ({text(row, 'columns')})"
        yield make_finding("unused_index", Place(symbol=text(row, "index")), claim, item, None, severity="low")


def find_unindexed_keys(item: Evidence) -> Iterator[Finding]:
    """Foreign keys of large tables without an index, which only the other table's deletions and joins would show."""
    for row in unpack_rows(item.facts, "unindexed_key"):
        if number(row, "rows") < UNINDEXED_ROWS:
            continue
        table, columns, other = text(row, "table"), text(row, "columns"), text(row, "refers_to")
        claim = (
            f"no index begins with {columns} of {table}, which refers to {other}: whoever deletes from {other}, or "
            f"joins from it, reads all {number(row, 'rows'):,.0f} rows"
        )
        remedy = (
            f"an index on {table} ({columns.replace(',', ', ')}), by a migration, if {other} is deleted from or joined"
        )
        place = Place(symbol=f"{table}({columns.partition(',')[0]})")
        yield make_finding("missing_index", place, claim, item, None, severity="low", remedy=remedy)


RULES: dict[str, tuple[Rule, ...]] = {
    "queries": (find_n_plus_one, find_repeated, find_slow_query, find_cacheable),
    "explain": (find_missing_index, find_spill),
    "index_trial": (find_tried_index,),
    "schema": (find_idle_indexes, find_unindexed_keys),
}
