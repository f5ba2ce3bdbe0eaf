"""Slash commands on one run, with the dashboard's recording in place of models and tools: seconds, no processes."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.case import find_case
from graphs.engine import RunOptions
from graphs.guidance import TALK, ask_guide
from graphs.ordered import admit, group_orders
from graphs.runs import read_report, run_folder
from graphs.session import Done, run_orders
from graphs.standing import find_stop, last_kept, read_state, undo_last
from graphs.state import start, words_for
from perfcrew.errors import ReplayMiss, UserError
from perfcrew.llm.accounts import verify_usage
from perfcrew.records.base import Role
from perfcrew.records.events import Event
from perfcrew.records.report import PhaseRow, Report
from perfcrew.records.work import Change, Order, RecipeRequest
from perfcrew.settings import Settings
from tests.llm_endpoint import RequestView, ScriptedEndpoint

CASE = find_case("dashboard")
OPTIONS = RunOptions(repo=CASE.app, config=CASE.config, replay=CASE.recording, frozen=True)
SCRIPT = [
    Order(role="performance", said="Analyze /api/dashboard", phase=1),
    Order(role="memory-sync", said="Capture the architecture", phase=1),
    Order(role="architect", said="No breaking changes", phase=2),
    Order(role="coder", said="Add indexes", phase=3),
    Order(role="performance", said="Validate", phase=4),
    Order(role="tester", said="All features working", phase=4),
]


class Broken(Exception):
    """Ends a phase as whatever happens to a process would."""


def settings_in(home: Path, **given: Any) -> Settings:
    return Settings(home=home, openai_api_key="not-used", **given)


async def carry_out(home: Path, orders: list[Order], run_id: str | None = None, **given: Any) -> Report:
    options = replace(OPTIONS, run_id=run_id)
    return await run_orders(options, orders, settings=settings_in(home), **{"watch": lambda _: None, **given})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report, list[Done]]:
    home, told = tmp_path_factory.mktemp("home"), list[Done]()
    report = asyncio.run(carry_out(home, SCRIPT, told=told.append))
    return home, report, told


def test_the_script_runs_phase_by_phase(finished: tuple[Path, Report, list[Done]]) -> None:
    _, report, told = finished
    assert (report.outcome, report.goals_met) == ("improved", True)
    assert [done.order for done in told] == SCRIPT
    groups = {row.name: row.group for row in report.phases}
    assert groups["performance_baseline"] == groups["memory_sync"] == "baseline-0"
    assert groups["performance_validation"] == groups["tester"] == "validation-0"
    assert groups["architect"] == groups["coder"] == ""
    assert sum(change.kept for change in report.changes) == 4
    assert all(order.said in report.request.context.issue for order in SCRIPT)
    assert {card.status for card in report.board} == {"DONE", "DROPPED"}


async def test_undo_withdraws_the_newest_change_and_no_other(
    finished: tuple[Path, Report, list[Done]], tmp_path: Path
) -> None:
    home, report, _ = finished
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    options = replace(OPTIONS, run_id=report.run_id)
    before = await read_state(run_folder(tmp_path, report.run_id))
    assert before is not None
    kept = [change for change in before["changes"] if change.kept]
    change, after = await undo_last(options, settings=settings_in(tmp_path), watch=lambda _: None)
    assert (change.commit, after.head_commit) == (kept[-1].commit, kept[-2].commit)
    assert (after.outcome, after.branch) == ("incomplete", None)
    assert [row.withdrawn for row in after.changes if row.commit == change.commit] == [True]
    assert len(after.changes) == len(report.changes)
    for _ in kept[1:]:
        change, after = await undo_last(options, settings=settings_in(tmp_path), watch=lambda _: None)
    assert after.head_commit == after.base_commit
    with pytest.raises(UserError, match="nothing to undo"):
        await undo_last(options, settings=settings_in(tmp_path), watch=lambda _: None)


async def stop_in(home: Path, phase: str, orders: list[Order]) -> str:
    """Break a session off when a phase begins; the run's id."""

    def watch(event: Event) -> None:
        if event.kind == "card" and event.phase == phase:
            raise Broken

    with pytest.raises(Broken):
        await carry_out(home, orders, watch=watch)
    (folder,) = (home / "runs").iterdir()
    return folder.name


async def test_a_stopped_phase_goes_on_where_it_stopped(tmp_path: Path) -> None:
    run_id = await stop_in(tmp_path, "coder", SCRIPT[:4])
    stopped = await find_stop(run_folder(tmp_path, run_id))
    assert stopped is not None and stopped.inside == "phase"
    report = await carry_out(tmp_path, [], run_id)
    assert sum(change.kept for change in report.changes) == 4
    assert [row.name for row in report.phases].count("performance_baseline") == 1
    assert await find_stop(run_folder(tmp_path, run_id)) is None
    with pytest.raises(UserError, match="nothing was stopped"):
        await carry_out(tmp_path, [], run_id)


async def test_the_same_words_go_on_and_other_words_begin_anew(tmp_path: Path) -> None:
    run_id = await stop_in(tmp_path, "coder", SCRIPT[:4])
    folder = run_folder(tmp_path, run_id)
    await carry_out(tmp_path, [SCRIPT[3]], run_id)
    state = await read_state(folder)
    assert state is not None and state["round"] == 0
    assert words_for(state, "coder") == "Add indexes"
    # Done already, so that it is done again in a round of its own.
    with pytest.raises(ReplayMiss, match="1/baseline/memory-sync") as caught:
        await carry_out(tmp_path, [Order(role="memory-sync", said="Once more")], run_id)
    assert not getattr(caught.value, "__notes__", ())
    # That stopped as well; in other words it is another thing.
    with pytest.raises(ReplayMiss, match="2/baseline/memory-sync"):
        await carry_out(tmp_path, [Order(role="memory-sync", said="The caches, please")], run_id)


def test_what_runs_side_by_side() -> None:
    def roles(*orders: tuple[Role, int | None]) -> list[list[Role]]:
        made = [Order(role=role, phase=phase) for role, phase in orders]
        return [[order.role for order in group] for group in group_orders(made)]

    assert roles(("performance", 1), ("memory-sync", 1)) == [["performance", "memory-sync"]]
    assert roles(("tester", 4), ("performance", 4), ("security", 4)) == [["tester", "performance", "security"]]
    assert roles(("performance", None), ("memory-sync", None)) == [["performance"], ["memory-sync"]]
    assert roles(("performance", 1), ("performance", 1)) == [["performance"], ["performance"]]
    assert roles(("performance", 1), ("architect", 1)) == [["performance"], ["architect"]]
    assert roles(("performance", 1), ("tester", 4)) == [["performance"], ["tester"]]


def test_what_needs_something_else_first() -> None:
    state = start(RecipeRequest(), "base")
    for role, first in (
        ("architect", "performance"), ("coder", "architect"), ("tester", "coder"), ("security", "coder"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"run /agent:{first} first"):
            admit(Order.model_validate({"role": role}), state)
    with pytest.raises(UserError, match="run /agent:coder first"):
        admit(Order(role="performance", phase=4), state)
    assert admit(Order(role="performance", phase=1), state) == ""
    # The coder kept nothing: a script goes on to its honest end.
    dropped = Change(step="s", title="t", commit=None, kept=False, reason="r")
    row = PhaseRow(name="coder", seconds=1, started=0)
    tried = {**state, "changes": [dropped], "phases": [row]}
    for order in (Order(role="tester"), Order(role="performance", phase=4)):
        assert "nothing was kept" in admit(order, tried)  # type: ignore[arg-type]
    assert last_kept(state) is None


@pytest.fixture
def guide() -> Iterator[ScriptedEndpoint]:
    """A model that first cites what is not there, and proposes what is no command."""

    def script(request: RequestView) -> dict[str, Any]:
        wrong = len(request.messages) == 1
        answer = {
            "evidence": ["nowhere"] if wrong else ["queries@dashboard/base"],
            "command": "/agent:cook" if wrong else "/agent:architect Fewer queries",
        }
        if request.messages[0].text.endswith("in the answer"):
            answer = {"text": "In the answer."}
        said = "Let me see." if "text" in answer else "45 queries a request."
        return {"text": said, "tool_calls": [{"name": "answer", "arguments": answer}]}

    with ScriptedEndpoint(script) as endpoint:
        yield endpoint


async def test_the_guide_answers_from_the_evidence_and_leaves_the_run_alone(
    finished: tuple[Path, Report, list[Done]], guide: ScriptedEndpoint
) -> None:
    home, report, _ = finished
    folder = run_folder(home, report.run_id)
    journal = (folder / "journal.jsonl").read_bytes()
    settings = settings_in(home, openai_base_url=f"{guide.base_url}/v1", model="openai/gpt-6.2-sol")
    given: dict[str, Any] = {"settings": settings, "watch": lambda _: None, "commands": "- /status: where it stands"}
    options = replace(OPTIONS, run_id=report.run_id)
    for number in (1, 2):
        answer = await ask_guide(
            options, "what costs most?", **given, check=lambda text: "no such command" if "cook" in text else "",
            earlier=[("hello", "Good day.")],
        )  # fmt: skip
        assert (answer.text, answer.command) == ("45 queries a request.", "/agent:architect Fewer queries")
        assert answer.evidence == ("queries@dashboard/base",)
        assert len(guide.requests) == 2 * number
    answer = await ask_guide(options, "say it in the answer", **given, check=lambda _: "")
    assert (answer.text, answer.command) == ("In the answer.", "")
    told = guide.requests[1].messages[-1].results[0].content
    assert "there is no evidence or finding `nowhere`" in told and "no such command" in told
    brief = guide.requests[0].messages[0].text
    assert brief.endswith("# The user says\n\nwhat costs most?")
    for part in ("queries@dashboard/base", "- /status: where it stands", "Good day.", "KEPT", "performance_validation"):
        assert part in brief
    assert "replace_text" not in guide.requests[0].tools
    assert (folder / "journal.jsonl").read_bytes() == journal
    assert verify_usage(read_report(folder), folder / "journal.jsonl") > 0
    assert (folder / TALK).read_text().count('"kind":"reply"') == 5
