"""Commands at the desk that `exec` and `chat` share, with the dashboard's recording in place of models and tools."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evals.case import find_case
from graphs.runs import list_runs
from perfcrew.entry.cli import start
from perfcrew.entry.commands import NAMES, parse_commands
from perfcrew.entry.desk import Desk
from perfcrew.errors import UserError

CASE = find_case("dashboard")
GIVEN: dict[str, Any] = {
    "path": CASE.app, "config": CASE.config, "replay": CASE.recording, "recorded_tools": True, "json_file": None,
}  # fmt: skip


class Seat:
    """A desk, and what it said."""

    def __init__(self, **given: Any) -> None:
        self.file = io.StringIO()
        console = Console(file=self.file, width=200, highlight=False)
        self.desk = Desk({**GIVEN, **given}, console, stops=True, talks=True)

    def say(self, text: str) -> str:
        self.file.seek(0)
        self.file.truncate()
        assert self.desk.carry_out(parse_commands(text, "", free=True))
        return self.file.getvalue()


@pytest.fixture
def seat(home: Path) -> Seat:
    return Seat()


@pytest.mark.parametrize("name", ["status", "plan", "approve", "diff", "report", "cost", "undo", "resume"])
def test_without_a_run_each_says_what_to_begin_with(seat: Seat, name: str) -> None:
    with pytest.raises(UserError, match=r"there is no run|nothing to undo|can't be found") as caught:
        seat.say(f"/{name}")
    assert "\n" not in str(caught.value)


def test_the_recipe_stops_at_its_plan_and_is_approved(
    seat: Seat, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = seat.say("/recipe api The dashboard is slow")
    assert "1. Index activities by user and time" in said and "The plan waits: /approve" in said
    assert "next: /approve" in seat.say("/status")
    assert seat.say("/plan").count("predicted") == 6
    said = seat.say("/approve")
    assert "Improved, goals met" in said
    assert seat.desk.report is not None and seat.desk.report.request.variation == "api"
    assert "4 kept" in seat.say("/status")
    assert "2. Read each data set of the dashboard once per request" in seat.say("/diff 2")
    with pytest.raises(UserError, match="there are 1 to 4"):
        seat.say("/diff 9")
    assert "coder        implementation    13 calls" in seat.say("/cost")
    assert "nothing of it was stopped" in seat.say("/resume")
    with pytest.raises(UserError, match="no plan waits"):
        seat.say("/approve")
    assert list_runs(home)[0].name in seat.say("/runs")
    assert capsys.readouterr().out == ""


def test_a_plan_is_declined_with_a_reason(seat: Seat) -> None:
    seat.say("/recipe")
    assert "Improved" not in seat.say("/approve no Leave the schema alone")
    report = seat.desk.last_report()
    assert report.changes == ()
    assert "the plan of round 1 was declined: Leave the schema alone" in report.notes


def test_a_plan_of_single_commands_is_approved_too(seat: Seat, capsys: pytest.CaptureFixture[str]) -> None:
    seat.say("/agent:performance\n/agent:architect")
    assert "Declined" in seat.say("/approve no")
    assert "next: /plan shows the plan, /approve carries it out" in seat.say("/status")
    assert "kept: Index activities by user and time" in seat.say("/approve")
    assert "/agent:performance and /agent:tester validate" in seat.say("/status")
    assert start(["run", "--resume", str(seat.desk.run_id)]) == 2
    assert f'go on with: perfcrew exec --resume {seat.desk.run_id} "/resume"' in capsys.readouterr().err


def test_a_script_approves_its_recipe(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--path", str(CASE.app), "--config", str(CASE.config), "--replay", str(CASE.recording), "--recorded-tools"]
    assert start(["exec", "/recipe\n/approve no Not today", *words]) == 1
    assert "was declined: Not today" in capsys.readouterr().out
    run_id = list_runs(home)[0].name
    assert start(["exec", "/status\n/cost", "--resume", run_id, "--json", "out.json"]) == 0
    assert f"run {run_id}" in capsys.readouterr().out
    assert f'"run_id": "{run_id}"' in Path("out.json").read_text()
    assert start(["run", "--resume", run_id]) == 1


def test_a_run_at_hand_brings_its_application(seat: Seat, home: Path) -> None:
    seat.say("/agent:performance")
    run_id = list_runs(home)[0].name
    other = Seat(path=Path("elsewhere"), resume="last")
    assert f"run {run_id}" in other.say("/status")
    other.say("/recipe")
    assert len(list_runs(home)) == 2
    assert other.desk.run_id != run_id


def test_the_chat_wants_a_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["chat", "nowhere"]) == 2
    assert capsys.readouterr().err == "perfcrew: nowhere: no such folder; expected the application's repository\n"


def test_help_shows_all_and_one(seat: Seat) -> None:
    said = seat.say("/help")
    assert all(f"/{name}" in said for name in NAMES)
    assert "/recipe database The list of orders is slow" in seat.say("/help /recipe")
    with pytest.raises(UserError, match="/help nothing: no such command"):
        seat.say("/help nothing")


def test_models_change_from_now_on(seat: Seat) -> None:
    assert "architect, coder: openai/a\n  all others: openai/a" in seat.say("/model openai/a")
    assert "coder: openai-chat/b" in seat.say("/model coder openai-chat/b")
    assert (seat.desk.settings().model, seat.desk.settings().model_coder) == ("openai/a", "openai-chat/b")
    for wrong in ("qa openai/a", "nonsense", "coder"):
        with pytest.raises(UserError):
            seat.say(f"/model {wrong}")
    assert seat.desk.settings().model == "openai/a"
