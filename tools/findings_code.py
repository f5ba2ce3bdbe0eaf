"""Detectors for the program: CPU, the event loop, waiting for connections."""

from collections.abc import Iterator

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.records.work import Finding, Place
from tools.findings import (
    MIN_SHARE,
    Rule,
    grouped,
    line_of,
    make_finding,
    place_of,
    runs_in_node,
    site_of,
    workload_of,
)
from tools.stacks import DATABASE

HOT_SHARE, HOT_MS = 0.03, 2.0
"""CPU share and milliseconds a request of one function of the target's, without database libraries below it: both,
because in an application that does little something always has the largest share of it."""
SERIAL_SHARE, SERIAL_MS = 0.05, 3.0
"""The same of serialising that the framework does by itself."""
HOT_SAMPLES = 5
"""Fewer samples of a profile in one function may be chance."""
BLOCKED_MS = 50.0
"""Milliseconds for which a request holds the event loop."""
LOOP_SHARE = 0.05
"""Share of the event loop's clock at one place, waiting rather than computing."""
LAG_MS = 50.0
"""P95 of the event loop's lag from which on other requests feel it."""
POOL_WAIT_SHARE = 0.10
OPENS_PER_REQUEST = 0.5
HELD_SHARE = 0.3
"""Share of the load's time for which a loop is held before that is said without a line to blame."""


def find_held_loop(item: Evidence) -> Iterator[Finding]:
    """Requests that hold the event loop, so that no other moves: one finding an endpoint, with its worst places.

    The place is a line only where one line holds it for most of the time; else it is the endpoint's whole work.
    """
    endpoints = {text(row, "name"): row for row in unpack_rows(item.facts, "endpoint")}
    for endpoint, rows in grouped(unpack_rows(item.facts, "blocked"), "endpoint").items():
        held, share = sum(number(row, "ms") for row in rows), sum(number(row, "share") for row in rows)
        if held < BLOCKED_MS or share < MIN_SHARE:
            continue
        rows.sort(key=lambda row: -number(row, "ms"))
        places = ", ".join(f"{text(row, 'site')} ({number(row, 'ms'):.0f} ms)" for row in rows[:3])
        claim = (
            f"{endpoint} holds the event loop for {held:.0f} ms of its {number(rows[0], 'of_ms'):.0f} ms; no other "
            f"request moves meanwhile; seen most at {places}"
        )
        single = number(rows[0], "ms") >= held / 2
        place = place_of(text(rows[0], "site"), endpoint=endpoint) if single else Place(endpoint=endpoint)
        remedy = _loop_remedy(endpoints.get(endpoint, {}), held, node=runs_in_node(text(rows[0], "site")))
        yield make_finding(
            "blocking_call", place.model_copy(update={"symbol": None}), claim, item, share,
            remedy=remedy, covers=[line_of(text(row, "site")) for row in rows],
        )  # fmt: skip


def _loop_remedy(endpoint: Row, held_ms: float, *, node: bool) -> str:
    """By what the loop is held: a synchronous database driver, or work of the program's own."""
    if node:
        return (
            "await the asynchronous form of what holds it (no `…Sync` call), do it once where its arguments repeat, or "
            "hand it to a worker thread (worker_threads)"
        )
    waiting = number(endpoint, "db_ms")
    if waiting >= held_ms / 2:
        return (
            f"the database driver is synchronous and takes {waiting:.0f} ms of it: declare the handler with `def`, so "
            "that it runs in a thread, or use an asynchronous driver; fewer queries shorten it either way"
        )
    return (
        "declare the handler with `def`, so that it runs in a thread, and do less work in it: computing keeps the "
        "interpreter's lock in a thread as well, so large parts belong in a worker process"
    )


def find_loop_lag(item: Evidence) -> Iterator[Finding]:
    """Lines of the target's that make a loop late for everybody; or that it is late, where no line stands out.

    Those that wait are always worth naming. Those that compute are named unless a query or a function that other
    evidence shows stands there: see `tools.findings_joined`.
    """
    if number(item.facts, "p95_ms") < LAG_MS:
        return
    late = f"it is {number(item.facts, 'p95_ms'):.0f} ms late at P95, {number(item.facts, 'max_ms'):.0f} ms at most"
    rows = [
        row for row in unpack_rows(item.facts, "hold")
        if number(row, "share") >= LOOP_SHARE and number(row, "own") and not _queries(row)
    ]  # fmt: skip
    for row in rows:
        site, state = text(row, "site"), text(row, "state")
        claim = f"{site} holds the event loop for {number(row, 'share'):.0%} of the load's time, {state}; {late}"
        yield make_finding("blocking_call", place_of(site), claim, item, number(row, "share"),
                           remedy=_hold_remedy(state, node=runs_in_node(site)))  # fmt: skip
    held = number(item.facts, "held_share")
    if not rows and held >= HELD_SHARE:
        workload = workload_of(item)
        claim = f"under {workload} the event loop is held for {held:.0%} of the time, by no line for long; {late}"
        yield make_finding("blocking_call", Place(endpoint=workload), claim, item, held)


def _queries(row: Row) -> bool:
    """Whether a line computes inside a database library: that is told with the queries it sends."""
    _, _, path = text(row, "stack").rpartition(" (")
    return text(row, "state") == "computing" and path.startswith(tuple(f"{name}/" for name in DATABASE))


def _hold_remedy(state: str, *, node: bool) -> str:
    if node:
        return _loop_remedy({}, 0.0, node=True)
    if state == "computing":
        return (
            "do less here, do it once where its arguments repeat, or hand it to a worker process: a thread would keep "
            "the interpreter's lock, unless native code lets go of it"
        )
    return "await an asynchronous equivalent, or call it in a thread: asyncio.to_thread, or a handler with plain `def`"


def find_hot_path(item: Evidence) -> Iterator[Finding]:
    """Functions of the target's that compute for a large share of the CPU time."""
    for row in unpack_rows(item.facts, "hot"):
        share, ms = number(row, "cpu_share"), number(row, "ms")
        if share < HOT_SHARE or ms < HOT_MS or share * number(item.facts, "samples") < HOT_SAMPLES:
            continue
        serial = number(row, "serial_share") >= share / 2
        what = "serialising below it" if serial else "its own work and libraries below it"
        claim = f"{site_of(row)} takes {ms:.1f} ms of CPU a request, {share:.0%} of all ({what})"
        yield make_finding("serialisation" if serial else "cpu_hot_path", place_of(site_of(row)), claim, item,
                       number(row, "time_share"))  # fmt: skip


def find_serialisation(item: Evidence) -> Iterator[Finding]:
    """Serialising that no function of the target's calls: the framework does it with what handlers return."""
    share, cpu_ms = number(item.facts, "serial_share"), number(item.facts, "cpu_ms")
    named = sum(number(row, "serial_share") for row in unpack_rows(item.facts, "hot"))
    if share - named >= SERIAL_SHARE and (share - named) * cpu_ms >= SERIAL_MS:
        claim = f"turning results into JSON takes {share:.0%} of CPU time, {share - named:.0%} in the framework itself"
        time_share = (share - named) * min(number(item.facts, "busy"), 1.0)
        yield make_finding("serialisation", Place(), claim, item, time_share)


def find_blocking_wait(item: Evidence) -> Iterator[Finding]:
    """A place that holds the event loop without computing: it waits, and everyone with it."""
    for row in unpack_rows(item.facts, "hot"):
        held, computing = number(row, "loop_share"), number(row, "loop_cpu_share")
        if held < LOOP_SHARE or computing > held / 2:
            continue
        claim = (
            f"{site_of(row)} holds the event loop for {held:.0%} of its clock, only {computing:.0%} of it in Python "
            "code: it waits or runs native code there while no other request moves"
        )
        remedy = (
            "where it waits, await an asynchronous equivalent; where native code computes, do it once where its "
            "arguments repeat, or call it in a thread (asyncio.to_thread, or a handler with plain `def`)"
        )
        yield make_finding("blocking_call", place_of(site_of(row)), claim, item, held, remedy=remedy)


def find_pool_wait(item: Evidence) -> Iterator[Finding]:
    """Requests that wait for a pooled database connection."""
    share = number(item.facts, "pool_wait_share")
    if share >= POOL_WAIT_SHARE:
        full = number(item.facts, "full_share")
        said = f"; it is full at {full:.0%} of checkouts" if full else ""
        size = f", of at most {number(item.facts, 'capacity'):g}" if item.facts.get("capacity") else ""
        claim = f"requests spend {share:.0%} of their time waiting for a pooled database connection{size}{said}"
        yield make_finding("pool_exhausted", Place(), claim, item, share)


def find_opened_connections(item: Evidence) -> Iterator[Finding]:
    """Requests that open a connection to the database each time."""
    share, each = number(item.facts, "open_share"), number(item.facts, "opens_per_request")
    if share >= POOL_WAIT_SHARE and each >= OPENS_PER_REQUEST:
        claim = f"requests open {each:.2f} database connections each, which takes {share:.0%} of their time"
        remedy = "keep connections open between requests: a pool as large as the concurrency, with a time limit"
        yield make_finding("round_trips", Place(symbol="database connections"), claim, item, share, remedy=remedy)


RULES: dict[str, tuple[Rule, ...]] = {
    "queries": (find_held_loop,),
    "cpu": (find_hot_path, find_serialisation, find_blocking_wait, find_pool_wait),
    "loop": (find_loop_lag,),
    "pool": (find_pool_wait, find_opened_connections),
}
