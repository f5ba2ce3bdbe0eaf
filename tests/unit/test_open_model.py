"""The open model: requests by a timetable, latency from the moment each was due."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from small_server import Answer, serve

from perfcrew.artifacts import Artifacts
from perfcrew.errors import InstrumentError
from perfcrew.records.target import HttpRequest, Target, Workload
from perfcrew.records.work import Criterion
from perfcrew.stats import recompute
from tools import load
from tools.capacity import choose_goals, measure_capacity, stop_for, wanted_rate
from tools.generator import LoadWorker, Round, Stop
from tools.histogram import count_samples, to_histogram
from tools.load import measure_load
from tools.workspace import Workspace

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("load")
    target = Target.model_validate(
        {"target": {"name": "t", "start": "x"}, "workload": [{"name": "w", "request": [{"path": "/"}]}]}
    )
    return Workspace("run", folder, folder, target, "c" * 40, Artifacts(folder / "artifacts"), "machine")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(workspace: Workspace) -> AsyncIterator[LoadWorker]:
    async with LoadWorker.start(workspace) as started:
        yield started


def workload(**fields: object) -> Workload:
    return Workload.model_validate({"name": "w", "request": [{"path": "/"}], **fields})


async def ok(method: str, path: str, body: bytes) -> Answer:
    return 200, b"x" * 100


class Stalling:
    """Answers at once, but for one stall in which everything waits."""

    def __init__(self, after_s: float, stall_s: float) -> None:
        self.after_s, self.stall_s = after_s, stall_s
        self.began = 0.0
        self.waited = 0
        """Requests that came into the stall."""

    async def __call__(self, method: str, path: str, body: bytes) -> Answer:
        now = time.monotonic()
        self.began = self.began or now
        if self.after_s <= now - self.began < self.after_s + self.stall_s:
            self.waited += 1
            await asyncio.sleep(self.began + self.after_s + self.stall_s - now)
        return 200, b""


async def test_what_the_timetable_has_is_sent_whatever_the_server_does(worker: LoadWorker) -> None:
    async with serve(Stalling(0.3, 0.4)) as arm:
        seen = await worker.round(arm.url, workload(rate=50), seconds=1.0, seed=1)
    assert len(arm.asked) == len(seen.requests) == seen.arrivals == 50
    starts = sorted(row[0] for row in seen.requests)
    assert starts == pytest.approx([number / 50 for number in range(50)], abs=1e-5)
    # All that were due in the stall show it, the later the less: 20 requests, not just one.
    assert sum(row[1] > 100 for row in seen.requests) >= 12


async def test_users_hide_the_same_stall(worker: LoadWorker) -> None:
    stalling = Stalling(0.3, 0.4)
    async with serve(stalling) as arm:
        seen = await worker.round(arm.url, workload(users=1, think_s=0.02), seconds=1.0, seed=1)
    # Who waits for an answer asks nothing: one request shows the stall, however many were due.
    assert stalling.waited == 1
    assert max(row[1] for row in seen.requests) > 100


async def test_what_waits_for_a_connection_waits_since_it_was_due(worker: LoadWorker) -> None:
    async with serve(Stalling(0.2, 0.4)) as arm:
        seen = await worker.round(arm.url, workload(rate=50, connections=2), seconds=0.8, seed=1)
    assert len(seen.requests) == 40
    assert seen.connections == arm.connections <= 2
    queued = [row for row in seen.requests if row[8] > 0]
    assert len(queued) >= 10
    assert all(row[1] >= row[8] for row in queued)
    assert max(row[8] for row in queued) > 100


async def test_connections_are_opened_as_they_are_needed_and_used_again(worker: LoadWorker) -> None:
    async with serve(ok) as arm:
        seen = await worker.round(arm.url, workload(rate=40), seconds=0.5, seed=1)
    assert seen.connections == arm.connections < 20
    assert [row[6] for row in sorted(seen.requests)] == [True] + [False] * 19


async def test_a_round_ends_when_its_goals_are_out_of_reach(worker: LoadWorker) -> None:
    async def slow(method: str, path: str, body: bytes) -> Answer:
        await asyncio.sleep(0.1)
        return 200, b""

    async with serve(slow) as arm:
        seen = await worker.round(
            arm.url, workload(rate=50), seconds=20, seed=1, stop=Stop(over_ms=20, slow=5, failed=1000)
        )
    assert seen.stopped and seen.seconds < 10
    assert seen.arrivals < 500


async def test_failures_end_a_round_too(worker: LoadWorker) -> None:
    seen = await worker.round(
        "http://127.0.0.1:1", workload(rate=200), seconds=20, seed=1, stop=Stop(over_ms=1e6, slow=1, failed=10)
    )
    assert seen.stopped and set(seen.failures) == {"ConnectionRefusedError"}


async def test_a_long_queue_of_refused_requests_fails_one_by_one(worker: LoadWorker) -> None:
    seen = await worker.round("http://127.0.0.1:1", workload(rate=5000, connections=1), seconds=0.5, seed=1)
    assert sum(seen.failures.values()) == 2500


async def test_evidence_says_what_was_measured(workspace: Workspace, worker: LoadWorker) -> None:
    async with serve(ok) as arm:
        evidence = await measure_load(workspace, arm, workload(rate=100, connections=8), seconds=0.4, worker=worker)
    # On a busy machine the generator may have been late, which a line before it says: that one, and no other.
    first = evidence.digest.splitlines()[int(evidence.facts["generator_bound"] or 0)]
    assert first.startswith("100 requests a second, due by timetable, over at most 8 connections")
    assert evidence.digest.startswith("DOES NOT COUNT") == bool(evidence.facts["generator_bound"])
    assert "from the moment each was due" in evidence.digest and "(not the first)" in evidence.digest
    assert evidence.artifact is not None
    raw = workspace.artifacts.get_json(evidence.artifact)
    assert raw["rate"] == 100
    assert raw["histogram"] == to_histogram(row[1] for row in raw["requests"] if row[5] and not row[6])
    assert count_samples(raw["histogram"]) == 39
    by_id = {measurement.id: measurement for measurement in evidence.measurements}
    assert by_id["max@w/base"].value >= by_id["p99@w/base"].value
    assert by_id["connections@w/base"].value == raw["connections"] / 40
    assert all(recompute(each.method, raw) == each.value for each in by_id.values())
    assert evidence.facts["bytes_per_response"] == 100


async def test_where_the_generator_was_the_bottleneck_nothing_counts(
    workspace: Workspace, worker: LoadWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = LoadWorker.round

    async def busy(*given: object, **named: object) -> Round:
        seen = await drive(*given, **named)  # type: ignore[arg-type]
        return dataclasses.replace(seen, client_cpu_s=0.95 * seen.seconds)

    monkeypatch.setattr(LoadWorker, "round", busy)
    async with serve(ok) as arm:
        evidence = await load.measure_load(workspace, arm, workload(), seconds=0.2, worker=worker)
    assert evidence.facts["generator_bound"] == 1
    assert "does not count" in evidence.title and evidence.digest.startswith("DOES NOT COUNT")
    said = "the load generator was the bottleneck: it used 95% of its core"
    assert evidence.measurements and all(each.doubt.startswith(said) for each in evidence.measurements)


# --- capacity ---


def goal(metric: str, value: float, comparison: str = "at_most", of: str = "w") -> Criterion:
    return Criterion.model_validate({"metric": metric, "workload": of, "comparison": comparison, "value": value})


async def test_goals_of_a_search() -> None:
    given = [goal("http.p99_ms", 80), goal("http.error_rate", 0.02), goal("http.p95_ms", 9, of="other")]
    assert choose_goals([*given, goal("http.p95_ms", 2, "improve_by")], "w", 5) == [
        ("http.p99_ms", 80), ("http.error_rate", 0.02),
    ]  # fmt: skip
    assert choose_goals([], "w", 5) == [("http.p95_ms", 15), ("http.error_rate", 0.01)]


async def test_the_rate_that_is_asked_for() -> None:
    home = Workload(name="w", request=(HttpRequest(path="/"),))
    given = [goal("http.rps", 80, "at_least"), goal("http.rps", 300, "at_least", of="other"), goal("http.p95_ms", 5)]
    assert wanted_rate(given, home) == 80 and wanted_rate([], home) is None
    assert wanted_rate(given, home.model_copy(update={"rate": 120.0})) == 120


async def test_a_step_stops_only_when_it_is_lost() -> None:
    stop = stop_for([("http.p95_ms", 50.0), ("http.error_rate", 0.01)], 300)
    assert (stop.over_ms, stop.failed) == (50.0, 3)
    # Of 300 requests 15 may be slow and P95 still hold.
    assert 15 <= stop.slow <= 17


async def test_capacity_of_a_server_that_does_one_thing_at_a_time(workspace: Workspace, worker: LoadWorker) -> None:
    turn = asyncio.Lock()

    async def serial(method: str, path: str, body: bytes) -> Answer:
        async with turn:
            await asyncio.sleep(0.02)
        return 200, b""

    async with serve(serial) as arm:
        evidence = await measure_capacity(
            workspace, arm, workload(), [goal("http.p95_ms", 150)], worker=worker, step_s=1.0, limit_s=20
        )
    (measurement,) = evidence.measurements
    assert (measurement.id, measurement.metric) == ("capacity@w/base", "http.capacity_rps")
    # It can't serve more than 50 a second; what waits 150 ms has 7 before it, which in 1 s allow for a little more.
    assert 2 < measurement.value < 65
    assert evidence.artifact is not None
    raw = workspace.artifacts.get_json(evidence.artifact)
    assert recompute(measurement.method, raw) == measurement.value == evidence.facts["capacity_rps"]
    assert any(step["stopped"] for step in raw["steps"])
    assert "misses http.p95_ms" in evidence.digest
    # A miss is tried again, unless the generator was why, as on a busy machine: then it ends the search, and says so.
    bound = bool(evidence.facts["generator_bound"])
    assert bound == ("the load generator was the bottleneck" in evidence.digest)
    assert bound or any(step["again"] for step in raw["steps"])
    assert len(evidence.digest) < 6000


async def test_capacity_is_for_http_workloads(workspace: Workspace, worker: LoadWorker) -> None:
    command = Workload.model_validate({"name": "c", "kind": "command", "command": "x"})
    async with serve(ok) as arm:
        with pytest.raises(InstrumentError, match="http workloads only"):
            await measure_capacity(workspace, arm, command, worker=worker)
