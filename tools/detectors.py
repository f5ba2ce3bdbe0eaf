"""Evidence to findings, by rules with named thresholds. Pure functions, silent where nothing is wrong.

The rules stand with their layer: `tools.findings_database`, `tools.findings_code`, `tools.findings_network`.

Shares are of end-to-end time as far as an instrument can tell: of the traced requests' time for queries, of one core's
clock for CPU. Where it can't (bytes on loopback, memory) the share is None.
"""

from collections.abc import Collection, Iterable

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import number, text, unpack_rows
from perfcrew.records.work import Finding
from tools.findings import Rule, finding_id, line_of
from tools.findings_code import RULES as CODE
from tools.findings_database import RULES as DATABASE
from tools.findings_network import RULES as NETWORK

__all__ = ["detect", "finding_id", "measured_shares"]


def detect(evidence: Iterable[Evidence]) -> tuple[Finding, ...]:
    """All findings, each once, the largest share first."""
    taken = list(evidence)
    found: dict[str, Finding] = {}
    for item in taken:
        for rule in _rules(item.kind):
            for finding in rule(item):
                known = found.get(finding.id)
                found[finding.id] = finding if known is None else _merge(known, finding)
    queried = {line_of(text(row, "site")) for item in taken for row in unpack_rows(item.facts, "statement")}
    kept = [item for item in found.values() if not _is_said_elsewhere(item, found.values(), queried)]
    return tuple(sorted(kept, key=lambda finding: (-(finding.share or 0.0), finding.id)))


def _rules(kind: str) -> tuple[Rule, ...]:
    return tuple(rule for rules in (DATABASE, CODE, NETWORK) for rule in rules.get(kind, ()))


def _is_said_elsewhere(finding: Finding, found: Iterable[Finding], queried: Collection[str]) -> bool:
    """Whether another finding says the same with its cause, or nothing else confirms it."""
    seen_by = {name.partition("@")[0] for name in finding.evidence}
    if finding.kind == "slow_query":
        # A missing index that covers the query says more.
        return any(item.kind == "missing_index" and finding.place.fingerprint in item.covers for item in found)
    if finding.kind == "memory_leak":
        # What stays for seconds may be a cache that fills up: only memory that keeps growing is a leak.
        return seen_by == {"allocations"}
    if finding.kind == "blocking_call" and seen_by == {"loop"}:
        hot = {item.place.symbol for item in found if item.kind in ("cpu_hot_path", "serialisation")}
        return f"{finding.place.path}:{finding.place.line}" in queried or finding.place.symbol in hot
    return False


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
    """One finding from two pieces of evidence: the larger share leads, both are cited, and a line is named if known."""
    lead, other = (first, second) if (first.share or 0.0) >= (second.share or 0.0) else (second, first)
    located = lead.place.path is None and other.place.path is not None
    return lead.model_copy(
        update={
            "place": other.place if located else lead.place,
            "claim": f"{lead.claim}; {other.claim}" if located else lead.claim,
            "evidence": tuple(dict.fromkeys((*lead.evidence, *other.evidence))),
            "covers": tuple(dict.fromkeys((*lead.covers, *other.covers))),
        }
    )
