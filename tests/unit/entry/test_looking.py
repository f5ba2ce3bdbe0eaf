"""`verify`, `report`, `runs`, `exec`, `eval`, `doctor`: what they find, say and return."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_engine import FakeEngine

from evals.case import Case
from evals.replay import Grade
from graphs.engine import RunOptions
from graphs.runs import claim_run, list_runs
from graphs.session import Done
from perfcrew.entry import desk, doctor, grading
from perfcrew.entry.cli import start
from perfcrew.records.evidence import Check
from perfcrew.records.report import Report
from perfcrew.records.work import Order
from perfcrew.settings import Settings, load_settings
from tools.readiness import SANDBOX, Readiness

Said = pytest.CaptureFixture[str]


@pytest.fixture
def finished(engine: FakeEngine, home: Path, shop: Path, capsys: Said) -> Path:
    start(["run", "shop"])
    capsys.readouterr()
    return list_runs(home)[0]


def test_verify_takes_an_id_a_folder_or_last(finished: Path, capsys: Said) -> None:
    for name in (finished.name, str(finished), "last"):
        assert start(["verify", name]) == 0
        assert "figures computed again" in capsys.readouterr().out


def test_verify_fails_on_an_altered_file(finished: Path, capsys: Said) -> None:
    next((finished / "artifacts").iterdir()).write_bytes(b"x")
    assert start(["verify"]) == 1
    assert "the raw file was altered" in capsys.readouterr().err


def test_report_in_each_form(finished: Path, capsys: Said) -> None:
    assert start(["report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == finished.name
    assert start(["report", "--md"]) == 0
    assert capsys.readouterr().out == (finished / "report.md").read_text()
    (finished / "report.html").unlink()
    assert start(["report", finished.name, "--html"]) == 0
    assert capsys.readouterr().out.strip() == str(finished / "report.html")
    assert (finished / "report.html").exists()
    assert start(["report"]) == 0
    assert "Success criteria" in capsys.readouterr().out


def test_runs_are_listed(finished: Path, shop: Path, capsys: Said) -> None:
    assert start(["runs"]) == 0
    words = capsys.readouterr().out.split()
    assert words == [finished.name, "run", "improved,", "goals", "met", str(shop)]


def test_runs_as_json_tell_what_can_be_gone_on_with(
    finished: Path, engine: FakeEngine, home: Path, shop: Path, capsys: Said
) -> None:
    folder = engine.begin(RunOptions(repo=shop), load_settings(home=home))
    (home / "runs" / "damaged").mkdir()
    (home / "runs" / "damaged" / "run.json").write_text("{}")
    with claim_run(folder):
        assert start(["runs", "--json"]) == 0
    states = {run["run_id"]: (run["state"], run["goals_met"]) for run in json.loads(capsys.readouterr().out)}
    assert states == {finished.name: ("finished", True), folder.name: ("at work", None), "damaged": ("stopped", None)}
    assert start(["runs"]) == 0
    said = capsys.readouterr().out
    assert "not readable by this version" in said and f"{folder.name}  run      stopped" in said
    assert start(["runs", "-n", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == said.splitlines()[:2]


def test_a_report_is_opened_in_a_browser(finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or len(opened) == 1)
    assert start(["report", "--open"]) == 0
    assert opened == [(finished / "report.html").as_uri()]
    assert start(["report", "--open"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == str(finished / "report.html")
    assert "no browser could be opened" in captured.err


def test_without_runs(home: Path, capsys: Said) -> None:
    assert start(["runs"]) == 0
    assert "no runs in" in capsys.readouterr().out
    assert start(["verify"]) == 2
    assert start(["report", "some/folder"]) == 2
    assert [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()] == [
        f"perfcrew: there is no run yet in {home / 'runs'}", "perfcrew: some/folder: not a run's folder",
    ]  # fmt: skip


@pytest.fixture
def session(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    spoken: list[Any] = []

    async def run_orders(
        options: RunOptions, given: list[Order], *, settings: Settings, watch: Any, told: Any, overhear: Any
    ) -> Report:
        spoken.extend(given)
        report = await engine.run(options, settings=settings, watch=watch)
        state: Any = {"snapshot": SimpleNamespace(summary="three layers"), "plans": report.plans}
        for order in given:
            told(Done(order, state, report))
        return report

    monkeypatch.setattr(desk, "run_orders", run_orders)
    return spoken


def test_exec_carries_out_commands_in_order(session: list[Any], shop: Path, capsys: Said) -> None:
    Path("s.md").write_text("# Phase 1\n/agent:performance\nAnalyze:\n- P95\n/agent:memory-sync\n/agent:architect x\n")
    assert start(["exec", "-f", "s.md", "--path", "shop"]) == 0
    assert session == [
        Order(role="performance", said="Analyze:\n- P95", phase=1), Order(role="memory-sync", phase=1),
        Order(role="architect", said="x", phase=1),
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert "/agent:memory-sync\n  three layers" in said
    assert "/agent:architect\n  " in said


def test_exec_that_only_measures_is_fine(session: list[Any], engine: FakeEngine, shop: Path, capsys: Said) -> None:
    engine.changed = {"changes": (), "goals_met": False}
    assert start(["exec", "/agent:performance", "--path", "shop", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["changes"] == []
    told = captured.err.partition("/agent:performance\n")[2]
    assert "30 queries for 30 users" in told and "better" not in told.partition("Go on with")[0]
    assert "Go on with: perfcrew exec --resume" in captured.err


def test_exec_recipe_is_a_run(engine: FakeEngine, shop: Path, capsys: Said) -> None:
    assert start(["exec", "/recipe database The list is slow", "--path", "shop"]) == 0
    request = engine.given[0].request
    assert (request.variation, request.context.issue) == ("database", "The list is slow")
    assert not request.approve
    assert "Improved, goals met" in capsys.readouterr().out
    assert start(["exec", "/recipe\n/report", "--path", "shop"]) == 0
    assert capsys.readouterr().out.count("Improved, goals met") == 2


@pytest.mark.parametrize(
    "words", [["exec"], ["exec", "/x", "-f", "s"], ["exec", "-f", "none"], ["exec", "/agent:cook"]]
)
def test_exec_mistakes(home: Path, words: list[str], capsys: Said) -> None:
    assert start(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_eval_grades_each_case(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    asked: list[dict[str, Any]] = []

    async def replay(case: Case, *, settings: Settings, watch: Any, request: Any, **given: bool) -> tuple[None, Grade]:
        assert settings.home != home
        asked.append(given)
        good = case.name == "one"
        checks = (Check(name="outcome", passed=good, detail="'improved'"),)
        return None, Grade(case=case.name, passed=good, checks=checks, drift=())

    monkeypatch.setattr(grading, "replay", replay)
    monkeypatch.setattr(grading, "find_case", lambda name: Case(name, home))
    assert start(["eval", "--replay", "one"]) == 0
    assert start(["eval", "--replay", "one", "two", "--json", "-"]) == 1
    captured = capsys.readouterr()
    assert [grade["passed"] for grade in json.loads(captured.out)] == [True, False]
    assert "two: failed\n  ✗ outcome" in captured.err
    assert asked[-1] == {"strict": False, "live_tools": False, "record": False}
    assert start(["eval", "--replay", "--strict", "--record", "one"]) == 0
    assert asked[-1] == {"strict": True, "live_tools": False, "record": True}
    assert "recorded: " in capsys.readouterr().err


def test_doctor_tells_of_models_without_their_keys(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden")
    monkeypatch.setattr(doctor, "try_all", found_all)
    assert start(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "✓ git                 git version 2.40 (source and branches)" in said
    assert "– lighthouse          lighthouse is not installed: npm install" in said
    assert "✓ openai              key set" in said
    assert "– anthropic           no key: set ANTHROPIC_API_KEY" in said
    assert "sk-hidden" not in said


async def found_sandbox(*_: Any) -> list[Readiness]:
    return [Readiness(name=SANDBOX, ready=True, purpose="protection", detail="works")]


def test_doctor_says_that_the_sandbox_is_switched_off(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setattr(doctor, "try_all", found_sandbox)
    start(["doctor"])
    assert "✓ bubblewrap          works" in capsys.readouterr().out
    monkeypatch.setenv("PERFCREW_SANDBOX", "off")
    start(["doctor"])
    said = capsys.readouterr().out
    assert "– bubblewrap          NO SANDBOX: it was switched off" in said and "reach the network" in said


def test_doctor_as_json(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(doctor, "try_all", found_all)
    assert start(["doctor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["git", "lighthouse", "anthropic", "openai"]
    assert rows[0] == {
        "name": "git", "ready": True, "purpose": "source and branches", "detail": "git version 2.40", "needed": True,
    }  # fmt: skip


def test_doctor_fails_without_what_is_needed(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    async def found_none(_: Path, __: object) -> list[Readiness]:
        return [GIT.model_copy(update={"ready": False, "detail": "missing: apt install git"})]

    monkeypatch.setattr(doctor, "try_all", found_none)
    assert start(["doctor"]) == 1
    assert "✗ git                 missing: apt install git" in capsys.readouterr().out


GIT = Readiness(name="git", ready=True, purpose="source and branches", detail="git version 2.40", needed=True)


async def found_all(_: Path, __: object) -> list[Readiness]:
    missing = "lighthouse is not installed: npm install --global lighthouse"
    return [GIT, Readiness(name="lighthouse", ready=False, purpose="audits", detail=missing)]
