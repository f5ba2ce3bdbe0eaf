"""Evidence to findings, by rules with named thresholds. Pure functions, silent where nothing is wrong.

The rules stand with their layer: `tools.findings_database`, `tools.findings_code`, `tools.findings_memory`,
`tools.findings_network`, `tools.findings_page`; what the evidence says together in `tools.findings_joined`.

Shares are of end-to-end time as far as an instrument can tell: of the traced requests' time for queries, of one core's
clock for CPU. Where it can't (bytes on loopback, memory) the share is None, and the finding says why.
"""

from collections.abc import Iterable

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import number, text, unpack_rows
from perfcrew.records.work import Finding
from tools.findings import Rule, finding_id, is_nameless, rank
from tools.findings_code import RULES as CODE
from tools.findings_database import RULES as DATABASE
from tools.findings_joined import counts, merge, settle
from tools.findings_memory import RULES as MEMORY
from tools.findings_network import RULES as NETWORK
from tools.findings_page import RULES as PAGE

__all__ = ["counts", "detect", "finding_id", "measured_shares"]


def detect(evidence: Iterable[Evidence]) -> tuple[Finding, ...]:
    """All findings, each once, the gravest first. Evidence with a doubtful figure is not heard."""
    taken = [item for item in evidence if counts(item)]
    found: dict[str, Finding] = {}
    for item in taken:
        for rule in _rules(item.kind):
            for finding in rule(item):
                known = found.get(finding.id)
                found[finding.id] = finding if known is None else merge(known, finding)
    return tuple(sorted(settle(found.values(), taken), key=rank))


def _rules(kind: str) -> tuple[Rule, ...]:
    return tuple(rule for rules in (DATABASE, CODE, MEMORY, NETWORK, PAGE) for rule in rules.get(kind, ()))


def measured_shares(evidence: Iterable[Evidence]) -> dict[str, float]:
    """Measured share of end-to-end time by statement id, source line (`path:line`), function and endpoint."""
    shares: dict[str, float] = {}

    def note(name: str, share: float) -> None:
        if name:
            shares[name] = max(shares.get(name, 0.0), share)

    for item in filter(counts, evidence):
        for row in unpack_rows(item.facts, "statement"):
            note(text(row, "id"), number(row, "loop_share"))
            note(text(row, "site").partition(" ")[0], number(row, "loop_share"))
        for row in unpack_rows(item.facts, "endpoint"):
            note(text(row, "name"), number(row, "share"))
        for row in unpack_rows(item.facts, "hot"):
            note("" if is_nameless(text(row, "name")) else text(row, "name"), number(row, "time_share"))
            note(f"{text(row, 'path')}:{row.get('line')}", number(row, "time_share"))
    return shares
