"""Detectors for what travels: responses, the waits for a database at a distance, and the rate that is held."""

from collections.abc import Iterator

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.records.work import Finding, Place, Severity
from tools.findings import COMPRESSED_SHARE, COMPRESSIBLE_BYTES, Rule, make_finding, workload_of

LARGE_RESPONSE_BYTES = 100_000
HUGE_BYTES = 1_000_000
"""A response, or what compression would save of it, that is grave by its size alone."""
SMALL_SAVING = 100_000
"""Bytes: compression that saves less is a small matter."""
WAITS = 8.0
"""Waits for the database one after the other within a request, by what a millisecond of distance added."""
ADDED_SHARE = 0.2
"""And what they add, as a share of the response time with the database at hand."""


def find_large_response(item: Evidence) -> Iterator[Finding]:
    """Large responses."""
    for row in _answered(item):
        plain, endpoint = number(row, "identity"), text(row, "endpoint")
        if plain >= LARGE_RESPONSE_BYTES:
            claim = f"{endpoint} answers with {plain:,.0f} B ({number(row, 'wire'):,.0f} B on the wire)"
            severity: Severity = "high" if plain >= HUGE_BYTES else "medium"
            yield make_finding("large_payload", Place(endpoint=endpoint), claim, item, None, severity=severity)


def find_ignored_validator(item: Evidence) -> Iterator[Finding]:
    """Responses that are sent again though unchanged."""
    for row in _answered(item):
        plain, endpoint, validator = number(row, "identity"), text(row, "endpoint"), text(row, "validator")
        if row.get("revalidates") == 0 and plain >= COMPRESSIBLE_BYTES:
            claim = f"{endpoint} gives a validator ({validator}) but sends all of an unchanged answer again"
            remedy = f"answer 304 where the client's copy is current ({validator}), before the work is done"
            yield make_finding("cache_miss", Place(endpoint=endpoint), claim, item, None, remedy=remedy)


def find_plain_response(item: Evidence) -> Iterator[Finding]:
    """Responses that could be compressed and are not."""
    for row in _answered(item):
        plain, packed, endpoint = number(row, "identity"), number(row, "gzip"), text(row, "endpoint")
        plainly = text(row, "encoding") in ("identity", "")
        if not plainly or plain < COMPRESSIBLE_BYTES or packed > COMPRESSED_SHARE * plain:
            continue
        claim = f"{endpoint} sends {plain:,.0f} B uncompressed though gzip is offered; gzip makes {packed:,.0f} B of it"
        saved = plain - packed
        severity: Severity = "high" if saved >= HUGE_BYTES else "medium" if saved >= SMALL_SAVING else "low"
        yield make_finding("no_compression", Place(endpoint=endpoint), claim, item, None, severity=severity)


def find_redirects(item: Evidence) -> Iterator[Finding]:
    """Requests that are sent elsewhere first."""
    for row in _answered(item):
        redirects, endpoint = number(row, "round_trips") - 1, text(row, "endpoint")
        if redirects >= 1:
            claim = f"{endpoint} is redirected before it is answered (redirects: {redirects:g})"
            remedy = "ask the last address at once: each redirect is a round trip of its own"
            yield make_finding("round_trips", Place(endpoint=endpoint), claim, item, None, remedy=remedy)


def find_closed_connections(item: Evidence) -> Iterator[Finding]:
    """A server that closes the connection after each answer."""
    asked = [row for row in unpack_rows(item.facts, "response") if row.get("reused") is not None]
    if asked and not any(number(row, "reused") for row in asked):
        claim = f"the server closes the connection after each answer ({text(asked[0], 'http')}), so each opens another"
        remedy = "keep connections alive (HTTP/1.1 with content-length, or HTTP/2), behind the proxy as well"
        yield make_finding("round_trips", Place(symbol="connections"), claim, item, None, remedy=remedy,
                           severity="low")  # fmt: skip


def _answered(item: Evidence) -> list[Row]:
    return [row for row in unpack_rows(item.facts, "response") if number(row, "status") < 400]


def find_distant_waits(item: Evidence) -> Iterator[Finding]:
    """Requests that wait for the database many times, one wait after the other: seen with it a millisecond away."""
    for row in unpack_rows(item.facts, "far"):
        near, added, waits = number(row, "near_ms"), number(row, "added_ms"), number(row, "round_trips")
        if waits < WAITS or added < ADDED_SHARE * near:
            continue
        endpoint = text(row, "endpoint")
        claim = (
            f"{endpoint} waits for the database about {waits:.0f} times one after the other: with it "
            f"{number(item.facts, 'rtt_ms'):.1f} ms away {near:.1f} ms become {number(row, 'far_ms'):.1f} ms"
        )
        remedy = "ask for more at a time: join or batch queries, and send those that don't need each other side by side"
        yield make_finding("round_trips", Place(endpoint=endpoint), claim, item, None, remedy=remedy)


def find_low_capacity(item: Evidence) -> Iterator[Finding]:
    """A rate that is asked for and not held."""
    wanted, held = number(item.facts, "wanted_rps"), number(item.facts, "capacity_rps")
    if not wanted or item.facts.get("broken_rps") is None or held >= wanted or number(item.facts, "generator_bound"):
        return
    workload = workload_of(item)
    claim = f"{workload} holds its goals up to {held:,.1f} requests a second; {wanted:,.1f} are asked for"
    severity: Severity = "high" if held < wanted / 2 else "medium"
    yield make_finding("low_capacity", Place(endpoint=workload), claim, item, None, severity=severity)


RULES: dict[str, tuple[Rule, ...]] = {
    "payload": (
        find_large_response, find_ignored_validator, find_plain_response, find_redirects, find_closed_connections,
    ),
    "round_trips": (find_distant_waits,),
    "capacity": (find_low_capacity,),
}  # fmt: skip
