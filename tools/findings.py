"""What every detector shares: how a finding is made, named, placed and weighed."""

import re
from collections.abc import Callable, Iterable, Iterator

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, text
from perfcrew.records.work import Finding, FindingKind, Place, Severity
from tools.remedies import PREVENTION, REMEDY

Rule = Callable[[Evidence], Iterator[Finding]]
"""Findings from one piece of evidence; none where nothing is wrong."""
MIN_SHARE = 0.02
"""Below this share of end-to-end time nothing is worth a finding."""
COMPRESSIBLE_BYTES = 10_000
"""A smaller text gains little from compression."""
COMPRESSED_SHARE = 0.6
"""What gzip must make of a text, at most, to be worth it."""
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
UNSHARED = {
    "payload": "on loopback bytes and round trips cost next to nothing; to users they cost what their network makes",
    "round_trips": "it costs time only where the database is on another machine",
    "capacity": "a rate is no part of a request's time",
    "memory": "memory is no time",
    "allocations": "memory is no time",
    "heap": "memory is no time",
    "schema": "no measured query needs it",
    "vitals": "it is the page's time, not the server's",
    "page": "it is counted, not timed",
    "bundle": "it is counted, not timed",
    "lighthouse": "Lighthouse estimates what it costs",
}
"""Why the findings of an instrument have no share of end-to-end time."""
_PARAMETER = re.compile(r"\{[^/}]*\}|<[^/>]*>|:\w+|\*")


def finding_id(kind: str, place: Place) -> str:
    """`kind@place`: the most telling part of the place names it."""
    symbol = place.symbol
    if symbol and is_nameless(symbol):
        symbol = f"{place.path} {symbol}" if ":" in symbol else f"{place.path}:{place.line}"
    return f"{kind}@{place.fingerprint or symbol or place.endpoint or place.path or 'application'}"


def is_nameless(symbol: str) -> bool:
    """Whether a function has no name of its own: many share what profilers call it, in V8 with its first line."""
    return symbol.startswith(("(anonymous", "<lambda>"))


def make_finding(
    kind: FindingKind,
    place: Place,
    claim: str,
    item: Evidence,
    share: float | None,
    *,
    remedy: str = "",
    severity: Severity | None = None,
    covers: Iterable[str] = (),
) -> Finding:
    """A finding of a detector's.

    Args:
        kind: names its usual remedy and prevention.
        place: where it is; names the finding.
        claim: what is wrong, with the figures that show it.
        item: the evidence.
        share: of end-to-end time; None where the instrument can't tell, for the reason in `UNSHARED`.
        remedy: one that fits better than the kind's usual one.
        severity: where the share doesn't say it.
        covers: queries and lines (`path:line`) that it is about as well.
    """
    return Finding(
        id=finding_id(kind, place),
        kind=kind,
        place=place,
        claim=claim,
        evidence=(item.id,),
        share=None if share is None else min(share, 1.0),
        unshared=UNSHARED[item.kind] if share is None else "",
        severity=severity or severity_of(share),
        remedy=remedy or REMEDY[kind],
        prevention=PREVENTION[kind],
        source="detector",
        covers=tuple(dict.fromkeys(name for name in covers if name)),
    )


def severity_of(share: float | None) -> Severity:
    """By share of end-to-end time; medium where there is none."""
    if share is None:
        return "medium"
    return "critical" if share >= 0.5 else "high" if share >= 0.2 else "medium" if share >= 0.05 else "low"


def rank(finding: Finding) -> tuple[int, float, str]:
    """Sorts the gravest first; among equals the largest share, and what has none after those that have one."""
    return SEVERITIES.index(finding.severity), -(finding.share or 0.0), finding.id


def place_of(site: str, **more: str | None) -> Place:
    """A place from `path:line function`."""
    where, _, symbol = site.partition(" ")
    path, _, line = where.rpartition(":")
    return Place(path=path or None, line=int(line) if line.isdigit() else None, symbol=symbol or None, **more)


def site_of(row: Row) -> str:
    """`path:line function` of a row that has them apart."""
    return f"{text(row, 'path')}:{row.get('line')} {text(row, 'name')}"


def line_of(site: str) -> str:
    """`path:line` of `path:line function`."""
    return site.partition(" ")[0]


def runs_in_node(site: str) -> bool:
    """Whether a site is JavaScript's, so that remedies speak of Node."""
    return line_of(site).rpartition(":")[0].endswith((".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".jsx", ".tsx"))


def same_endpoint(one: str, other: str) -> bool:
    """Whether two names are of one endpoint: instruments write its parameters as the workload or as the framework."""
    return _PARAMETER.sub("*", one).rstrip("/") == _PARAMETER.sub("*", other).rstrip("/")


def grouped(rows: Iterable[Row], name: str) -> dict[str, list[Row]]:
    """Rows by one of their values, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(text(row, name), []).append(row)
    return groups


def workload_of(item: Evidence) -> str:
    """The workload in `kind@workload/arm`."""
    return item.id.partition("@")[2].rpartition("/")[0]
