"""What models read, word for word: a change of a prompt, a tool or an answer's schema shows in review.

Update with `pytest tests/snapshots --snapshot-update` and read the difference.
"""

import pytest
from syrupy.assertion import SnapshotAssertion

from agents.agent import Agent, answer_spec
from agents.architect import DESIGN, brief_design
from agents.coder import CODE, brief_step
from agents.guide import GUIDE, Standing, brief_question
from agents.memory_sync import SNAPSHOT, brief_snapshot
from agents.performance import BASELINE, VALIDATION, brief_baseline, brief_validation
from agents.security import REVIEW, brief_review
from agents.tester import REGRESSION, brief_regression
from perfcrew.records.base import Record
from perfcrew.records.evidence import Effect, Evidence, Verdict
from perfcrew.records.target import Target
from perfcrew.records.work import Attempt, Change, Finding, PerformanceContext, Place, PlanStep, RecipeRequest, Snapshot
from prompts import render, strategies_for

AGENTS: tuple[Agent[Record], ...] = (BASELINE, VALIDATION, SNAPSHOT, DESIGN, CODE, REGRESSION, REVIEW, GUIDE)  # type: ignore[assignment]

TARGET = Target.model_validate(
    {
        "target": {"name": "shop", "start": "serve {port}", "setup_inputs": ["requirements.txt"]},
        "database": {"engine": "sqlite", "migrate": "migrate"},
        "workload": [
            {
                "name": "list",
                "users": 4,
                "request": [{"path": "/items?page={page}"}],
                "params": {"page": [1]},
                "held_out": {"params": {"page": [77]}},
            }
        ],
        "goal": [{"metric": "http.p95_ms", "workload": "list", "comparison": "improve_by", "value": 2}],
    }
)
REQUEST = RecipeRequest(context=PerformanceContext(issue="the list is slow"))
EVIDENCE = Evidence(id="queries@list/base", kind="queries", title="21 queries a request", digest="q:1: 20 calls")
FINDING = Finding(
    id="n_plus_one@q:1",
    kind="n_plus_one",
    place=Place(endpoint="GET /items", fingerprint="q:1"),
    claim="20 queries of one kind",
    evidence=("queries@list/base",),
    share=0.4,
    severity="high",
    remedy="load at once",
    prevention="count queries in a test",
    source="detector",
)
STEP = PlanStep(
    id="fix:n_plus_one@q:1",
    title="Load prices at once",
    findings=("n_plus_one@q:1",),
    layer="database",
    hypothesis="one query instead of 20",
    metric="db.queries_per_request",
    workload="list",
    predicted_ratio=10,
    impact="high",
    effort="low",
    risk="low",
    side_effects="none",
    rollback="revert",
    monitoring="queries a request",
    test_strategy="existing tests",
)
EFFECT = Effect(
    metric="db.queries_per_request",
    workload="list",
    unit="1",
    better="lower",
    base=21,
    candidate=2,
    ratio=10.5,
    ratio_low=10.5,
    ratio_high=10.5,
    confidence=1,
    floor=0,
    exact=True,
    outcome="improved",
)
VERDICT = Verdict(outcome="regressed", reason="order changed", accepted=False, effects=(EFFECT,))
CHANGE = Change(step=STEP.id, title=STEP.title, commit="c0ffee", kept=True, reason="improved")


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.prompt)
def test_system_prompt(agent: Agent[Record], snapshot: SnapshotAssertion) -> None:
    assert render(agent.prompt) == snapshot


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.prompt)
def test_tools_and_answer(agent: Agent[Record], snapshot: SnapshotAssertion) -> None:
    specs = [tool.spec for tool in agent.tools]
    assert [spec.model_dump(mode="json") for spec in (*specs, answer_spec(agent.answer))] == snapshot


def test_only_the_coder_can_write() -> None:
    writers = {agent.role for agent in AGENTS if any(tool.writes for tool in agent.tools)}
    assert writers == {"coder"}


def test_briefs(snapshot: SnapshotAssertion) -> None:
    strategies = strategies_for({"n_plus_one"})
    failed = Attempt(number=0, diff=None, summary="s", verdict=VERDICT, reason="order changed")
    described = Snapshot(summary="A shop.", components=(), critical_paths=(), patterns=("an index on items",))
    briefs = {
        "baseline": brief_baseline(REQUEST, TARGET, [EVIDENCE], [FINDING]),
        "snapshot": brief_snapshot(REQUEST, TARGET, "route GET /items"),
        "design": brief_design(REQUEST, TARGET, [FINDING], [EVIDENCE], described, [CHANGE], strategies, "paths", 8),
        "step": brief_step(STEP, TARGET, [FINDING], "evidence", strategies, [CHANGE], [failed], ["- a\n+ b"]),
        "validation": brief_validation([CHANGE], [EFFECT], [EVIDENCE]),
        "regression": brief_regression(TARGET, [CHANGE], "- a\n+ b", [EVIDENCE]),
        "question": brief_question(
            "what costs most?",
            [("hello", "Good day.")],
            Standing(
                request=REQUEST,
                target=TARGET,
                phases=["intake", "performance_baseline"],
                findings=[FINDING],
                evidence=[EVIDENCE],
                snapshot=described,
                plan=None,
                changes=[CHANGE],
                verdict=VERDICT,
                effects=[EFFECT],
            ),
            "- /status : where the run stands",
        ),
        "review": brief_review(TARGET, "- a\n+ b"),
    }
    assert briefs == snapshot


def test_no_brief_shows_what_is_held_out() -> None:
    shown = brief_design(REQUEST, TARGET, [FINDING], [EVIDENCE], None, [], "", "", 8)
    assert "/items?page={page}" in shown
    assert "77" not in shown
