"""Which branch a run of several rounds ends with."""

from types import SimpleNamespace
from typing import Any

import pytest

from graphs.conclusion import judge, settle
from graphs.state import RunState, start
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Check, Effect
from perfcrew.records.work import Change, Plan, PlanStep, RecipeRequest
from tools.duel import Duel

SAMPLES = ArtifactRef(sha256="0" * 64, suffix=".json.gz", size=1)
CREW: Any = SimpleNamespace(
    tell=lambda *_, **__: None, limits=SimpleNamespace(rounds=1), budget=SimpleNamespace(exceeded=lambda: False)
)


def make_duel(candidate: str) -> Duel:
    better = Effect(
        metric="http.p95_ms", workload="w", unit="ms", better="lower", base=100, candidate=50, ratio=2, ratio_low=1.9,
        ratio_high=2.1, confidence=0.99, floor=0.01, exact=False, outcome="improved",
    )  # fmt: skip
    return Duel(
        name="final", workload="w", base="base", candidate=candidate, effects=(better,), samples=SAMPLES, digest="d",
        measurements=(),
    )  # fmt: skip


def make_plan(number: int) -> Plan:
    step = PlanStep(
        id=f"s{number}", title="t", findings=("f",), layer="database", hypothesis="h", metric="http.p95_ms",
        workload="w", predicted_ratio=2, impact="high", effort="low", risk="low", side_effects="", rollback="",
        monitoring="", test_strategy="",
    )  # fmt: skip
    return Plan(round=number, summary="s", steps=(step,), criteria=(), risks="", rollback="")


def make_state(number: int, *, passed: bool, **more: Any) -> RunState:
    """The state at the judge of a round whose one change was kept."""
    changes = [Change(step=f"s{i}", title="t", commit=f"c{i}", kept=True, reason="r") for i in range(number + 1)]
    return {
        **start(RecipeRequest(), "base"), "round": number, "head": f"c{number}", "final": make_duel(f"c{number}"),
        "plans": [make_plan(i) for i in range(number + 1)], "changes": changes,
        "checks": {"answers": Check(name="answers", passed=passed, detail="GET / differs")}, **more,
    }  # type: ignore[typeddict-item]  # fmt: skip


@pytest.fixture
async def spoilt() -> RunState:
    """A second round whose branch is refused, after a first one that was accepted."""
    first = make_state(0, passed=True)
    first.update(await judge(first, CREW))  # type: ignore[typeddict-item]
    second = make_state(1, passed=False, accepted=first["accepted"])
    second.update(await judge(second, CREW))  # type: ignore[typeddict-item]
    return second


async def test_a_refused_round_does_not_cost_the_branch_that_was_accepted(spoilt: RunState) -> None:
    assert spoilt["verdict"] is not None and not spoilt["verdict"].accepted
    (note,) = spoilt["notes"]
    assert note.startswith("the composed branch of round 2 is not offered; that of round 1 is: check answers failed")
    settled = settle(spoilt)
    assert settled["head"] == "c0" and settled["verdict"] is not None and settled["verdict"].accepted
    assert settled["final"] is not None and settled["final"].candidate == "c0"
    assert all(check.passed for check in settled["checks"].values())
    assert [(change.kept, change.withdrawn) for change in settled["changes"]] == [(True, False), (False, True)]
    assert settled["changes"][1].reason.startswith("withdrawn: the branch as a whole was refused: check answers failed")


async def test_a_branch_that_stands_is_left_alone() -> None:
    state = make_state(0, passed=True)
    state.update(await judge(state, CREW))  # type: ignore[typeddict-item]
    assert settle(state) == state
    refused = make_state(0, passed=False)
    refused.update(await judge(refused, CREW))  # type: ignore[typeddict-item]
    assert settle(refused) == refused


async def test_a_duel_of_another_branch_accepts_nothing() -> None:
    state = make_state(1, passed=True, final=make_duel("c0"))
    assert (await judge(state, CREW))["verdict"] is None
