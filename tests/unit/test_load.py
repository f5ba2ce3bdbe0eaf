import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from small_server import Answer, serve

from perfcrew.artifacts import Artifacts
from perfcrew.errors import InstrumentError
from perfcrew.records.target import Target, Workload
from perfcrew.stats import recompute
from tools import generator
from tools.load import LoadWorker, measure_load, split_cores, tell_failures, warm_up
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
    return Workload.model_validate({"name": "w", "users": 2, "request": [{"path": "/"}], **fields})


async def ok(method: str, path: str, body: bytes) -> Answer:
    return 200, b"x" * 100


async def test_equal_seeds_ask_both_arms_the_same(worker: LoadWorker) -> None:
    load_of = workload(users=1, params={"n": list(range(50))}, request=[{"path": "/{n}"}, {"path": "/b/{n}"}])
    async with serve(ok) as one, serve(ok) as two, serve(ok) as three:
        for arm, seed in ((one, 3), (two, 3), (three, 4)):
            await worker.round(arm.url, load_of, seconds=0.3, seed=seed)
    both = min(len(one.asked), len(two.asked), len(three.asked))
    assert both > 3
    assert one.asked[:both] == two.asked[:both] != three.asked[:both]


async def test_every_request_is_in_the_raw_samples(worker: LoadWorker) -> None:
    async with serve(ok) as arm:
        seen = await worker.round(arm.url, workload(users=3), seconds=0.2, seed=1)
    assert len(seen.requests) == len(arm.asked)
    assert arm.connections == 3, "connections are kept alive, one a user"
    assert sum(bool(row[6]) for row in seen.requests) == 3
    assert len(seen.latencies) == len(arm.asked) - 3
    assert {row[3] for row in seen.requests} == {100}
    assert (seen.errors, seen.cut) == (0, 0)
    assert 0.2 <= seen.seconds < 2


async def test_latency_is_what_the_server_took(worker: LoadWorker) -> None:
    async def slow(method: str, path: str, body: bytes) -> Answer:
        await asyncio.sleep(0.06)
        return 200, b"slow"

    async with serve(slow) as arm:
        seen = await worker.round(arm.url, workload(), seconds=0.3, seed=1)
    assert all(row[1] >= 60 for row in seen.requests)
    # A busy machine adds to some; what the instrument itself added would be in all of them.
    assert min(seen.latencies) < 120


async def test_a_slow_round_waits_for_each_user_to_have_a_second_answer(worker: LoadWorker) -> None:
    async def slow(method: str, path: str, body: bytes) -> Answer:
        await asyncio.sleep(0.25)
        return 200, b""

    async with serve(slow) as arm:
        seen = await worker.round(arm.url, workload(users=4), seconds=0.05, seed=1)
    assert len(seen.requests) == 8
    assert len(seen.latencies) == 4


async def test_requests_without_an_answer_are_cut_and_counted(
    worker: LoadWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def hang(method: str, path: str, body: bytes) -> Answer:
        nonlocal asked
        asked += 1
        if asked > 3:
            await asyncio.sleep(60)
        return 200, b""

    monkeypatch.setattr(generator, "DRAIN_S", 0.3)
    async with serve(hang) as arm:
        # Long enough for both users to ask once more, however slow the machine.
        seen = await worker.round(arm.url, workload(), seconds=0.6, seed=1)
    assert seen.cut == 2
    assert seen.errors == 2
    assert "2 × cut" in tell_failures(seen)


async def test_failures_are_told_by_kind_and_left_out_of_latencies(worker: LoadWorker) -> None:
    async def fails(method: str, path: str, body: bytes) -> Answer:
        return (500 if path == "/bad" else 201), b""

    load_of = workload(request=[{"path": "/bad"}, {"path": "/made", "expect": [201]}, {"path": "/wrong"}])
    async with serve(fails) as arm:
        seen = await worker.round(arm.url, load_of, seconds=0.2, seed=1)
    assert set(seen.failures) == {"status 500", "status 201"}
    assert seen.errors == sum(seen.failures.values())
    assert len(seen.latencies) <= len(seen.requests) - seen.errors


async def test_refused_connections_do_not_spin(worker: LoadWorker) -> None:
    seen = await worker.round("http://127.0.0.1:1", workload(users=1), seconds=0.4, seed=1)
    assert set(seen.failures) == {"ConnectionRefusedError"}
    assert len(seen.requests) < 12


async def test_users_think(worker: LoadWorker) -> None:
    async with serve(ok) as arm:
        seen = await worker.round(arm.url, workload(users=4, think_s=0.1), seconds=0.6, seed=1)
    # About 0.1 s between one user's requests: without thinking there would be hundreds.
    assert 8 <= len(seen.requests) <= 60


async def test_held_out_requests_replace_and_keep(worker: LoadWorker) -> None:
    load_of = workload(params={"n": ["a"]}, request=[{"path": "/{n}"}], held_out={"params": {"n": ["held"]}})
    async with serve(ok) as arm:
        await worker.round(arm.url, load_of, seconds=0.05, seed=1, held_out=True)
    assert {line for line, _ in arm.asked} == {"GET /held"}


async def test_large_bodies_arrive_whole(worker: LoadWorker) -> None:
    async def large(method: str, path: str, body: bytes) -> Answer:
        return 200, b"y" * 3_000_000

    async with serve(large) as arm:
        seen = await worker.round(arm.url, workload(), seconds=0.05, seed=1)
    assert {row[3] for row in seen.requests} == {3_000_000}


async def test_json_bodies_are_posted(worker: LoadWorker) -> None:
    load_of = workload(params={"n": [5]}, request=[{"method": "POST", "path": "/", "json": {"n": "{n}"}}])
    async with serve(ok) as arm:
        await worker.round(arm.url, load_of, seconds=0.05, seed=1)
    assert set(arm.asked) == {("POST /", b'{"n":5}')}


async def test_warm_up_refuses_a_workload_that_nothing_answers(worker: LoadWorker) -> None:
    async def missing(method: str, path: str, body: bytes) -> Answer:
        return 404, b""

    async with serve(missing) as arm:
        with pytest.raises(InstrumentError, match=r"no request was answered as expected .* status 404"):
            await warm_up(worker, arm.url, workload())


async def test_measure_load_gives_figures_that_can_be_computed_again(workspace: Workspace, worker: LoadWorker) -> None:
    async with serve(ok) as arm:
        evidence = await measure_load(workspace, arm, workload(), seconds=0.3, worker=worker)
    assert (evidence.id, evidence.kind) == ("load@w/base", "load")
    assert evidence.artifact is not None
    raw = workspace.artifacts.get_json(evidence.artifact)
    by_id = {measurement.id: measurement for measurement in evidence.measurements}
    assert set(by_id) >= {"p50@w/base", "p95@w/base", "rps@w/base", "cpu@w/base", "error_rate@w/base"}
    for measurement in by_id.values():
        assert recompute(measurement.method, raw) == measurement.value
    assert by_id["p50@w/base"].value <= by_id["p95@w/base"].value
    assert by_id["rps@w/base"].value == pytest.approx(len(raw["requests"]) / raw["seconds"])
    assert raw["warm_up_requests"] > 0 and "to warm up" in evidence.digest
    assert len(arm.asked) == raw["warm_up_requests"] + len(raw["requests"])


async def test_measure_load_starts_a_generator_of_its_own(workspace: Workspace) -> None:
    async with serve(ok) as arm:
        evidence = await measure_load(workspace, arm, workload(), seconds=0.1)
    assert evidence.facts["rps"] > 0  # type: ignore[operator]


async def test_a_generator_that_ended_is_an_instrument_error(workspace: Workspace) -> None:
    async with LoadWorker.start(workspace) as worker:
        worker._channel._writer.write(b"no json\n")
        with pytest.raises(InstrumentError, match="the load generator"):
            await worker.round("http://127.0.0.1:1", workload(), seconds=0.1, seed=1)


async def test_cores_are_split_as_far_as_there_are_enough() -> None:
    arms, generator = split_cores()
    assert arms and len(generator) == 1
    assert not arms & generator or arms == generator
