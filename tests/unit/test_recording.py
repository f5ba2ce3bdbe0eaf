"""A recording in the place of the model, and of the tools when frozen."""

from pathlib import Path

import pytest

from perfcrew.errors import ReplayDrift, ReplayMiss
from perfcrew.llm.base import Message, Request, Text, ToolResult, ToolSpec
from perfcrew.llm.entries import read_entries, write_line
from perfcrew.llm.journal import Journal
from perfcrew.llm.recording import Recording
from tests.unit.journal_material import LANE, Live, Measured, asking, never, record, replying, returning, unrun


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


TOOL = ToolSpec(name="t", description="Take it.", parameters={"type": "object"})


def grown(text: str) -> Request:
    """The second request of a conversation: the first, its reply, and what the call gave."""
    first = asking("a", tools=(TOOL,))
    answered = Message(role="assistant", blocks=replying("a").blocks)
    given = Message(role="user", blocks=(ToolResult(call="1", content=text), Text(text="Go on.")))
    return first.model_copy(update={"messages": (*first.messages, answered, given)})


async def record_two_turns(path: Path, lane: str = LANE) -> Recording:
    journal = Journal(path)
    await journal.reply(lane, 0, asking("a", tools=(TOOL,)), Live()("a"))
    await journal.reply(lane, 1, grown("one\ntwo"), Live()("b"))
    journal.close()
    return Recording(path, frozen=True, strict=True)


async def test_a_strict_replay_of_what_was_asked_passes(tmp_path: Path) -> None:
    recording = await record_two_turns(tmp_path / "recording.jsonl")
    journal = Journal(tmp_path / "journal.jsonl", recording)
    await journal.reply(LANE, 0, asking("a", tools=(TOOL,)), never)
    assert (await journal.reply(LANE, 1, grown("one\ntwo"), never)).text == "b"
    assert journal.drift == {}
    journal.close()


@pytest.mark.parametrize(
    ("request_now", "lines"),
    [
        (grown("one\n2"), ["history:", "-  two", "+  2"]),
        (
            grown("one\ntwo").model_copy(update={"system": "You plan.\nWell."}),
            ["prompt:", " You plan.", "+Well."],
        ),
        (
            grown("one\ntwo").model_copy(update={"tools": (TOOL.model_copy(update={"description": "Leave it."}),)}),
            ["tools:", "-t: Take it.", "+t: Leave it."],
        ),
    ],
)
async def test_a_strict_replay_refuses_any_difference_with_a_diff(
    tmp_path: Path, request_now: Request, lines: list[str]
) -> None:
    recording = await record_two_turns(tmp_path / "recording.jsonl")
    journal = Journal(tmp_path / "journal.jsonl", recording)
    await journal.reply(LANE, 0, asking("a", tools=(TOOL,)), never)
    with pytest.raises(ReplayDrift) as caught:
        await journal.reply(LANE, 1, request_now, never)
    told = [line[2:] if line.startswith("  ") else line for line in str(caught.value).splitlines()]
    assert f"{LANE} turn-1" in told[0]
    assert [line for line in lines if line not in told] == []
    assert not journal.has(LANE, "turn-1", "reply")
    journal.close()


async def test_a_strict_replay_refuses_what_was_never_asked(tmp_path: Path) -> None:
    recording = await record_two_turns(tmp_path / "recording.jsonl")
    journal = Journal(tmp_path / "journal.jsonl", recording)
    with pytest.raises(ReplayDrift, match="no reply for 0/other/architect"):
        await journal.reply("0/other/architect", 0, asking("a"), never)
    journal.close()


async def test_of_a_recording_of_digests_only_the_parts_are_named(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    await record_two_turns(path)
    old = [entry.model_copy(update={"asked": None}) for entry in read_entries(path)]
    path.write_bytes(b"".join(write_line(entry) for entry in old if not entry.key.startswith("text:")))
    journal = Journal(tmp_path / "journal.jsonl", Recording(path, frozen=True, strict=True))
    with pytest.raises(ReplayDrift, match="prompt: differs; the recording holds but a digest"):
        await journal.reply(LANE, 0, asking("a", system="other", tools=(TOOL,)), never)
    journal.close()


CODER = "0/implementation/coder"


async def record_steps(path: Path, *lanes: str) -> Recording:
    journal = Journal(path)
    for lane in lanes:
        await journal.effect(lane, "worktree", str, giving(lane))
        await journal.reply(lane, 0, asking("a"), Live()(lane))
    journal.close()
    return Recording(path, frozen=True)


def giving(text: str):  # type: ignore[no-untyped-def]
    async def run() -> str:
        return text

    return run


async def test_a_conversation_with_another_name_is_found_by_role_turn_and_calls(tmp_path: Path) -> None:
    """The second of three steps has another id today: its own recorded conversation answers, effects included."""
    old = [f"{CODER}/fix:{name}@GET /api/x/0" for name in "abc"]
    recording = await record_steps(tmp_path / "recording.jsonl", *old)
    path = tmp_path / "journal.jsonl"
    today = [old[0], f"{CODER}/fix:new/0", old[2]]
    for _ in ("at first", "resumed"):
        journal = Journal(path, recording)
        for lane, recorded in zip(today, old, strict=True):
            assert await journal.effect(lane, "worktree", str, giving("live")) == recorded
            assert (await journal.reply(lane, 0, asking("a"), never)).text == recorded
        assert journal.renamed == {today[1]: old[1]}
        journal.close()


async def test_another_attempt_or_role_never_answers(tmp_path: Path) -> None:
    recording = await record_steps(tmp_path / "recording.jsonl", f"{CODER}/fix:a/0", "0/design/architect")
    journal = Journal(tmp_path / "journal.jsonl", recording)
    for lane in (f"{CODER}/fix:b/1", "0/validation/tester", "1/design/architect"):
        with pytest.raises(ReplayMiss, match=lane):
            await journal.reply(lane, 0, asking("a"), never)
    journal.close()


async def test_other_tool_calls_in_the_history_are_no_match(tmp_path: Path) -> None:
    old = f"{CODER}/fix:a/0"
    await record_two_turns(tmp_path / "recording.jsonl", old)
    recording = Recording(tmp_path / "recording.jsonl", frozen=True)
    journal = Journal(tmp_path / "journal.jsonl", recording)
    await journal.reply(f"{CODER}/fix:b/0", 0, asking("a"), never)
    with pytest.raises(ReplayMiss):
        await journal.reply(f"{CODER}/fix:b/0", 1, asking("a"), never)
    assert (await journal.reply(f"{CODER}/fix:b/0", 1, grown("other"), never)).text == "b"
    journal.close()


async def test_a_live_model_with_recorded_tool_results(tmp_path: Path) -> None:
    await record(tmp_path / "recording.jsonl")
    recording = Recording(tmp_path / "recording.jsonl", frozen=True, replies=False)
    live = Live()
    journal = Journal(tmp_path / "journal.jsonl", recording)
    assert (await journal.reply(LANE, 0, asking("other"), live("new"))).text == "new"
    assert (await journal.effect(LANE, "turn-0.0:measure", Measured, unrun)).value == 1.0
    assert live.asked == ["new"]
    assert journal.drift == {f"{LANE} turn-0": "history"}
    journal.close()


@pytest.mark.parametrize(
    ("frozen", "replies", "heard"),
    [
        (False, True, (True, False)),
        (True, True, (True, False)),
        (False, False, (True, True)),
        (True, False, (True, False)),
    ],
)
async def test_who_hears_of_an_effect(tmp_path: Path, frozen: bool, replies: bool, heard: tuple[bool, bool]) -> None:
    """Recorded replies heard what was recorded; a live model hears what can be had."""
    await record(tmp_path / "recording.jsonl")
    recording = Recording(tmp_path / "recording.jsonl", frozen=frozen, replies=replies)
    journal = Journal(tmp_path / "journal.jsonl", recording)
    assert (journal.heard(LANE, "turn-0.0:measure"), journal.heard(LANE, "other")) == heard
    assert journal.live is not replies
    journal.close()


async def test_drift_of_finished_phases_is_told_after_a_resume(tmp_path: Path) -> None:
    recording = await record(tmp_path / "recording.jsonl")
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, recording)
    await journal.reply(LANE, 0, asking("other"), never)
    journal.close()
    resumed = Journal(path, recording)
    assert resumed.drift == {f"{LANE} turn-0": "history"}, "although nobody asks for it again"
    resumed.close()
