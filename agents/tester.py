"""The `tester` role: hunts regressions in the composed branch. Code decides; it can only reject."""

from collections.abc import Iterable

from agents.agent import Agent
from agents.briefs import show_changes, show_evidence, show_target
from perfcrew.records.base import Record
from perfcrew.records.evidence import Check, Evidence
from perfcrew.records.target import Target
from perfcrew.records.work import Change
from tools.probing import compare_request
from tools.source import list_files, read_file, search_code


class TesterAnswer(Record):
    """What was tried and what is suspicious. A request that both versions answer differently counts by itself."""

    summary: str
    concerns: tuple[str, ...] = ()


REGRESSION = Agent(
    role="tester",
    prompt="tester",
    tools=(list_files, read_file, search_code, compare_request),
    answer=TesterAnswer,
    turns=16,
)


def brief_regression(target: Target, changes: Iterable[Change], diff: str, evidence: Iterable[Evidence]) -> str:
    """What the role sees in phase 4."""
    parts = (show_target(target), "# Changes", show_changes(changes), "# Diff of the branch", diff)
    return "\n\n".join((*parts, "# Checked so far", show_evidence(evidence)))


def probe_check(evidence: Iterable[Evidence]) -> Check:
    """The tester's own comparisons as one check: any difference fails it."""
    probes = [item for item in evidence if item.kind == "behaviour"]
    different = [item.title for item in probes if item.facts.get("equal") == 0]
    detail = "; ".join(different) or f"{len(probes)} requests of the tester's answered alike"
    return Check(name="tester's probes", passed=not different, detail=detail)
