"""The recipe as `langgraph dev` drives it: an interrupt that is answered, and a server that was started again."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from evals.case import find_case, make_repository
from graphs import studio
from graphs.runs import claim_run, list_runs
from perfcrew.errors import UserError
from perfcrew.records.work import RecipeRequest

THREAD: Any = {"configurable": {"thread_id": "thread-1"}}


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    case = find_case("dashboard")
    repo = await make_repository(case, tmp_path / "scratch")
    (repo / "perfcrew.toml").write_bytes(case.config.read_bytes())
    monkeypatch.setenv("PERFCREW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PERFCREW_STUDIO_REPO", str(repo))
    monkeypatch.setenv("PERFCREW_STUDIO_REPLAY", str(case.recording))
    monkeypatch.setattr(studio, "_runs", {})
    return tmp_path / "home"


def server(state: InMemorySaver) -> Any:
    """The graph with the server's own checkpoints."""
    graph = studio.recipe()
    graph.checkpointer = state
    return graph


def stop() -> None:
    """What is left of a server that was stopped: nothing but its checkpoints."""
    studio._runs.clear()
    studio._claims.close()


async def test_a_plan_is_answered_by_a_server_that_was_started_again(home: Path) -> None:
    state = InMemorySaver()
    try:
        await server(state).ainvoke({}, THREAD)
        (waiting,) = (await server(state).aget_state(THREAD)).tasks[0].interrupts
        assert waiting.value["plan"]["steps"]
        (folder,) = list_runs(home)
        with pytest.raises(UserError, match="at work on it"), claim_run(folder):
            pass
        stop()
        done = await server(state).ainvoke(Command(resume={"approved": True, "note": "go"}), THREAD)
        assert done["report"].outcome == "improved"
        assert done["report"].run_id == folder.name
        assert list_runs(home) == [folder]
    finally:
        stop()


async def test_a_server_that_lost_its_state_goes_on_from_the_journal(home: Path) -> None:
    try:
        await server(InMemorySaver()).ainvoke({}, THREAD)
        (folder,) = list_runs(home)
        lines = (folder / "journal.jsonl").read_bytes()
        stop()
        graph = server(InMemorySaver())
        await graph.ainvoke({"request": {"approve": True}}, THREAD)
        assert (await graph.aget_state(THREAD)).next == ("approval",)
        assert list_runs(home) == [folder]
        assert (folder / "journal.jsonl").read_bytes() == lines
    finally:
        stop()


def test_the_request_of_an_input_is_checked() -> None:
    assert studio.read_request(None) == RecipeRequest(approve=True)
    assert studio.read_request({"variation": "api"}).variation == "api"
    with pytest.raises(UserError, match="request, variation: "):
        studio.read_request({"variation": "apy"})
