"""Detectors for what travels: responses, and what pages make of them in a browser."""

from collections.abc import Iterator

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.records.work import Finding, FindingKind, Place, Severity
from tools.findings import Rule, make_finding, workload_of

LARGE_RESPONSE_BYTES = 100_000
COMPRESSIBLE_BYTES = 10_000
"""A smaller response gains little from compression."""
BUNDLE_BYTES = 500_000
"""The recipe's own limit for a bundle, decoded."""
UNUSED_BYTES = 50_000
"""Code loaded and not run while the page is used: less is what any library leaves over."""
BLOCKING_BYTES = 20_000
"""A blocking file below this arrives with the page's first packets."""
IMAGE_BYTES = 50_000
COMPRESSED_SHARE = 0.6
"""What gzip must make of a response, at most, to be worth it."""


def find_payload(item: Evidence) -> Iterator[Finding]:
    """Large responses, those that could be compressed and are not, those sent again though unchanged."""
    for row in unpack_rows(item.facts, "response"):
        plain, wire, packed = (number(row, name) for name in ("identity", "wire", "gzip"))
        endpoint = text(row, "endpoint")
        if number(row, "status") >= 400:
            continue
        if plain >= LARGE_RESPONSE_BYTES:
            claim = f"{endpoint} answers with {plain:,.0f} B ({wire:,.0f} B on the wire)"
            yield make_finding("large_payload", Place(endpoint=endpoint), claim, item, None)
        if row.get("revalidates") == 0 and plain >= COMPRESSIBLE_BYTES:
            claim = (
                f"{endpoint} gives a validator ({text(row, 'validator')}) but sends all of an unchanged answer again"
            )
            remedy = (
                f"answer 304 where the client's copy is current ({text(row, 'validator')}), before the work is done"
            )
            yield make_finding("cache_miss", Place(endpoint=endpoint), claim, item, None, remedy=remedy)
        plainly = text(row, "encoding") in ("identity", "")
        if plainly and plain >= COMPRESSIBLE_BYTES and packed <= COMPRESSED_SHARE * plain:
            claim = (
                f"{endpoint} sends {plain:,.0f} B uncompressed though gzip is offered; gzip makes {packed:,.0f} B of it"
            )
            yield make_finding("no_compression", Place(endpoint=endpoint), claim, item, None)


def find_vitals(item: Evidence) -> Iterator[Finding]:
    """Core Web Vitals that are not good, with the element that each is about. They are of the page, not of a server."""
    for row in unpack_rows(item.facts, "vital"):
        kind = _VITALS.get(text(row, "short"))
        if kind is None or text(row, "rating") in ("", "good") or number(row, "retired"):
            continue
        about = f", at {text(row, 'element')}" if text(row, "element") else ""
        parts = f" ({text(row, 'parts')})" if text(row, "parts") else ""
        claim = (
            f"{workload_of(item)} has {_amount(row)} {text(row, 'short')}{about}{parts}: {text(row, 'rating')}; "
            f"{number(row, 'visits'):.0f} visits between {number(row, 'least'):.3g} and {number(row, 'most'):.3g}"
        )
        severity: Severity = "high" if text(row, "rating") == "poor" else "medium"
        yield make_finding(kind, Place(endpoint=workload_of(item)), claim, item, None, severity=severity)


_VITALS: dict[str, FindingKind] = {"LCP": "slow_paint", "CLS": "layout_shift", "INP": "slow_interaction"}


def _amount(row: Row) -> str:
    value = number(row, "value")
    return f"{value:.3f} of" if text(row, "short") == "CLS" else f"{value:,.0f} ms"


def find_page_weight(item: Evidence) -> Iterator[Finding]:
    """Code that the page loads and does not use, what blocks its first paint, heavy images, repeated requests."""
    page = Place(endpoint=workload_of(item))
    unused = [row for row in unpack_rows(item.facts, "unused") if number(row, "unused") >= UNUSED_BYTES]
    if sum(number(row, "unused") for row in unused) >= UNUSED_BYTES:
        files = ", ".join(f"{text(row, 'url')} ({number(row, 'unused'):,.0f} B)" for row in unused[:3])
        claim = (
            f"{page.endpoint} loads {number(item.facts, 'unused_bytes'):,.0f} B of code that it does not use: {files}"
        )
        yield make_finding("bundle_size", page, claim, item, None)
    blocking = [row for row in unpack_rows(item.facts, "blocking") if number(row, "bytes") >= BLOCKING_BYTES]
    if blocking:
        files = ", ".join(f"{text(row, 'url')} ({number(row, 'bytes'):,.0f} B)" for row in blocking[:4])
        yield make_finding("blocked_rendering", page, f"{page.endpoint} paints nothing before {files}", item, None)
    images = [
        row for row in unpack_rows(item.facts, "image")
        if number(row, "bytes") >= IMAGE_BYTES and (number(row, "too_large") or number(row, "old_format"))
    ]  # fmt: skip
    if images:
        listed = ", ".join(
            f"{text(row, 'url')} ({number(row, 'bytes'):,.0f} B, {text(row, 'natural')} shown as {text(row, 'shown')})"
            for row in images[:3]
        )
        yield make_finding("heavy_image", page, f"{page.endpoint} loads {listed}", item, None)
    repeated = [row for row in unpack_rows(item.facts, "duplicate") if number(row, "count") > 1]
    if repeated:
        listed = ", ".join(f"{text(row, 'request')} ({number(row, 'count'):g} times)" for row in repeated[:3])
        yield make_finding("round_trips", page, f"{page.endpoint} asks again for what it has: {listed}", item, None)


def find_bundle(item: Evidence) -> Iterator[Finding]:
    """Scripts and style sheets that are large together, with the modules that weigh most."""
    plain, wire = number(item.facts, "plain"), number(item.facts, "wire")
    if plain < BUNDLE_BYTES:
        return
    rows = sorted(unpack_rows(item.facts, "module"), key=lambda row: -number(row, "bytes"))[:4]
    heavy = ", ".join(f"{text(row, 'name')} ({number(row, 'bytes'):,.0f} B)" for row in rows)
    most = f"; most in {heavy}" if heavy else ""
    page = workload_of(item)
    claim = f"{page} loads {plain:,.0f} B of scripts and style sheets, {wire:,.0f} B on the wire{most}"
    yield make_finding("bundle_size", Place(endpoint=page), claim, item, None)


RULES: dict[str, tuple[Rule, ...]] = {
    "payload": (find_payload,),
    "vitals": (find_vitals,),
    "page": (find_page_weight,),
    "bundle": (find_bundle,),
}
