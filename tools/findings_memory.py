"""Detectors for memory: what grows with the requests served, what stays of them, what one request holds at its peak."""

from collections.abc import Iterator

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.records.work import Finding, Place, Severity
from tools.findings import Rule, line_of, make_finding, place_of, workload_of

STAY_SHARE = 0.3
"""A call site is named with a leak from this share of what stays."""
GRAVE_KB = 10.0
"""Growth a request from which on a leak is grave: a gigabyte in a hundred thousand requests."""
HEAP_KB = 1.0
"""Growth of a collected heap, kB a request, from which on it keeps something of each request."""
KEPT_OBJECTS = 0.5
"""Objects of one constructor that stay of each request, where something is kept of most of them."""
HEAP_REQUESTS = 100
"""Fewer requests don't tell a heap that warms up from one that grows."""
LEFT_KB = 0.05
"""A function of the target's is named with a leak if at least so many of its kB stay of each request."""
PEAK_KB = 20_000
"""A request that holds more than this at a time: fifty of them at once need a gigabyte."""


def find_leak(item: Evidence) -> Iterator[Finding]:
    """Memory that grows with the requests served."""
    if item.facts.get("leak") != 1:
        return
    growth, rising = number(item.facts, "growth_kb_per_request"), number(item.facts, "rising_share")
    workload = workload_of(item)
    low, high = item.facts.get("growth_low"), item.facts.get("growth_high")
    surely = f" ({low:.1f} to {high:.1f})" if isinstance(low, float) and isinstance(high, float) else ""
    claim = f"under {workload} memory grows by {growth:.1f} kB{surely} a request, rising in {rising:.0%} of the steps"
    yield make_finding("memory_leak", Place(endpoint=workload), claim, item, None, severity=_gravity(growth))


def _gravity(kb: float) -> Severity:
    return "high" if kb >= GRAVE_KB else "medium"


def find_leaking_site(item: Evidence) -> Iterator[Finding]:
    """The call site of most of what stays after requests. It is no leak by itself: see `tools.findings_joined`."""
    total = number(item.facts, "stays_kb_per_request")
    for row in unpack_rows(item.facts, "stays"):
        kb = number(row, "kb")
        # What no line of the target's allocates is named by the library's file.
        if text(row, "site").startswith(("<", "/")) or kb < STAY_SHARE * total:
            continue
        claim = f"{text(row, 'site')} allocates {kb:.1f} kB a request that stays, of {total:.1f} kB that do"
        # The same place as the leak that the memory's slope shows: one finding, with the line.
        place = place_of(text(row, "site"), endpoint=workload_of(item)).model_copy(update={"symbol": None})
        yield make_finding("memory_leak", place, claim, item, None, covers=[line_of(text(row, "site"))])
        return


def kept_kb(item: Evidence) -> float:
    """What a Node heap grew by, kB a request, without code that the engine compiled meanwhile."""
    code = sum(number(row, "kb") for row in unpack_rows(item.facts, "grown") if text(row, "site") == "(code)")
    return max(number(item.facts, "grown_kb_per_request") - code, 0.0)


def find_growing_heap(item: Evidence) -> Iterator[Finding]:
    """A Node heap that keeps objects of each request, after collection; with the target's function that left most.

    It is no leak where the process's memory surely does not grow: see `tools.findings_joined`.
    """
    kb, workload = kept_kb(item), workload_of(item)
    grown = [row for row in unpack_rows(item.facts, "grown") if text(row, "site") != "(code)"]
    each = [row for row in grown if number(row, "objects") >= KEPT_OBJECTS]
    if kb < HEAP_KB or not each or number(item.facts, "requests") < HEAP_REQUESTS:
        return
    listed = ", ".join(f"{text(row, 'site')} ({_objects(row)})" for row in each[:3])
    claim = f"the heap keeps {kb:.1f} kB of each request after collection: {listed}"
    own = [row for row in unpack_rows(item.facts, "stays") if number(row, "own") and number(row, "kb") >= LEFT_KB]
    place, covers = Place(endpoint=workload), list[str]()
    if own:
        site = text(own[0], "site")
        claim += f"; of the application's own functions {site} leaves most"
        place, covers = place_of(site, endpoint=workload).model_copy(update={"symbol": None}), [line_of(site)]
    yield make_finding("memory_leak", place, claim, item, None, severity=_gravity(kb), covers=covers)


def _objects(row: Row) -> str:
    return f"{number(row, 'objects'):.1f} objects, {number(row, 'kb'):.1f} kB"


def find_peak(item: Evidence) -> Iterator[Finding]:
    """Requests that hold much memory at a time."""
    for row in unpack_rows(item.facts, "peak"):
        kb, endpoint = number(row, "kb"), text(row, "endpoint")
        if kb < PEAK_KB:
            continue
        claim = f"{endpoint} holds {kb / 1000:,.0f} MB at a time, most of it from {text(row, 'site') or 'libraries'}"
        yield make_finding("memory_peak", Place(endpoint=endpoint), claim, item, None)


RULES: dict[str, tuple[Rule, ...]] = {
    "memory": (find_leak,),
    "allocations": (find_leaking_site, find_peak),
    "heap": (find_growing_heap,),
}
