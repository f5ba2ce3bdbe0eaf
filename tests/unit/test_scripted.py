"""The scripted crew for the library desk: its patches apply, and its answers are what each role has to give."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.agent import Agent
from agents.architect import DESIGN, PlanAnswer, brief_design, check_plan, to_plan
from agents.coder import CODE, CodeAnswer, brief_step
from agents.memory_sync import SNAPSHOT, brief_snapshot
from agents.performance import BASELINE, VALIDATION, BaselineAnswer, brief_baseline, check_baseline, to_findings
from agents.security import REVIEW
from agents.tester import REGRESSION
from perfcrew.records.evidence import Evidence
from perfcrew.records.work import Attempt, Finding, Place, RecipeRequest
from tests.e2e.patches import BATCH, BREAKING, COMMENT, GOOD, HOLIDAYS, INDEX, Patch, apply
from tests.e2e.scripted import LibraryScript, role_of
from tests.llm_endpoint import RequestView, Turn
from tools.process import run
from tools.target import load_target

LIBRARY = Path(__file__).parents[1] / "apps" / "library"
TARGET, _ = load_target(LIBRARY, None)
EVIDENCE = tuple(
    Evidence(id=f"{kind}@overdue/base", kind=kind, title=kind, digest="…") for kind in ("load", "queries", "cpu")
)
DETECTED = (
    Finding(
        id="n_plus_one@q:abc123", kind="n_plus_one", place=Place(fingerprint="q:abc123"), claim="c",
        evidence=("queries@overdue/base",), share=0.4, severity="high", remedy="r", prevention="p", source="detector",
    ),
    Finding(
        id="missing_index@loans", kind="missing_index", place=Place(path="loans"), claim="c",
        evidence=("queries@overdue/base",), share=None, severity="high", remedy="r", prevention="p", source="detector",
    ),
)  # fmt: skip


def ask(script: LibraryScript, agent: Agent[Any], brief: str, turns: int = 0) -> list[dict[str, Any]]:
    """The tool calls of an agent's turn, after so many turns of its own."""
    messages = [Turn("user", brief)]
    for _ in range(turns):
        messages += [Turn("assistant"), Turn("user", "result")]
    tools = [tool.name for tool in agent.tools]
    request = RequestView(1, "anthropic", "m", "system", messages, [*tools, "answer"], {})
    calls: list[dict[str, Any]] = script(request)["tool_calls"]
    return calls


def converse(script: LibraryScript, agent: Agent[Any], brief: str) -> tuple[list[dict[str, Any]], Any]:
    """A whole conversation: all calls before the answer, each with arguments that its tool takes, and the answer."""
    tools = {tool.name: tool for tool in agent.tools}
    made: list[dict[str, Any]] = []
    for turn in range(agent.turns):
        for call in ask(script, agent, brief, turn):
            if call["name"] == "answer":
                return made, agent.answer.model_validate(call["arguments"])
            tools[call["name"]].arguments.model_validate(call["arguments"])
            made.append(call)
    raise AssertionError(f"{agent.role} never answers")


def plan(*patches: Patch) -> PlanAnswer:
    script = LibraryScript(patches)
    baseline = brief_baseline(RecipeRequest(), TARGET, EVIDENCE, DETECTED)
    _, found = converse(script, BASELINE, baseline)
    findings = to_findings(found, DETECTED, {"library.calendar.holidays": 0.5})
    brief = brief_design(RecipeRequest(), TARGET, findings, EVIDENCE, None, (), "", "", 8)
    _, answer = converse(script, DESIGN, brief)
    assert check_plan(answer, findings, TARGET, 8) == []
    assert isinstance(answer, PlanAnswer)
    return answer


@pytest.mark.parametrize(
    ("agent", "role"),
    [
        (BASELINE, "performance baseline"),
        (SNAPSHOT, "memory-sync"),
        (DESIGN, "architect"),
        (CODE, "coder"),
        (VALIDATION, "performance validation"),
        (REGRESSION, "tester"),
        (REVIEW, "security"),
    ],
)
def test_roles_are_told_apart_by_their_tools(agent: Agent[Any], role: str) -> None:
    script = LibraryScript(GOOD)
    assert role_of([*(tool.name for tool in agent.tools), "answer"]) == role
    converse(script, agent, "- title: " + GOOD[0].title)
    assert script.asked[role] >= 1


def test_the_baseline_cites_evidence_that_there_is() -> None:
    brief = brief_baseline(RecipeRequest(), TARGET, EVIDENCE, DETECTED)
    _, answer = converse(LibraryScript(GOOD), BASELINE, brief)
    assert isinstance(answer, BaselineAnswer)
    assert check_baseline(answer, {item.id: item for item in EVIDENCE}) == []
    assert [finding.kind for finding in answer.findings] == ["repeated_computation"]


def test_the_snapshot_shows_a_route_of_the_graph() -> None:
    graph = "route GET /api/branches/<int:branch_id>/overdue (library/loans.py:20)\n  → library.loans.list_overdue"
    calls, answer = converse(LibraryScript(GOOD), SNAPSHOT, brief_snapshot(RecipeRequest(), TARGET, graph))
    assert calls == [{"name": "show_path", "arguments": {"route": "GET /api/branches/<int:branch_id>/overdue"}}]
    assert answer.critical_paths[0].route == "GET /api/branches/<int:branch_id>/overdue"


def test_the_plan_addresses_measured_findings_only() -> None:
    steps = plan(*GOOD).steps
    assert [step.title for step in steps] == [HOLIDAYS.title, INDEX.title, BATCH.title]
    assert [step.findings[0].split("@")[0] for step in steps] == ["repeated_computation", "n_plus_one", "n_plus_one"]


@pytest.mark.parametrize("patch", [*GOOD, COMMENT, BREAKING], ids=lambda patch: patch.title)
def test_the_coder_carries_out_its_step_and_gives_up_after_a_failure(patch: Patch) -> None:
    step = to_plan(plan(patch), 0, {}).steps[0]
    script = LibraryScript([patch])
    calls, answer = converse(script, CODE, brief_step(step, TARGET, DETECTED, "", "", (), (), ()))
    assert isinstance(answer, CodeAnswer)
    assert answer.title == patch.title
    assert [call["arguments"]["path"] for call in calls if "path" in call["arguments"]][-len(patch.edits) :] == [
        edit.path for edit in patch.edits
    ]
    failed = Attempt(number=0, diff=None, summary="s", verdict=None, reason="no gain")
    again = brief_step(step, TARGET, DETECTED, "", "", (), (failed,), ("diff",))
    assert converse(script, CODE, again)[1].gave_up


@pytest.mark.app
@pytest.mark.parametrize(("patches", "passes"), [(GOOD, True), ((COMMENT,), True), ((BREAKING,), False)])
async def test_patches_do_what_they_say(patches: tuple[Patch, ...], passes: bool, tmp_path: Path) -> None:
    copy = shutil.copytree(LIBRARY, tmp_path / "library", ignore=shutil.ignore_patterns("__pycache__"))
    for patch in patches:
        apply(patch, copy)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore"]
    finished = await run(command, cwd=copy, environment={"PYTHONDONTWRITEBYTECODE": "1"}, timeout=120)
    assert (finished.code == 0) == passes, finished.out
    assert "error" not in finished.out.lower().splitlines()[-1]


def test_a_stale_edit_is_refused(tmp_path: Path) -> None:
    copy = shutil.copytree(LIBRARY, tmp_path / "library", ignore=shutil.ignore_patterns("__pycache__"))
    apply(HOLIDAYS, copy)
    with pytest.raises(ValueError, match="0 matches"):
        apply(HOLIDAYS, copy)
