from pathlib import Path

import pytest
from small_server import Answer, serve

from perfcrew.artifacts import Artifacts
from perfcrew.errors import InstrumentError
from perfcrew.records.target import Target, Workload
from perfcrew.stats import recompute
from tools.generator import LoadWorker
from tools.memory import POINTS, SETTLING, measure_memory, memory_evidence
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
    assert len(raw["points"]) == POINTS
    for measurement in evidence.measurements:
        assert recompute(measurement.method, raw) == measurement.value


def points(series: list[float]) -> dict[str, object]:
    return {
        "kind": "memory", "workload": "w", "arm": "base", "commit": "c", "settled": SETTLING,
        "points": [[float(i), 10.0 * i, uss] for i, uss in enumerate(series)],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("series", "leak"),
    [
        ([50 + 0.2 * i for i in range(24)], 1),
        ([50 + 0.01 * i for i in range(24)], 0),
        ([50.0 + 10 * min(i, 5) for i in range(24)], 0),
        ([50.0 + (i % 2) * 8 for i in range(24)], 0),
        ([50.0] * 23 + [90.0], 0),
        ([60 - 0.3 * i for i in range(24)], 0),
    ],
    ids=["steady growth", "too little", "settles", "to and fro", "one jump", "falls"],
)
def test_what_counts_as_a_leak(workspace: Workspace, series: list[float], leak: int) -> None:
    evidence = memory_evidence(workspace, points(series))
    assert evidence.facts["leak"] == leak
    assert ("this is a leak" in evidence.title) is bool(leak)
    assert evidence.facts["peak_mb"] == max(series)


async def test_an_arm_that_answers_nothing_is_an_instrument_error(workspace: Workspace) -> None:
    async def fails(method: str, path: str, body: bytes) -> Answer:
        return 500, b""

    async with serve(fails) as arm, LoadWorker.start(workspace) as worker:
        with pytest.raises(InstrumentError, match="status 500"):
            await measure_memory(workspace, arm, WORKLOAD, seconds=0.2, worker=worker)
