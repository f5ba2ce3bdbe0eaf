"""Memory under load: growth is judged by the request, so that speed can't turn a verdict."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_server import Answer, serve

from perfcrew.artifacts import Artifacts
from perfcrew.errors import InstrumentError
from perfcrew.memory_stats import judge_growth
from perfcrew.records.target import Target, Workload
from perfcrew.stats import recompute
from tools.generator import LoadWorker, Round
from tools.memory import POINTS, STRETCH_AGAIN, measure_memory, memory_evidence
from tools.process_tree import Footprint
from tools.workspace import Workspace

WORKLOAD = Workload.model_validate({"name": "w", "users": 2, "request": [{"path": "/"}]})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    target = Target.model_validate(
        {"target": {"name": "t", "start": "x"}, "workload": [{"name": "w", "request": [{"path": "/"}]}]}
    )
    return Workspace("run", tmp_path, tmp_path, target, "c" * 40, Artifacts(tmp_path / "artifacts"), "machine")


async def ok(method: str, path: str, body: bytes) -> Answer:
    return 200, b"x"


@pytest.mark.parametrize(("growth_mb", "leak"), [(0.02, 1), (0.0, 0)])
async def test_growth_by_request_is_found(workspace: Workspace, growth_mb: float, leak: int) -> None:
    async with serve(ok) as arm, LoadWorker.start(workspace) as worker:
        arm.growth_mb = growth_mb
        evidence = await measure_memory(workspace, arm, WORKLOAD, seconds=0.6, worker=worker)
    assert (evidence.id, evidence.kind, evidence.facts["leak"]) == ("memory@w/base", "memory", leak)
    # The count of requests and the memory are read a moment apart.
    assert evidence.facts["growth_kb_per_request"] == pytest.approx(1000 * growth_mb, rel=0.25)
    assert evidence.artifact is not None
    raw = workspace.artifacts.get_json(evidence.artifact)
    # On a busy machine a reading may come after the load.
    assert POINTS / 4 < len(raw["points"]) <= POINTS
    assert raw["points"][-1][3:] == [raw["points"][-1][2] + 2, raw["points"][-1][2] + 8]
    for measurement in evidence.measurements:
        assert recompute(measurement.method, raw) == measurement.value


def series(uss: list[float], each: float = 10.0, settled: int = 6) -> dict[str, Any]:
    return {
        "kind": "memory", "workload": "w", "arm": "base", "commit": "c", "settled": settled, "users": 2, "idle": uss[0],
        "points": [[float(i), each * i, value] for i, value in enumerate(uss)],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("uss", "leak", "words"),
    [
        ([50 + 0.2 * i for i in range(24)], 1, "this is a leak"),
        ([50 + 0.005 * i for i in range(24)], 0, "no leak"),
        ([50 + 0.02 * i for i in range(24)], None, "can't tell"),
        ([50.0 + 10 * min(i, 5) for i in range(24)], 0, "no leak"),
        ([50.0 + (i % 2) * 8 for i in range(24)], None, "can't tell"),
        ([50.0] * 23 + [90.0], None, "can't tell"),
        ([50.0 + 10 * (1 - math.exp(-i / 6)) for i in range(24)], None, "can't tell"),
        ([60 - 0.3 * i for i in range(24)], 0, "no leak"),
    ],
    ids=["steady growth", "too little", "too little in all", "settles", "to and fro", "one jump", "fills up", "falls"],
)
def test_what_counts_as_a_leak(workspace: Workspace, uss: list[float], leak: int | None, words: str) -> None:
    evidence = memory_evidence(workspace, series(uss))
    assert evidence.facts["leak"] == leak
    assert words in evidence.title and words in evidence.digest
    assert evidence.facts["peak_mb"] == max(uss)
    assert evidence.facts["peak_above_idle_mb"] == max(uss) - uss[0]


@given(
    st.floats(0.0, 40.0), st.floats(1.5, 40.0), st.lists(st.floats(-0.1, 0.1), min_size=80, max_size=80),
    st.integers(60, 600),
)  # fmt: skip
def test_speed_never_turns_yes_into_no(kb: float, faster: float, noise: list[float], requests: int) -> None:
    """The same code, measured for the same time at two speeds, never gets contrary answers."""
    answers = []
    for speed, jitter in ((1.0, noise[:40]), (faster, noise[40:])):
        each = speed * requests / 40
        uss = [50 + kb * each * i / 1000 + jitter[i] / 4 for i in range(40)]
        answers.append(judge_growth(series(uss, each, settled=10)).leak)
    assert set(answers) != {"yes", "no"}


def test_versions_can_be_compared_at_equal_work() -> None:
    filling = series([50.0 + 0.1 * min(i, 40) for i in range(120)], settled=0)
    assert judge_growth(filling, most=400).leak == "yes"
    assert judge_growth(filling).leak != "yes"


async def test_a_leak_must_last_where_there_is_patience(workspace: Workspace) -> None:
    async def answer(method: str, path: str, body: bytes) -> Answer:
        return 200, b"x"

    async with serve(answer) as arm, LoadWorker.start(workspace) as worker:
        leaks = {}
        for patient in (False, True):
            looks = iter(range(10_000))
            # It fills up for the length of one stretch, then stays as it is.
            arm.footprint = lambda looks=looks: Footprint(  # type: ignore[method-assign, misc]
                50.0 + 2.0 * min(next(looks), POINTS), 0, 1
            )
            seen = await measure_memory(workspace, arm, WORKLOAD, seconds=0.3, worker=worker, patient=patient)
            leaks[patient] = seen.facts["leak"]
    assert leaks[False] == 1 and leaks[True] != 1


async def test_patience_ends_when_it_is_clear(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    drive = LoadWorker.round

    async def counted(worker: LoadWorker, url: str, workload: Workload, *, seed: int, **more: Any) -> Round:
        seeds.append(seed)
        return await drive(worker, url, workload, seed=seed, **more)

    monkeypatch.setattr(LoadWorker, "round", counted)
    async with serve(ok) as arm, LoadWorker.start(workspace) as worker:
        wild = iter(range(10_000))
        arm.footprint = lambda: Footprint(50.0 + next(wild) % 7 * 30, 0, 1)  # type: ignore[method-assign]
        unclear = await measure_memory(workspace, arm, WORKLOAD, seconds=0.2, worker=worker, patient=True)
        arm.footprint = lambda: Footprint(50.0, 50.0, 50.0)  # type: ignore[method-assign]
        clear = await measure_memory(workspace, arm, WORKLOAD, seconds=0.2, worker=worker, patient=True)
    for evidence in (unclear, clear):
        assert evidence.artifact is not None
        points = workspace.artifacts.get_json(evidence.artifact)["points"]
        assert [point[:2] for point in points] == sorted(point[:2] for point in points)
    # The first of each is the warm-up.
    assert seeds == [0, *range(2, 2 + STRETCH_AGAIN), 0, 2]
    assert (unclear.facts["leak"], clear.facts["leak"]) == (None, 0)


async def test_an_arm_that_answers_nothing_is_an_instrument_error(workspace: Workspace) -> None:
    async def fails(method: str, path: str, body: bytes) -> Answer:
        return 500, b""

    async with serve(fails) as arm, LoadWorker.start(workspace) as worker:
        with pytest.raises(InstrumentError, match="status 500"):
            await measure_memory(workspace, arm, WORKLOAD, seconds=0.2, worker=worker)
