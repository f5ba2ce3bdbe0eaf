"""A recording in the place of the model, and of the tools when frozen."""

from pathlib import Path

import pytest

from perfcrew.errors import ReplayMiss
from perfcrew.llm.base import Request, ToolSpec
from perfcrew.llm.journal import Journal
from tests.unit.journal_material import LANE, Live, Measured, asking, never, record, returning, unrun


async def test_a_recording_stands_in_for_the_model_and_tools_stay_live(tmp_path: Path) -> None:
    recording = await record(tmp_path / "recording.jsonl")
    assert recording.label == "an expert"
    journal = Journal(tmp_path / "journal.jsonl", recording)
    assert (await journal.reply(LANE, 0, asking("a"), never)).text == "a"
    live = await journal.effect(LANE, "turn-0.0:measure", Measured, returning(Measured(value=2.0)))
    assert live.value == 2.0
    assert journal.drift == {}
    journal.close()


async def test_what_the_recording_lacks_is_a_miss(tmp_path: Path) -> None:
    recording = await record(tmp_path / "recording.jsonl")
    journal = Journal(tmp_path / "journal.jsonl", recording)
    with pytest.raises(ReplayMiss, match=f"{LANE}, turn-1"):
        await journal.reply(LANE, 1, asking("b"), never)
    with pytest.raises(ReplayMiss, match="2/plan/architect, turn-0"):
        await journal.reply("2/plan/architect", 0, asking("a"), never)
    recording.frozen = True
    with pytest.raises(ReplayMiss, match="other"):
        await journal.effect(LANE, "other", Measured, unrun)
    journal.close()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (asking("a", system="You plan well."), "system"),
        (asking("a", tools=(ToolSpec(name="t", description="", parameters={}),)), "tools"),
        (asking("other"), "history"),
        (asking("other", system="x"), "system, history"),
    ],
)
async def test_drift_names_what_differs(tmp_path: Path, changed: Request, named: str) -> None:
    recording = await record(tmp_path / "recording.jsonl")
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, recording)
    assert (await journal.reply(LANE, 0, changed, never)).text == "a"
    assert journal.drift == {f"{LANE} turn-0": named}
    journal.close()
    resumed = Journal(path, recording)
    await resumed.reply(LANE, 0, changed, never)
    assert resumed.drift == {f"{LANE} turn-0": named}, "a resumed replay tells the same drift"
    resumed.close()


async def test_drift_of_a_resumed_run_against_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    await journal.reply(LANE, 0, asking("a"), Live()("a"))
    journal.close()
    resumed = Journal(tmp_path / "journal.jsonl")
    await resumed.reply(LANE, 0, asking("b"), never)
    assert resumed.drift == {f"{LANE} turn-0": "history"}
    resumed.close()


async def test_frozen_effects_come_from_the_recording_even_those_done_again_on_resume(tmp_path: Path) -> None:
    recording = await record(tmp_path / "recording.jsonl")
    recording.frozen = True
    journal = Journal(tmp_path / "journal.jsonl", recording)
    for reapply in (False, True):
        result = await journal.effect(LANE, "turn-0.0:measure", Measured, unrun, reapply=reapply)
        assert result == Measured(value=1.0)
    journal.close()
