"""Plan steps to commits: what reaches a duel, what the next attempt hears, and which of several ideas is kept."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from migrating_app import INDEX, make_migrating

import graphs.implementation
import graphs.trying
from agents.agent import AgentFailed
from agents.briefs import show_evidence
from agents.coder import CodeAnswer
from agents.crew import Crew, Limits
from graphs.fresh_evidence import show_fresh
from graphs.implementation import implement
from graphs.state import RunState, start
from perfcrew.llm.journal import Journal
from perfcrew.records.evidence import Check, Effect, Evidence, Verdict
from perfcrew.records.work import Change, Finding, Place, Plan, PlanStep, RecipeRequest
from tools.git_command import git
from tools.workspace import Workspace

Writing = Callable[[Path, str, str], CodeAnswer]


def step(name: str = "fix:a") -> PlanStep:
    return PlanStep(
        id=name, title=f"Do {name}", findings=("f",), layer="database", hypothesis="h", metric="http.p95_ms",
        workload="home", predicted_ratio=2, impact="high", effort="low", risk="low", side_effects="",
        rollback="revert it", monitoring="", test_strategy="",
    )  # fmt: skip


def verdict(ratio: float, *, outcome: Any = "improved", failed: str = "") -> Verdict:
    effect = Effect(
        metric="http.p95_ms", workload="home", unit="ms", better="lower", base=100, candidate=100 / ratio, ratio=ratio,
        ratio_low=ratio - 0.1, ratio_high=ratio + 0.1, confidence=0.99, floor=0.01, exact=False, outcome=outcome,
    )  # fmt: skip
    checks = (Check(name=failed, passed=False, detail="GET / differs"),) if failed else ()
    accepted = outcome == "improved" and not failed
    return Verdict(outcome=outcome, reason=f"{outcome}: {ratio}", accepted=accepted, effects=(effect,), checks=checks)


class Bench:
    """A run at its implementation: a scripted coder in real worktrees, and verdicts by what it wrote."""

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *, ideas: int = 1) -> None:
        self.workspace = workspace
        self.briefs: list[str] = []
        self.judged: list[str] = []
        self.verdicts: dict[str, Verdict] = {}
        self.write: Writing = lambda *_: CodeAnswer(title="t", body="b")
        self.together = asyncio.Barrier(ideas)
        budget: Any = SimpleNamespace(exceeded=lambda *_: "")
        self.crew = Crew(
            models={}, llm=None, journal=Journal(workspace.folder / "journal.jsonl"), workspace=workspace,  # type: ignore[arg-type]
            budget=budget, watch=lambda _: None, limits=Limits(attempts=2, ideas=ideas),
        )  # fmt: skip
        monkeypatch.setattr(graphs.trying, "converse", self._converse)
        monkeypatch.setattr(graphs.implementation, "judge_candidate", self._judge)

    async def _converse(self, _agent: Any, _prompt: str, brief: str, crew: Crew, lane: str) -> Any:
        self.briefs.append(brief)
        # Ideas that were not tried side by side would wait here for each other for ever.
        await asyncio.wait_for(self.together.wait(), 60)
        assert crew.workspace.worktree is not None
        return SimpleNamespace(answer=self.write(crew.workspace.worktree, lane, brief), stale=())

    async def _judge(self, _crew: Crew, candidate: Any, _noise: Any, _lane: str) -> Verdict:
        text = await git(["show", f"{candidate.commit}:app.py"], self.workspace.clone)
        self.judged.append(text)
        return self.verdicts[text]

    async def run(self, *steps: PlanStep, **state: Any) -> tuple[list[Change], str]:
        plan = Plan(round=0, summary="s", steps=steps or (step(),), criteria=(), risks="", rollback="")
        begun: RunState = {**start(RecipeRequest(), self.workspace.base_commit), "plans": [plan], **state}  # type: ignore[typeddict-item]
        update = await implement(begun, self.crew)
        return update["changes"], update["head"]


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    return await make_migrating(tmp_path)


def writes(text: str, title: str = "Change the value") -> Writing:
    def write(worktree: Path, _lane: str, _brief: str) -> CodeAnswer:
        (worktree / "app.py").write_text(text)
        return CodeAnswer(title=title, body="Because.")

    return write


async def test_a_kept_commit_says_what_why_effect_and_way_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(workspace, monkeypatch)
    bench.write, bench.verdicts = writes("value = 2\n"), {"value = 2\n": verdict(2)}
    (change,), head = await bench.run()
    assert change.kept and change.commit == head
    message = await git(["log", "-1", "--format=%B", head], workspace.clone)
    for part in ("Change the value", "Because.", "100 → 50 ms", "(1.9 to 2.1)", "Roll back: revert it"):
        assert part in message


async def test_statements_by_hand_never_reach_a_duel_and_the_reason_does_the_next_attempt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(worktree: Path, lane: str, _brief: str) -> CodeAnswer:
        if lane.endswith("/0"):
            (worktree / "app.py").write_text("db.execute('CREATE INDEX i ON pets (owner)')\n")
        else:
            for name, text in INDEX.items():
                (worktree / name).write_text(text)
            (worktree / "app.py").write_text("value = 2\n")
        return CodeAnswer(title="Index owners", body="b")

    bench = Bench(workspace, monkeypatch)
    bench.write, bench.verdicts = write, {"value = 2\n": verdict(2)}
    (change,), _ = await bench.run()
    assert bench.judged == ["value = 2\n"]
    assert "changes the schema by hand" in change.attempts[0].reason and change.kept
    assert "changes the schema by hand" in bench.briefs[1] and "CREATE INDEX i" in bench.briefs[1]
    assert "Migrations: SQL scripts, the newest is `migrations/001_pets.sql`" in bench.briefs[0]


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (verdict(1.1, outcome="underpowered"), "nothing speaks against the idea"),
        (verdict(1.0, outcome="no_significant_change"), "Wrong idea"),
        (verdict(2.0, failed="equal answers"), "its execution was"),
    ],
)
async def test_noise_a_wrong_idea_and_a_broken_one_are_told_apart(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, refused: Verdict, said: str
) -> None:
    bench = Bench(workspace, monkeypatch)
    bench.write, bench.verdicts = writes("value = 2\n"), {"value = 2\n": refused}
    (change,), head = await bench.run()
    assert not change.kept and head == workspace.base_commit and len(change.attempts) == 2
    assert said in bench.briefs[1] and said not in bench.briefs[0]


async def test_the_best_of_several_ideas_is_kept(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(worktree: Path, lane: str, _brief: str) -> CodeAnswer:
        number = int(lane.rpartition("/")[2])
        if number == 3:
            raise AgentFailed("it lost its thread")
        return writes(f"value = {number + 2}\n", f"Idea {number}")(worktree, lane, "")

    bench = Bench(workspace, monkeypatch, ideas=4)
    bench.write = write
    bench.verdicts = {"value = 2\n": verdict(1.5), "value = 3\n": verdict(3), "value = 4\n": verdict(2, failed="x")}
    (change,), head = await bench.run()
    assert len({brief for brief in bench.briefs if "One of 4 ideas" in brief}) == 4
    assert change.title == "Idea 1" and change.commit == head
    assert await git(["show", f"{head}:app.py"], workspace.clone) == "value = 3\n"
    reasons = [attempt.reason for attempt in change.attempts]
    assert reasons[0].startswith("accepted as well, but attempt 1 gained more")
    assert reasons[3] == "it lost its thread"
    assert sorted(path.name for path in workspace.worktrees.glob("coder*")) == [
        "coder",
        "coder-1",
        "coder-2",
        "coder-3",
    ]


async def test_equal_ideas_are_measured_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(workspace, monkeypatch, ideas=2)
    bench.write, bench.verdicts = writes("value = 2\n"), {"value = 2\n": verdict(2)}
    (change,), _ = await bench.run()
    assert len(bench.judged) == 1 and change.attempts[1].reason == "the same change as attempt 0"


async def test_after_a_kept_step_the_coder_sees_fresh_evidence(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trace(_workspace: Workspace, commit: str, _workload: Any, arm: str) -> Evidence:
        return Evidence(id=f"queries@home/{arm}", kind="queries", title="t", digest=f"5 queries in {commit[:6]}")

    monkeypatch.setattr("graphs.fresh_evidence.take_queries", trace)
    base = [
        Evidence(id="queries@home/base", kind="queries", title="t", digest="45 queries"),
        Evidence(id="memory@home/base", kind="memory", title="t", digest="60 MB"),
    ]
    finding = Finding(
        id="f", kind="n_plus_one", place=Place(), claim="c", evidence=tuple(item.id for item in base), share=0.5,
        severity="high", remedy="r", prevention="p", source="detector",
    )  # fmt: skip
    bench = Bench(workspace, monkeypatch)
    bench.write = lambda worktree, lane, _: writes(f"value = {2 if 'fix:a' in lane else 3}\n")(worktree, lane, "")
    bench.verdicts = {"value = 2\n": verdict(2), "value = 3\n": verdict(2)}
    changes, _ = await bench.run(
        step("fix:a"), step("fix:b"), findings={"f": finding}, evidence={item.id: item for item in base}
    )
    first, second = bench.briefs
    assert "45 queries" in first and "fix:a" in first
    assert f"5 queries in {changes[0].commit[:6] if changes[0].commit else ''}" in second and "45 queries" not in second
    # What is too dear to take again is there, and said to be old.
    assert second.index("Of the base, before what was kept") < second.index("60 MB")


async def test_recorded_replies_are_not_measured_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    async def trace(*_: Any) -> Evidence:
        raise AssertionError("nobody can react to it")

    monkeypatch.setattr("graphs.fresh_evidence.take_queries", trace)
    bench = Bench(workspace, monkeypatch)
    silent = SimpleNamespace(replies=True, frozen=False, find=lambda *_: None)
    monkeypatch.setattr(bench.crew.journal, "source", silent)
    monkeypatch.setattr(bench.crew.journal, "recorded_lane", lambda lane: lane)
    base = Evidence(id="queries@home/base", kind="queries", title="t", digest="45 queries")
    kept = Change(step="fix:a", title="t", commit="c", kept=True, reason="r")
    state: Any = start(RecipeRequest(), workspace.base_commit)
    # Word for word what was shown when the recording was made.
    assert await show_fresh(state, bench.crew, "c", [kept], [base]) == show_evidence([base])
