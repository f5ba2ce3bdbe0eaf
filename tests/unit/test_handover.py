"""The last commit of an accepted branch: made by code from the measured result, checked, and the way back rehearsed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from migrating_app import INDEX, commit_files, make_migrating

import graphs.handover
from agents.crew import Absent, Crew
from graphs.conclusion import deliver
from graphs.handover import hand_over
from graphs.phase import Run
from graphs.state import start
from perfcrew.artifacts import Artifacts
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.handover import places
from perfcrew.llm.budget import Budget
from perfcrew.llm.journal import Journal
from perfcrew.records.evidence import Effect
from perfcrew.records.report import Handover, Report
from perfcrew.records.work import Change, RecipeRequest
from perfcrew.redaction import Redactor
from perfcrew.report.build import build_report
from perfcrew.report.gates import PERFORMANCE_CHECK, judge_gates
from perfcrew.verdict import decide
from tests.unit.report.report_material import finish_run
from tools.duel import Duel
from tools.git_command import git
from tools.git_history import read_at
from tools.workspace import Workspace


class Live:
    """A journal that does everything, or a recording that has nothing."""

    def __init__(self, *, frozen: bool = False) -> None:
        self.frozen = frozen

    async def effect(self, lane: str, key: str, kind: Any, run: Any, *, asked: Any = None) -> Any:
        if self.frozen:
            raise ReplayMiss(f"the recording has no result for {lane}, {key}")
        return await run()


def crew_on(workspace: Workspace, **journal: Any) -> Any:
    return SimpleNamespace(workspace=workspace, journal=Live(**journal), tell=lambda *_, **__: None)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return build_report(finish_run(Artifacts(tmp_path / "artifacts"), branch="perfcrew/run-1"))


async def _hand_over(workspace: Workspace, head: str, report: Report) -> Handover:
    state = {**start(RecipeRequest(), workspace.base_commit), "head": head}
    made = await hand_over(state, crew_on(workspace), report)  # type: ignore[arg-type]
    assert made is not None
    return made


async def test_every_gate_is_met_by_what_lies_on_the_branch(tmp_path: Path, report: Report) -> None:
    workload = finish_run(Artifacts(tmp_path / "more")).target.workload
    workspace = await make_migrating(tmp_path, workload=[each.model_dump(by_alias=True) for each in workload])
    head = await commit_files(workspace, workspace.base_commit, "Index owners", INDEX)
    made = await _hand_over(workspace, head, report)
    assert [check.name for check in made.checks if not check.passed] == [], made.checks
    gates = judge_gates(report.model_copy(update={"handover": made}))
    assert [gate.met for gate in gates] == [True] * 6, gates
    assert made.commit is not None and set(made.files) == set(places.ALL)
    page = await read_at(workspace.clone, made.commit, places.PAGE)
    assert "migrations/002_owner.sql" in page and "prometheus-flask-exporter, which the requirements name" in page
    # The rehearsal takes the last commit back as well.
    assert any(check.detail.startswith("2 commits reverted") for check in made.checks)


async def test_what_the_target_keeps_off_changes_is_left_alone(tmp_path: Path, report: Report) -> None:
    workload = finish_run(Artifacts(tmp_path / "more")).target.workload
    given = {"workload": [each.model_dump(by_alias=True) for each in workload]}
    workspace = await make_migrating(tmp_path, protected=(".github/**", "docs/perfcrew/dashboard.json"), **given)
    head = await commit_files(workspace, workspace.base_commit, "Index owners", INDEX)
    made = await _hand_over(workspace, head, report)
    assert places.PIPELINE not in made.files and places.DASHBOARD not in made.files
    gates = {gate.name: gate for gate in judge_gates(report.model_copy(update={"handover": made}))}
    assert gates["monitoring dashboards updated"].met is None
    assert gates["performance tests automated"].met is False
    assert ".github/workflows/perfcrew.yml is protected" in gates["performance tests automated"].detail


async def test_a_target_without_a_server_needs_no_dashboard(tmp_path: Path, report: Report) -> None:
    workload = [{"name": "nightly", "kind": "command", "command": "true"}]
    workspace = await make_migrating(tmp_path, workload=workload)
    head = await commit_files(workspace, workspace.base_commit, "Raise", {"app.py": "value = 2\n"})
    made = await _hand_over(workspace, head, report)
    gates = {gate.name: gate.met for gate in judge_gates(report.model_copy(update={"handover": made}))}
    assert gates["monitoring dashboards updated"] is gates["alerts configured for regressions"] is None
    assert gates["documentation updated"] is True


async def test_what_can_not_be_made_does_not_cost_the_branch(
    tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise InstrumentError("git commit failed")

    monkeypatch.setattr(graphs.handover, "commit", broken)
    workspace = await make_migrating(tmp_path)
    made = await _hand_over(workspace, workspace.base_commit, report)
    gates = judge_gates(report.model_copy(update={"handover": made}))
    assert made.commit is None and [gate.met for gate in gates][1:5] == [False] * 4
    assert "could not be made: git commit failed" in gates[1].detail


async def test_a_recording_without_it_leaves_the_gates_open(tmp_path: Path, report: Report) -> None:
    workspace = await make_migrating(tmp_path)
    state: Any = {**start(RecipeRequest(), workspace.base_commit), "head": workspace.base_commit}
    assert await hand_over(state, crew_on(workspace, frozen=True), report) is None
    assert [gate.met for gate in judge_gates(report)][1:5] == [None] * 4
    assert "a recording stood in for the tools" in judge_gates(report)[1].detail


async def test_secrets_of_the_description_stay_out_of_the_branch(tmp_path: Path, report: Report) -> None:
    secret = "bearer-0123456789"
    request = {"path": "/", "headers": {"X-Api-Key": secret}}
    workspace = await make_migrating(tmp_path, workload=[{"name": "dashboard", "request": [request]}])
    artifacts = Artifacts(tmp_path / "redacted", Redactor([secret]))
    head = await commit_files(workspace, workspace.base_commit, "Raise", {"app.py": "value = 2\n"})
    made = await _hand_over(replace(workspace, artifacts=artifacts), head, report)
    assert made.commit is not None
    text = await read_at(workspace.clone, made.commit, places.WORKLOAD)
    assert secret not in text and "[redacted]" in text
    (check,) = [check for check in made.checks if check.name == PERFORMANCE_CHECK]
    assert check.passed and "put your secrets in" in check.detail


async def test_the_published_branch_ends_with_the_hand_over_also_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await make_migrating(tmp_path)
    head = await commit_files(workspace, workspace.base_commit, "Index owners", INDEX)
    better = Effect(
        metric="http.p95_ms", workload="home", unit="ms", better="lower", base=100, candidate=50, ratio=2,
        ratio_low=1.9, ratio_high=2.1, confidence=0.99, floor=0.01, exact=False, outcome="improved",
    )  # fmt: skip
    samples = workspace.artifacts.put_json({})
    duel = Duel(
        name="final", workload="home", base=workspace.base_commit, candidate=head, effects=(better,), samples=samples,
        digest="d", measurements=(),
    )  # fmt: skip
    change = Change(step="s", title="Index owners", commit=head, kept=True, reason="improved", touched=tuple(INDEX))
    state: Any = {
        **start(RecipeRequest(), workspace.base_commit), "head": head, "final": duel, "changes": [change],
        "verdict": decide((better,), ()),
    }  # fmt: skip
    repo, tips = tmp_path / "user", []
    for _ in range(2):
        journal = Journal(workspace.folder / "journal.jsonl")
        budget = Budget(turns=10, tokens=10, usd=1, minutes=1)
        crew = Crew(models={}, llm=Absent(), journal=journal, workspace=workspace, budget=budget, watch=lambda _: None)
        update = await deliver()(state, runtime=SimpleNamespace(context=Run(crew, repo)))  # type: ignore[arg-type]
        journal.close()
        report = update["report"]
        assert report is not None and report.handover is not None and report.branch == "perfcrew/run-1"
        tips.append((await git(["rev-parse", report.branch], repo)).strip())
        assert tips[-1] == report.handover.commit != head
        # A second process finds all of it in the journal.
        monkeypatch.setattr(graphs.handover, "compose", None)
    assert tips[0] == tips[1]
    log = await git(["log", "--format=%s", "main..perfcrew/run-1"], repo)
    assert log.splitlines() == [graphs.handover.TITLE, "Index owners"]
    files = (await git(["diff", "--name-only", head, tips[0]], repo)).split()
    assert set(files) == set(places.ALL)
