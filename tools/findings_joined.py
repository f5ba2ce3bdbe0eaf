"""What one piece of evidence says of another's findings: that they are the same, that they are wrong, or more."""

from collections.abc import Iterable, Sequence

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import number, text, unpack_rows
from perfcrew.records.work import Finding
from tools.findings import SEVERITIES, is_nameless, line_of, same_endpoint, workload_of
from tools.findings_database import INDEX_GAIN, costs_more
from tools.findings_memory import HEAP_KB, HEAP_REQUESTS, kept_kb
from tools.remedies import REMEDY

TOLD_BOTH = ("memory_leak", "layout_shift")
"""Kinds of which one instrument measures how bad it is and another what may be the cause."""
LOOPS = ("n_plus_one", "repeated_computation")
"""Queries in a loop: the cause of most waits for a database, one after the other."""


def counts(item: Evidence) -> bool:
    """Whether what an instrument saw counts: not where the load generator was the bottleneck."""
    return not any(measurement.doubt for measurement in item.measurements)


def settle(found: Iterable[Finding], evidence: Sequence[Evidence]) -> list[Finding]:
    """The findings that stand after all the evidence was heard, those with more evidence saying so."""
    kept = list(found)
    for drop in (_denied, _unconfirmed, _said_elsewhere):
        kept = [finding for finding in kept if not drop(finding, kept, evidence)]
    kept = _fold_hot_lines(kept)
    return [_at_a_distance(finding, evidence) for finding in kept]


def _fold_hot_lines(found: Sequence[Finding]) -> list[Finding]:
    """A hot line that holds an event loop is told as that, resting on the profile as well."""
    lines = {(item.place.path, item.place.line): item for item in found if item.kind == "cpu_hot_path"}
    holds = {item.id: lines.get((item.place.path, item.place.line)) for item in found if item.kind == "blocking_call"}
    folded = {hot.id for hot in holds.values() if hot}
    return [
        item.model_copy(update={"evidence": tuple(dict.fromkeys((*item.evidence, *hot.evidence)))})
        if (hot := holds.get(item.id)) else item
        for item in found if item.id not in folded
    ]  # fmt: skip


def _denied(finding: Finding, _: Sequence[Finding], evidence: Sequence[Evidence]) -> bool:
    """Whether another instrument, which looked closer, found otherwise."""
    if finding.kind == "missing_index":
        trials = [row for item in evidence for row in unpack_rows(item.facts, "trial")
                  if text(row, "lead") == finding.place.symbol]  # fmt: skip
        # Plans are of single queries; a trial is of all that the workload reads and writes.
        return bool(trials) and all(number(row, "saved_share") < 1 - INDEX_GAIN or costs_more(row) for row in trials)
    if finding.kind == "memory_leak":
        heaps = [item for item in _of_kind(evidence, "heap") if workload_of(item) == finding.place.endpoint]
        # A Node process may grow by garbage that its engine has no reason to collect yet.
        return any(number(heap.facts, "requests") >= HEAP_REQUESTS and kept_kb(heap) < HEAP_KB for heap in heaps)
    return False


def _unconfirmed(finding: Finding, _: Sequence[Finding], evidence: Sequence[Evidence]) -> bool:
    """Whether nothing else confirms what may well be harmless: memory that stays for seconds may be a cache."""
    if finding.kind != "memory_leak":
        return False
    seen_by = _seen_by(finding)
    if seen_by == {"allocations"}:
        return True
    slopes = [item for item in _of_kind(evidence, "memory") if workload_of(item) == finding.place.endpoint]
    return seen_by == {"heap"} and any(item.facts.get("leak") == 0 for item in slopes)


def _said_elsewhere(finding: Finding, found: Sequence[Finding], evidence: Sequence[Evidence]) -> bool:
    """Whether another finding says the same with its cause."""
    place, seen_by = finding.place, _seen_by(finding)
    if finding.kind in ("slow_query", "cache_miss") and place.fingerprint:
        causes = ("missing_index",) if finding.kind == "slow_query" else ("missing_index", *LOOPS)
        return any(item.kind in causes and place.fingerprint in _about(item) for item in found)
    if finding.kind == "round_trips" and seen_by == {"round_trips"}:
        return any(item.kind in LOOPS and same_endpoint(item.place.endpoint or "", place.endpoint or "")
                   for item in found)  # fmt: skip
    if finding.kind == "blocking_call" and seen_by == {"loop"}:
        if place.path is None:
            return any(item.kind == "blocking_call" and item.id != finding.id for item in found)
        queried = {line_of(text(row, "site")) for item in evidence for row in unpack_rows(item.facts, "statement")}
        hot = {item.place.symbol for item in found if item.kind in ("cpu_hot_path", "serialisation")}
        named = not is_nameless(place.symbol or "")
        return f"{place.path}:{place.line}" in queried or (named and place.symbol in hot)
    return False


def _seen_by(finding: Finding) -> set[str]:
    """Kinds of the evidence that it rests on."""
    return {name.partition("@")[0] for name in finding.evidence}


def _about(finding: Finding) -> set[str | None]:
    return {finding.place.fingerprint, *finding.covers}


def _at_a_distance(finding: Finding, evidence: Sequence[Evidence]) -> Finding:
    """A loop of queries with what it costs where the database is on another machine: on loopback it looks cheap."""
    if finding.kind not in LOOPS or not finding.place.endpoint:
        return finding
    for item in _of_kind(evidence, "round_trips"):
        for row in unpack_rows(item.facts, "far"):
            if same_endpoint(text(row, "endpoint"), finding.place.endpoint) and number(row, "round_trips") >= 1:
                told = (
                    f"{finding.claim}; with the database {number(item.facts, 'rtt_ms'):.1f} ms away the endpoint takes "
                    f"{number(row, 'far_ms'):.1f} ms in place of {number(row, 'near_ms'):.1f} ms"
                )
                return finding.model_copy(update={"claim": told, "evidence": (*finding.evidence, item.id)})
    return finding


def _of_kind(evidence: Sequence[Evidence], kind: str) -> list[Evidence]:
    return [item for item in evidence if item.kind == kind]


def merge(first: Finding, second: Finding) -> Finding:
    """One finding from two pieces of evidence: the larger share leads, both are cited.

    A line and a remedy of the case's own are taken over from the one that has them. Where no share says the severity,
    the graver one holds; of a leak that of the collected heap, as a process also grows by garbage.
    """
    lead, other = (first, second) if (first.share or 0.0) >= (second.share or 0.0) else (second, first)
    located = lead.place.path is None and other.place.path is not None
    own = lead.remedy == REMEDY[lead.kind] and other.remedy != REMEDY[other.kind]
    judges = [item for item in (lead, other) if item.kind == "memory_leak" and _seen_by(item) == {"heap"}]
    graver = min((item.severity for item in judges or (lead, other)), key=SEVERITIES.index)
    return lead.model_copy(
        update={
            "place": other.place if located else lead.place,
            "claim": f"{lead.claim}; {other.claim}" if located or lead.kind in TOLD_BOTH else lead.claim,
            "remedy": other.remedy if own else lead.remedy,
            "severity": lead.severity if lead.share is not None else graver,
            "evidence": tuple(dict.fromkeys((*lead.evidence, *other.evidence))),
            "covers": tuple(dict.fromkeys((*lead.covers, *other.covers))),
        }
    )
