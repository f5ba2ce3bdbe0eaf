"""The `performance` role: what the baseline means, and what validation shows."""

from collections.abc import Collection, Iterable, Mapping

from pydantic import Field

from agents.agent import Agent
from agents.briefs import show_changes, show_effects, show_evidence, show_findings, show_request, show_target
from perfcrew.records.base import Record
from perfcrew.records.evidence import Effect, Evidence
from perfcrew.records.target import Target
from perfcrew.records.work import Change, Finding, FindingKind, Place, RecipeRequest, Severity
from tools.detectors import counts, finding_id
from tools.explain import explain_query
from tools.source import list_files, read_file, search_code


class ProposedFinding(Record):
    """A bottleneck that the evidence shows. Figures come from the evidence you cite, never from you."""

    kind: FindingKind
    place: Place
    claim: str = Field(description="what costs the time or memory, and how the evidence shows it; one or two sentences")
    evidence: tuple[str, ...] = Field(min_length=1, description="ids of the evidence that shows it")
    severity: Severity
    remedy: str
    prevention: str


class BaselineAnswer(Record):
    """What the baseline shows. Confirm or sharpen the detectors' findings and add those that they missed."""

    summary: str
    findings: tuple[ProposedFinding, ...]


class ValidationAnswer(Record):
    """What the comparison shows. You can raise concerns; code decides."""

    summary: str
    concerns: tuple[str, ...] = ()


BASELINE = Agent(
    role="performance",
    prompt="performance_baseline",
    tools=(list_files, read_file, search_code, explain_query),
    answer=BaselineAnswer,
    turns=14,
)
VALIDATION = Agent(
    role="performance",
    prompt="performance_validation",
    tools=(read_file, search_code),
    answer=ValidationAnswer,
    turns=6,
)


def brief_baseline(
    request: RecipeRequest, target: Target, evidence: Iterable[Evidence], detected: Iterable[Finding]
) -> str:
    """What the role sees in phase 1."""
    parts = (show_request(request), show_target(target), "# Evidence", show_evidence(evidence))
    return "\n\n".join((*parts, "# What detectors found", show_findings(detected)))


def brief_validation(changes: Iterable[Change], effects: Iterable[Effect], evidence: Iterable[Evidence]) -> str:
    """What the role sees in phase 4."""
    parts = ("# Changes", show_changes(changes), "# Base against the composed branch", show_effects(effects))
    return "\n\n".join((*parts, "# Evidence on the composed branch", show_evidence(evidence)))


def check_baseline(answer: BaselineAnswer, known: Mapping[str, Evidence]) -> list[str]:
    """Findings must cite evidence that exists and counts."""
    good = [name for name in sorted(known) if counts(known[name])]
    return [
        f"finding {number}: {_problem(name, known)}; there is: {', '.join(good)}"
        for number, finding in enumerate(answer.findings)
        for name in finding.evidence
        if name not in good
    ]


def _problem(name: str, known: Mapping[str, Evidence]) -> str:
    return f"`{name}` does not count" if name in known else f"there is no evidence `{name}`"


def to_findings(
    answer: BaselineAnswer, detected: Iterable[Finding], shares: Mapping[str, float], doubtful: Collection[str] = ()
) -> tuple[Finding, ...]:
    """The detectors' findings and the agent's, merged by id.

    Args:
        answer: what the agent proposed.
        detected: what code found; its measured shares are kept.
        shares: measured share of end-to-end time by function name, source line and query fingerprint.
        doubtful: ids of evidence that does not count; what rests on nothing else is left out.
    """
    merged = {finding.id: finding for finding in detected}
    covered = {(known.kind, name): known.id for known in merged.values() for name in known.covers}
    for given in answer.findings:
        proposed = given.model_copy(update={"evidence": tuple(name for name in given.evidence if name not in doubtful)})
        if not proposed.evidence:
            continue
        name = _known_name(proposed, covered) or finding_id(proposed.kind, proposed.place)
        known = merged.get(name)
        merged[name] = Finding(
            **proposed.model_dump(),
            id=name,
            share=known.share if known and known.share is not None else _share_of(proposed.place, shares),
            source="performance",
            covers=known.covers if known else (),
        )
    return tuple(merged.values())


def _known_name(proposed: ProposedFinding, covered: Mapping[tuple[FindingKind, str], str]) -> str | None:
    """The id of a detector's finding of that kind which covers the query or line that is proposed, if there is one."""
    place = proposed.place
    names = (place.fingerprint, f"{place.path}:{place.line}" if place.line else None)
    return next((covered[proposed.kind, name] for name in names if name and (proposed.kind, name) in covered), None)


def _share_of(place: Place, shares: Mapping[str, float]) -> float | None:
    """The measured share of the most exact part of a place that has one; an endpoint's is only an upper bound."""
    exact = (place.fingerprint, f"{place.path}:{place.line}", place.symbol)
    for name in exact:
        if name is not None and name in shares:
            return shares[name]
    if place.symbol:
        last = place.symbol.rsplit(".", 1)[-1].rstrip("()")
        named = [share for name, share in shares.items() if name.rsplit(".", 1)[-1].split(":")[-1] == last]
        if named:
            return max(named)
    return None if any((place.fingerprint, place.symbol, place.path)) else shares.get(place.endpoint or "")
