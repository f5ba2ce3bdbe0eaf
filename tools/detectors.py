"""Evidence to findings, by rules with named thresholds. Pure functions, silent where nothing is wrong.

Shares are of end-to-end time as far as an instrument can tell: of the traced requests' time for queries, of one core's
clock for CPU. Where it can't (bytes on loopback, memory) the share is None.
"""

from collections.abc import Callable, Iterable, Iterator

from perfcrew.records.evidence import Evidence
from perfcrew.records.work import Finding, FindingKind, Place, Severity
from tools.facts import Row, number, text, unpack_rows
from tools.remedies import PREVENTION, REMEDY

MIN_SHARE = 0.02
"""Below this share of end-to-end time nothing is worth a finding."""
SLOW_QUERY_MS = 20.0
SLOW_QUERY_SHARE = 0.10
INDEX_GAIN = 0.7
"""A tried index must leave less than this of the query's time."""
LARGE_RESPONSE_BYTES = 100_000
COMPRESSIBLE_BYTES = 10_000
"""A smaller response gains little from compression."""
COMPRESSED_SHARE = 0.6
"""What gzip must make of a response, at most, to be worth it."""
HOT_SHARE, HOT_MS = 0.05, 3.0
"""CPU share and milliseconds a request of one function of the target's, without database libraries below it: both,
because in an application that does little something always has the largest share of it."""
BLOCKED_MS = 50.0
"""Milliseconds for which a request holds the event loop at one place."""
LOOP_SHARE = 0.05
"""Share of the event loop's clock at one place, waiting rather than computing."""
POOL_WAIT_SHARE = 0.10


def detect(evidence: Iterable[Evidence]) -> tuple[Finding, ...]:
    """All findings, each once, the largest share first."""
    found: dict[str, Finding] = {}
    for item in evidence:
        for rule in _RULES.get(item.kind, ()):
            for finding in rule(item):
                known = found.get(finding.id)
                found[finding.id] = finding if known is None else _merge(known, finding)
    return tuple(sorted(found.values(), key=lambda finding: (-(finding.share or 0.0), finding.id)))


def finding_id(kind: str, place: Place) -> str:
    """`kind@place`: the most telling part of the place names it."""
    return f"{kind}@{place.fingerprint or place.symbol or place.endpoint or place.path or 'application'}"


def measured_shares(evidence: Iterable[Evidence]) -> dict[str, float]:
    """Measured share of end-to-end time by statement id, source line (`path:line`), function and endpoint."""
    shares: dict[str, float] = {}

    def note(name: str, share: float) -> None:
        if name:
            shares[name] = max(shares.get(name, 0.0), share)

    for item in evidence:
        for row in unpack_rows(item.facts, "statement"):
            note(text(row, "id"), number(row, "loop_share"))
            note(text(row, "site").partition(" ")[0], number(row, "loop_share"))
        for row in unpack_rows(item.facts, "endpoint"):
            note(text(row, "name"), number(row, "share"))
        for row in unpack_rows(item.facts, "hot"):
            note(text(row, "name"), number(row, "time_share"))
            note(f"{text(row, 'path')}:{row.get('line')}", number(row, "time_share"))
    return shares


def _merge(first: Finding, second: Finding) -> Finding:
    """One finding from two pieces of evidence: the larger share leads, both are cited."""
    lead, other = (first, second) if (first.share or 0.0) >= (second.share or 0.0) else (second, first)
    return lead.model_copy(update={"evidence": tuple(dict.fromkeys((*lead.evidence, *other.evidence)))})


def _finding(kind: FindingKind, place: Place, claim: str, item: Evidence, share: float | None) -> Finding:
    return Finding(
        id=finding_id(kind, place),
        kind=kind,
        place=place,
        claim=claim,
        evidence=(item.id,),
        share=None if share is None else min(share, 1.0),
        severity=_severity(share),
        remedy=REMEDY[kind],
        prevention=PREVENTION[kind],
        source="detector",
    )


def _severity(share: float | None) -> Severity:
    if share is None:
        return "medium"
    return "critical" if share >= 0.5 else "high" if share >= 0.2 else "medium" if share >= 0.05 else "low"


def _place(site: str, **more: str | None) -> Place:
    """A place from `path:line function`."""
    where, _, symbol = site.partition(" ")
    path, _, line = where.rpartition(":")
    return Place(path=path or None, line=int(line) if line.isdigit() else None, symbol=symbol or None, **more)


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
        place = _place(text(row, "site"), endpoint=endpoint, fingerprint=text(row, "id"))
        yield _finding("n_plus_one", place, claim, item, number(row, "loop_share"))


def find_repeated(item: Evidence) -> Iterator[Finding]:
    """One statement with the same values, several times within a request."""
    for row in unpack_rows(item.facts, "statement"):
        if not number(row, "repeated") or number(row, "loop_share") < MIN_SHARE:
            continue
        claim = (
            f"{text(row, 'endpoint')} sends {text(row, 'id')} {number(row, 'calls'):g} times a request with only "
            f"{number(row, 'distinct'):g} different parameter sets, from {text(row, 'site')}"
        )
        place = _place(text(row, "site"), endpoint=text(row, "endpoint"), fingerprint=text(row, "id"))
        yield _finding("repeated_computation", place, claim, item, number(row, "loop_share"))


def find_slow_query(item: Evidence) -> Iterator[Finding]:
    """A statement that takes long each time."""
    for row in unpack_rows(item.facts, "statement"):
        each = number(row, "ms") / max(number(row, "calls"), 1.0)
        if each < SLOW_QUERY_MS or number(row, "share") < SLOW_QUERY_SHARE:
            continue
        claim = f"{text(row, 'id')} takes {each:.0f} ms a call in {text(row, 'endpoint')}, from {text(row, 'site')}"
        place = _place(text(row, "site"), endpoint=text(row, "endpoint"), fingerprint=text(row, "id"))
        yield _finding("slow_query", place, claim, item, number(row, "share"))


def find_held_loop(item: Evidence) -> Iterator[Finding]:
    """Requests that hold the event loop, so that no other moves: one finding an endpoint, with its worst places."""
    for endpoint, rows in _grouped(unpack_rows(item.facts, "blocked"), "endpoint").items():
        held, share = sum(number(row, "ms") for row in rows), sum(number(row, "share") for row in rows)
        if held < BLOCKED_MS or share < MIN_SHARE:
            continue
        rows.sort(key=lambda row: -number(row, "ms"))
        places = ", ".join(f"{text(row, 'site')} ({number(row, 'ms'):.0f} ms)" for row in rows[:3])
        claim = (
            f"{endpoint} holds the event loop for {held:.0f} ms of its {number(rows[0], 'of_ms'):.0f} ms; no other "
            f"request moves meanwhile; most at {places}"
        )
        place = _place(text(rows[0], "site"), endpoint=endpoint).model_copy(update={"symbol": None})
        yield _finding("blocking_call", place, claim, item, share)


def _grouped(rows: Iterable[Row], name: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(text(row, name), []).append(row)
    return groups


def find_missing_index(item: Evidence) -> Iterator[Finding]:
    """Queries that read a big table from end to end where an index would do: one finding a table and leading column."""
    wanted = [row for row in unpack_rows(item.facts, "plan") if text(row, "index") and not _useless(row)]
    for lead, rows in _grouped(wanted, "lead").items():
        share = sum(number(row, "share") for row in rows)
        if share < MIN_SHARE:
            continue
        rows.sort(key=lambda row: -number(row, "share"))
        queries = "; ".join(f"{text(row, 'id')} {_trial(row)}" for row in rows)
        candidates = ", ".join(dict.fromkeys(text(row, "index") for row in rows))
        claim = (
            f"all {number(rows[0], 'scanned'):,.0f} rows of {text(rows[0], 'table')} are read by {queries}: "
            f"{share:.0%} of the workload's time in the driver. Candidates (one may serve several): {candidates}"
        )
        place = _place(text(rows[0], "site"), endpoint=text(rows[0], "endpoint")).model_copy(update={"symbol": lead})
        yield _finding("missing_index", place, claim, item, share)


def _useless(row: Row) -> bool:
    """Tried, and not used or no gain."""
    if row.get("after_ms") is None:
        return False
    return not number(row, "index_used") or number(row, "after_ms") >= INDEX_GAIN * number(row, "ms")


def _trial(row: Row) -> str:
    if row.get("after_ms") is None:
        return f"({number(row, 'ms'):.2f} ms)"
    return f"({number(row, 'ms'):.2f} → {number(row, 'after_ms'):.2f} ms with an index on a copy)"


def find_payload(item: Evidence) -> Iterator[Finding]:
    """Large responses, those that could be compressed and are not, those sent again though unchanged."""
    for row in unpack_rows(item.facts, "response"):
        plain, wire, packed = (number(row, name) for name in ("identity", "wire", "gzip"))
        endpoint = text(row, "endpoint")
        if number(row, "status") >= 400:
            continue
        if plain >= LARGE_RESPONSE_BYTES:
            claim = f"{endpoint} answers with {plain:,.0f} B ({wire:,.0f} B on the wire)"
            yield _finding("large_payload", Place(endpoint=endpoint), claim, item, None)
        if row.get("revalidates") == 0 and plain >= COMPRESSIBLE_BYTES:
            claim = (
                f"{endpoint} gives a validator ({text(row, 'validator')}) but sends all of an unchanged answer again"
            )
            yield _finding("cache_miss", Place(endpoint=endpoint), claim, item, None)
        plainly = text(row, "encoding") in ("identity", "")
        if plainly and plain >= COMPRESSIBLE_BYTES and packed <= COMPRESSED_SHARE * plain:
            claim = (
                f"{endpoint} sends {plain:,.0f} B uncompressed though gzip is offered; gzip makes {packed:,.0f} B of it"
            )
            yield _finding("no_compression", Place(endpoint=endpoint), claim, item, None)


def find_leak(item: Evidence) -> Iterator[Finding]:
    """Memory that grows with the requests served."""
    if item.facts.get("leak") != 1:
        return
    growth, rising = number(item.facts, "growth_kb_per_request"), number(item.facts, "rising_share")
    workload = item.id.partition("@")[2].partition("/")[0]
    claim = f"under {workload} memory grows by {growth:.1f} kB a request, rising in {rising:.0%} of the steps"
    yield _finding("memory_leak", Place(endpoint=workload), claim, item, None)


def find_hot_path(item: Evidence) -> Iterator[Finding]:
    """Functions of the target's that compute for a large share of the CPU time."""
    for row in unpack_rows(item.facts, "hot"):
        share, ms = number(row, "cpu_share"), number(row, "ms")
        if share < HOT_SHARE or ms < HOT_MS:
            continue
        serial = number(row, "serial_share") >= share / 2
        what = "serialising below it" if serial else "its own work and libraries below it"
        claim = f"{_site(row)} takes {ms:.1f} ms of CPU a request, {share:.0%} of all ({what})"
        yield _finding("serialisation" if serial else "cpu_hot_path", _place(_site(row)), claim, item,
                       number(row, "time_share"))  # fmt: skip


def find_serialisation(item: Evidence) -> Iterator[Finding]:
    """Serialising that no function of the target's calls: the framework does it with what handlers return."""
    share, cpu_ms = number(item.facts, "serial_share"), number(item.facts, "cpu_ms")
    named = sum(number(row, "serial_share") for row in unpack_rows(item.facts, "hot"))
    if share - named >= HOT_SHARE and (share - named) * cpu_ms >= HOT_MS:
        claim = f"turning results into JSON takes {share:.0%} of CPU time, {share - named:.0%} in the framework itself"
        time_share = (share - named) * min(number(item.facts, "busy"), 1.0)
        yield _finding("serialisation", Place(), claim, item, time_share)


def find_blocking_wait(item: Evidence) -> Iterator[Finding]:
    """A place that holds the event loop without computing: it waits, and everyone with it."""
    for row in unpack_rows(item.facts, "hot"):
        held, computing = number(row, "loop_share"), number(row, "loop_cpu_share")
        if held < LOOP_SHARE or computing > held / 2:
            continue
        claim = (
            f"{_site(row)} holds the event loop for {held:.0%} of its clock, only {computing:.0%} of it in Python "
            "code: it waits or runs native code there while no other request moves"
        )
        yield _finding("blocking_call", _place(_site(row)), claim, item, held)


def find_pool_wait(item: Evidence) -> Iterator[Finding]:
    """Requests that wait for a pooled database connection."""
    share = number(item.facts, "pool_wait_share")
    if share >= POOL_WAIT_SHARE:
        claim = f"requests spend {share:.0%} of their time waiting for a pooled database connection"
        yield _finding("pool_exhausted", Place(), claim, item, share)


def _site(row: Row) -> str:
    return f"{text(row, 'path')}:{row.get('line')} {text(row, 'name')}"


_RULES: dict[str, tuple[Callable[[Evidence], Iterator[Finding]], ...]] = {
    "queries": (find_n_plus_one, find_repeated, find_slow_query, find_held_loop),
    "explain": (find_missing_index,),
    "payload": (find_payload,),
    "memory": (find_leak,),
    "cpu": (find_hot_path, find_serialisation, find_blocking_wait, find_pool_wait),
}
