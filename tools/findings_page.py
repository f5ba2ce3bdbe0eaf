"""Detectors for pages in a browser: their vitals, what they load, and what Lighthouse says of them."""

from collections.abc import Iterator, Sequence

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.records.work import Finding, FindingKind, Place, Severity
from tools.findings import COMPRESSED_SHARE, COMPRESSIBLE_BYTES, Rule, grouped, make_finding, workload_of

BUNDLE_BYTES = 500_000
"""The recipe's own limit for a bundle, decoded."""
UNUSED_BYTES = 50_000
"""Code loaded and not run while the page is used: less is what any library leaves over."""
BLOCKING_BYTES = 20_000
"""A blocking file below this arrives with the page's first packets."""
IMAGE_BYTES = 50_000
KEPT_BYTES = 20_000
"""Files that a second visit loads again although they did not change."""
AUDIT_MS, AUDIT_BYTES = 100.0, 50_000
"""What an audit of Lighthouse must promise to save, one or the other."""
STATIC = frozenset({"Script", "Stylesheet", "Image", "Font"})
TEXTS = frozenset({"Document", "Script", "Stylesheet", "XHR", "Fetch"})
_VITALS: dict[str, FindingKind] = {
    "LCP": "slow_paint", "CLS": "layout_shift", "INP": "slow_interaction", "TBT": "blocking_call", "FCP": "slow_paint",
    "TTFB": "slow_paint",
}  # fmt: skip
_REMEDIES = {
    "TBT": "split long tasks, load less script, and move what computes to a worker: the page can't answer meanwhile",
    "FCP": "let the first HTML hold what is shown first, with nothing before it that blocks",
    "TTFB": "answer the page sooner: no redirects before it, less work in its handler, or send its head at once",
}


def find_vitals(item: Evidence) -> Iterator[Finding]:
    """Vitals that are not good, with the element that each is about: one finding a kind, the core vital leading."""
    page = workload_of(item)
    bad = [
        row for row in unpack_rows(item.facts, "vital")
        if text(row, "short") in _VITALS and text(row, "rating") not in ("", "good") and not number(row, "retired")
    ]  # fmt: skip
    kinds: dict[FindingKind, list[Row]] = {}
    for row in sorted(bad, key=lambda row: -number(row, "core")):
        kinds.setdefault(_VITALS[text(row, "short")], []).append(row)
    for kind, rows in kinds.items():
        claim = f"{page} has " + "; ".join(_tell_vital(row) for row in rows)
        grave = any(text(row, "rating") == "poor" and number(row, "core") for row in rows)
        remedy = _REMEDIES.get(text(rows[0], "short"), "")
        severity: Severity = "high" if grave else "medium"
        yield make_finding(kind, Place(endpoint=page), claim, item, None, severity=severity, remedy=remedy)


def _tell_vital(row: Row) -> str:
    about = f", at {text(row, 'element')}" if text(row, "element") else ""
    parts = f" ({text(row, 'parts')})" if text(row, "parts") else ""
    short = text(row, "short")
    digits, unit = (3, " of") if short == "CLS" else (0, " ms")
    value, least, most = (f"{number(row, name):,.{digits}f}" for name in ("value", "least", "most"))
    return (
        f"{value}{unit} {short}{about}{parts}: {text(row, 'rating')}; {number(row, 'visits'):.0f} visits between "
        f"{least} and {most}"
    )


def find_unused_code(item: Evidence) -> Iterator[Finding]:
    """Code that the page loads and does not use."""
    unused = [row for row in unpack_rows(item.facts, "unused") if number(row, "unused") >= UNUSED_BYTES]
    if not unused:
        return
    files = ", ".join(f"{text(row, 'url')} ({number(row, 'unused'):,.0f} B)" for row in unused[:3])
    page = workload_of(item)
    claim = f"{page} loads {number(item.facts, 'unused_bytes'):,.0f} B of code that it does not use: {files}"
    yield make_finding("bundle_size", Place(endpoint=page), claim, item, None)


def find_blocked_rendering(item: Evidence) -> Iterator[Finding]:
    """Files without which nothing is painted."""
    blocking = [row for row in unpack_rows(item.facts, "blocking") if number(row, "bytes") >= BLOCKING_BYTES]
    if blocking:
        files = ", ".join(f"{text(row, 'url')} ({number(row, 'bytes'):,.0f} B)" for row in blocking[:4])
        page = workload_of(item)
        claim = f"{page} paints nothing before {files}"
        yield make_finding("blocked_rendering", Place(endpoint=page), claim, item, None)


def find_images(item: Evidence) -> Iterator[Finding]:
    """Images with too many pixels or in an old format, and images for which no space is kept."""
    page, images = workload_of(item), unpack_rows(item.facts, "image")
    heavy = [
        row for row in images
        if number(row, "bytes") >= IMAGE_BYTES and (number(row, "too_large") or number(row, "old_format"))
    ]  # fmt: skip
    if heavy:
        listed = ", ".join(
            f"{text(row, 'url')} ({number(row, 'bytes'):,.0f} B of {text(row, 'mime')}, {text(row, 'natural')} shown "
            f"as {text(row, 'shown')})"
            for row in heavy[:3]
        )
        yield make_finding("heavy_image", Place(endpoint=page), f"{page} loads {listed}", item, None)
    loose = [text(row, "url") for row in images if not number(row, "reserved")]
    if loose:
        claim = f"{page} keeps no space for {', '.join(loose[:3])} (no width and height): what follows moves"
        yield make_finding("layout_shift", Place(endpoint=page), claim, item, None, severity="low")


def find_repeated_requests(item: Evidence) -> Iterator[Finding]:
    """Requests for what the page has already, and redirects before what it wants."""
    page = workload_of(item)
    repeated = [row for row in unpack_rows(item.facts, "duplicate") if number(row, "count") > 1]
    told = []
    if repeated:
        listed = ", ".join(f"{text(row, 'request')} ({number(row, 'count'):g} times)" for row in repeated[:3])
        told.append(f"asks again for what it has: {listed}")
    if redirects := number(item.facts, "redirects"):
        told.append(f"is redirected before it gets what it asks for (redirects: {redirects:g})")
    if told:
        yield make_finding("round_trips", Place(endpoint=page), f"{page} {'; '.join(told)}", item, None)


def find_uncached_files(item: Evidence) -> Iterator[Finding]:
    """Files that a browser can neither keep nor ask about, so that each visit loads them again."""
    rows = [row for row in _own(unpack_rows(item.facts, "resource"), STATIC) if _forgotten(row)]
    if sum(number(row, "bytes") for row in rows) < KEPT_BYTES:
        return
    page, listed = workload_of(item), _listed(rows)
    claim = f"{page} loads again on each visit what says neither how long it is good nor has a validator: {listed}"
    remedy = "give files a name with their content's hash and `Cache-Control: max-age=31536000, immutable`, or an ETag"
    yield make_finding("cache_miss", Place(endpoint=page), claim, item, None, remedy=remedy)


def _forgotten(row: Row) -> bool:
    kept = text(row, "cache_control").lower()
    return "no-store" in kept or not (kept or number(row, "validator"))


def find_plain_texts(item: Evidence) -> Iterator[Finding]:
    """Texts that come to the browser uncompressed, though it offers to take them packed."""
    rows = [
        row for row in _own(unpack_rows(item.facts, "resource"), TEXTS)
        if text(row, "encoding") in ("", "identity") and number(row, "bytes") >= COMPRESSIBLE_BYTES
    ]  # fmt: skip
    if rows:
        page = workload_of(item)
        yield make_finding("no_compression", Place(endpoint=page), f"{page} loads uncompressed {_listed(rows)}", item,
                           None)  # fmt: skip


def _own(rows: Sequence[Row], types: frozenset[str]) -> list[Row]:
    """Files of the application's own that came: others' servers are not its to mend."""
    return [
        row for row in rows
        if text(row, "type") in types and text(row, "url").startswith("/") and number(row, "status") == 200
    ]  # fmt: skip


def _listed(rows: Sequence[Row]) -> str:
    return ", ".join(f"{text(row, 'url')} ({number(row, 'bytes'):,.0f} B)" for row in rows[:4])


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


def find_plain_bundle(item: Evidence) -> Iterator[Finding]:
    """Scripts and style sheets that came uncompressed, with what gzip makes of them."""
    rows = [
        row for row in unpack_rows(item.facts, "file")
        if number(row, "plain") >= COMPRESSIBLE_BYTES and number(row, "wire") >= number(row, "plain")
        and number(row, "gzip") <= COMPRESSED_SHARE * number(row, "plain")
    ]  # fmt: skip
    if not rows:
        return
    page, plain, packed = workload_of(item), *(sum(number(row, name) for row in rows) for name in ("plain", "gzip"))
    listed = ", ".join(text(row, "url") for row in rows[:4])
    claim = f"{page} loads {plain:,.0f} B uncompressed; gzip makes {packed:,.0f} B of them: {listed}"
    yield make_finding("no_compression", Place(endpoint=page), claim, item, None)


AUDITS: dict[str, FindingKind] = {
    "render-blocking-resources": "blocked_rendering", "render-blocking-insight": "blocked_rendering",
    "critical-request-chains": "blocked_rendering", "network-dependency-tree-insight": "blocked_rendering",
    "unused-javascript": "bundle_size", "unused-css-rules": "bundle_size", "duplicated-javascript": "bundle_size",
    "duplicated-javascript-insight": "bundle_size", "legacy-javascript": "bundle_size",
    "legacy-javascript-insight": "bundle_size", "unminified-javascript": "bundle_size",
    "unminified-css": "bundle_size", "total-byte-weight": "bundle_size", "uses-text-compression": "no_compression",
    "modern-image-formats": "heavy_image", "uses-optimized-images": "heavy_image", "offscreen-images": "heavy_image",
    "uses-responsive-images": "heavy_image", "efficient-animated-content": "heavy_image",
    "image-delivery-insight": "heavy_image", "uses-long-cache-ttl": "cache_miss", "cache-insight": "cache_miss",
    "unsized-images": "layout_shift", "layout-shifts": "layout_shift", "cls-culprits-insight": "layout_shift",
    "redirects": "round_trips", "uses-http2": "round_trips", "modern-http-insight": "round_trips",
    "uses-rel-preconnect": "round_trips", "document-latency-insight": "slow_paint", "font-display": "slow_paint",
    "font-display-insight": "slow_paint", "prioritize-lcp-image": "slow_paint", "lcp-lazy-loaded": "slow_paint",
    "lcp-discovery-insight": "slow_paint", "lcp-breakdown-insight": "slow_paint", "server-response-time": "slow_paint",
    "bootup-time": "blocking_call", "mainthread-work-breakdown": "blocking_call", "long-tasks": "blocking_call",
    "third-party-summary": "blocking_call", "third-parties-insight": "blocking_call",
    "forced-reflow-insight": "slow_interaction", "dom-size": "slow_interaction",
    "dom-size-insight": "slow_interaction", "inp-breakdown-insight": "slow_interaction",
}  # fmt: skip
"""Lighthouse's audits, those of version 13 and those that it replaced, to what we call the same."""


def find_audits(item: Evidence) -> Iterator[Finding]:
    """Audits of Lighthouse that were not passed and say what that costs: one finding a kind."""
    page = workload_of(item)
    rows = [
        {**row, "kind": AUDITS.get(text(row, "id"), "other")} for row in unpack_rows(item.facts, "audit")
        if number(row, "saves_ms") >= AUDIT_MS or number(row, "saves_bytes") >= AUDIT_BYTES
    ]  # fmt: skip
    for audits in grouped(rows, "kind").values():
        kind = AUDITS.get(text(audits[0], "id"), "other")
        told = "; ".join(_tell_audit(row) for row in audits[:3])
        claim = f"Lighthouse on {page}: {told} (its own estimates)"
        yield make_finding(kind, Place(endpoint=page), claim, item, None, severity="low")


def _tell_audit(row: Row) -> str:
    saves = [f"{number(row, 'saves_ms'):,.0f} ms"] if number(row, "saves_ms") else []
    saves += [f"{number(row, 'saves_bytes'):,.0f} B"] if number(row, "saves_bytes") else []
    about = f": {text(row, 'about')}" if text(row, "about") else ""
    return f"{text(row, 'title')} ({text(row, 'id')}{about}), up to {' and '.join(saves)}"


RULES: dict[str, tuple[Rule, ...]] = {
    "vitals": (find_vitals,),
    "page": (
        find_unused_code, find_blocked_rendering, find_images, find_repeated_requests, find_uncached_files,
        find_plain_texts,
    ),
    "bundle": (find_bundle, find_plain_bundle),
    "lighthouse": (find_audits,),
}  # fmt: skip
