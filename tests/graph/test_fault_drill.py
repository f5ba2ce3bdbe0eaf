"""The whole recipe against a service that fails: for a while, and for good."""

import asyncio
import json
from pathlib import Path

import pytest

from evals.bench.fault_schedule import IN_A_ROW, LOST, SPOILT, VOID, Schedule
from evals.bench.faults import CASE, SHARE, WIRES, essence, run_recorded, unaccounted
from evals.bench.recorded_crew import Speaker
from evals.replay import replay
from perfcrew.errors import PerfcrewError
from perfcrew.llm.recording import Recording
from perfcrew.settings import Settings
from tests.llm_endpoint.calls import each_way

each_wire = pytest.mark.parametrize("wire", list(WIRES))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("undisturbed")
    report, _ = asyncio.run(replay(CASE, settings=Settings(home=home), watch=lambda _: None))
    return essence(report)


def speaker() -> Speaker:
    return Speaker(Recording(CASE.recording, frozen=True, replies=False))


@each_way
@each_wire
async def test_faults_that_pass_leave_no_trace_in_the_report(
    tmp_path: Path, undisturbed: str, wire: str, stream: bool
) -> None:
    schedule = Schedule(speaker(), seed=7, share=SHARE)
    ended = await run_recorded(schedule, WIRES[wire], tmp_path, stream=stream)
    assert essence(ended.report) == undisturbed
    assert unaccounted(ended.report, schedule) == 0
    assert schedule.counts.total() >= 5
    lost = sum(schedule.counts[fault] for fault in LOST)
    assert sum("again in" in event.text for event in ended.events) == lost, "each retry is told"


@each_way
@each_wire
async def test_a_service_down_for_good_stops_the_run_resumable(
    tmp_path: Path, undisturbed: str, wire: str, stream: bool
) -> None:
    model = speaker()
    with pytest.raises(PerfcrewError) as caught:
        await run_recorded(Schedule(model, 0, 0.0, down_after=6), WIRES[wire], tmp_path, stream=stream)
    told = str(caught.value)
    assert "\n" not in told
    assert getattr(caught.value, "__notes__", []) == [], "LangGraph's ids mean nothing to the user"
    assert f"{WIRES[wire]} does not answer after 8 tries; the last failure: " in told
    assert "overloaded" in told

    [folder] = (tmp_path / "runs").iterdir()
    replies = [line for line in (folder / "journal.jsonl").read_text().splitlines() if '"kind":"reply"' in line]
    rest = Schedule(model, 0, 0.0)
    ended = await run_recorded(rest, WIRES[wire], tmp_path, stream=stream, run_id=folder.name)
    assert essence(ended.report) == undisturbed
    assert len(replies) == 6
    assert len(rest.given) == recorded_replies() - 6, "nothing that was answered is asked again"


def recorded_replies() -> int:
    return sum(json.loads(line)["kind"] == "reply" for line in CASE.recording.read_text().splitlines())


def test_a_schedule_is_bounded() -> None:
    """Fewer faults in a row than tries of a request, so that a drill proves patience and not luck."""
    assert IN_A_ROW < 8
    assert len({*LOST, *SPOILT, *VOID}) == len(LOST) + len(SPOILT) + len(VOID)
