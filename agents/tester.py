"""The `tester` role: hunts regressions in the composed branch. Code decides; it can only reject."""

from collections.abc import Iterable

from pydantic import Field

from agents.agent import Agent
from agents.briefs import show_changes, show_evidence, show_target
from perfcrew.records.base import Record
from perfcrew.records.evidence import Check, Evidence
from perfcrew.records.target import Target
from perfcrew.records.work import Change
from tools.new_tests import add_test
from tools.probing import compare_request
from tools.source import list_files, read_file, search_code


class Objection(Record):
    """A place where the change wins the measurement without making anything faster, or breaks what no test shows."""

    path: str
    line: int = Field(ge=1)
    claim: str


class TesterAnswer(Record):
    """What was tried and what is suspicious. A request that both versions answer differently counts by itself."""

    summary: str
    concerns: tuple[str, ...] = ()
    objections: tuple[Objection, ...] = ()


REGRESSION = Agent(
    role="tester",
    prompt="tester",
    tools=(list_files, read_file, search_code, compare_request, add_test),
    answer=TesterAnswer,
    turns=16,
)


def brief_regression(target: Target, changes: Iterable[Change], diff: str, evidence: Iterable[Evidence]) -> str:
    """What the role sees in phase 4."""
    parts = (show_target(target), "# Changes", show_changes(changes), "# Diff of the branch", diff)
    return "\n\n".join((*parts, "# Checked so far", show_evidence(evidence)))


def check_objections(answer: TesterAnswer, touched: frozenset[str]) -> list[str]:
    """An objection must be in a file that the branch touches."""
    return [f"{item.path} is not touched by the branch" for item in answer.objections if item.path not in touched]


def review_checks(answer: TesterAnswer, evidence: Iterable[Evidence]) -> tuple[Check, ...]:
    """What the conversation gave: probes, new tests, and objections, which can only reject."""
    found = tuple(evidence)
    tests = [item for item in found if item.kind == "new_test"]
    failed = [item.title for item in tests if item.facts.get("equal") == 0]
    told = "; ".join(failed) or f"{len(tests)} new files of tests pass on base and candidate"
    objections = "; ".join(f"{item.path}:{item.line} {item.claim}" for item in answer.objections)
    return (
        probe_check(found),
        *([Check(name="tester's new tests", passed=not failed, detail=told)] if tests else []),
        Check(name="tester's review", passed=not objections, detail=objections or "no objection"),
    )


def probe_check(evidence: Iterable[Evidence]) -> Check:
    """The tester's own comparisons as one check: any difference fails it."""
    probes = [item for item in evidence if item.kind == "behaviour"]
    different = [item.title for item in probes if item.facts.get("equal") == 0]
    detail = "; ".join(different) or f"{len(probes)} requests of the tester's answered alike"
    return Check(name="tester's probes", passed=not different, detail=detail)
