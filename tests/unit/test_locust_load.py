import asyncio
import contextlib
import dataclasses
import socket
import sys
from pathlib import Path

import pytest
from small_server import Answer, SmallArm, serve
from target_repo import make_workspace

from graphs.instruments import take_memory
from perfcrew.errors import InstrumentError, UserError
from perfcrew.records.facts import unpack_rows
from perfcrew.records.target import Workload
from perfcrew.stats import recompute
from tools import process
from tools.cpu import measure_cpu
from tools.load import measure_load
from tools.load_host import lend_host, read_address
from tools.locust_load import LoadWorkers
from tools.workspace import Workspace

LOCUSTFILE = """
from locust import FastHttpUser, HttpUser, constant, events, task

from shared import PATH


@events.init_command_line_parser.add_listener
def add_greeting(parser):
    parser.add_argument("--greeting", default="hello")


@events.test_start.add_listener
def greet(environment, **kwargs):
    print("greeting", environment.parsed_options.greeting, flush=True)


class Reader(FastHttpUser):
    wait_time = constant(0.01)

    @task(3)
    def read(self):
        self.client.get(PATH, name="/read")

    @task
    def check(self):
        with self.client.get("/wrong", catch_response=True) as response:
            response.failure("too short")


class Old(HttpUser):
    wait_time = constant(0.01)

    @task
    def miss(self):
        self.client.get("/missing")
"""
OTHER_USER = """
class Other(HttpUser):
    @task
    def ask(self):
        self.client.get("/other")
"""
FILES = {"load/locustfile.py": LOCUSTFILE, "load/shared.py": "PATH = '/read'\n"}


async def answer(method: str, path: str, body: bytes) -> Answer:
    return (404 if path == "/missing" else 200), b"x" * 50


def locust(**fields: object) -> Workload:
    return Workload.model_validate({"name": "w", "kind": "locust", "locustfile": "load/locustfile.py", **fields})


def http(**fields: object) -> Workload:
    return Workload.model_validate(
        {"name": "w", "request": [{"path": "/{n}"}], "params": {"n": list(range(50))}, **fields}
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.app
async def test_a_users_locustfile_runs_as_it_is(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, FILES, {})
    async with serve(answer) as arm:
        evidence = await measure_load(workspace, arm, locust(users=4), seconds=1.0)
    assert evidence.artifact is not None
    raw = workspace.artifacts.get_json(evidence.artifact)
    assert sorted(raw["names"]) == ["GET /missing", "GET /read", "GET /wrong"]
    assert set(raw["failures"]) == {"status 404", "CatchResponseError: too short"}
    # The server saw what Locust reports, but for requests that were under way when their user was stopped.
    assert 0 <= len(arm.asked) - raw["warm_up_requests"] - len(raw["requests"]) <= 4 + 2
    assert {row[3] for row in raw["requests"]} == {50}
    assert any(row[1] != round(row[1]) for row in raw["requests"]), "response times are not rounded"
    by_id = {measurement.id: measurement for measurement in evidence.measurements}
    assert all(recompute(each.method, raw) == each.value for each in by_id.values())
    assert by_id["p95@w/base"].instrument.startswith("locust ")
    assert "connections@w/base" not in by_id, "who opens connections is the locustfile's own affair"
    assert evidence.digest.startswith("4 users of load/locustfile.py")
    assert "greeting hello" in (workspace.folder / "logs" / "locust_worker.log").read_text()


@pytest.mark.app
async def test_the_locustfile_of_the_base_commit_runs(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, FILES, {})
    with pytest.raises(InstrumentError, match=r"load/other\.py is not in the base commit .*; commit it"):
        await measure_load(workspace, SmallArm("http://127.0.0.1:1"), locust(locustfile="load/other.py"), seconds=0.2)


@pytest.mark.app
async def test_the_held_out_locustfile_asks_otherwise(tmp_path: Path) -> None:
    other = LOCUSTFILE.replace("self.client.get(PATH", 'self.client.get("/unseen"').replace("/missing", "/unknown")
    workspace = await make_workspace(tmp_path, {**FILES, "load/held_out.py": other}, {})
    workload = locust(users=2, held_out={"locustfile": "load/held_out.py"})
    async with serve(answer) as arm:
        evidence = await measure_load(workspace, arm, workload, seconds=0.5, held_out=True)
    assert evidence.id == "load@w (held out)/base"
    asked = {line for line, _ in arm.asked}
    assert "GET /unseen" in asked and "GET /read" not in asked
    assert evidence.digest.startswith("2 users of load/held_out.py")


SPINNING = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEPT = []


def spin():
    return sum(number * number for number in range(100_000))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        KEPT.append(b"x" * 100_000)
        body = str(spin()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.app
async def test_cpu_and_memory_are_measured_under_a_locustfile(tmp_path: Path) -> None:
    simple = "from locust import FastHttpUser, task\n\nclass U(FastHttpUser):\n    @task\n    def ask(self):\n"
    files = {"server.py": SPINNING, "load/locustfile.py": f"{simple}        self.client.get('/')\n"}
    settings = {"start": "python3 server.py {port}"}
    workspace = await make_workspace(tmp_path, files, {"target": settings}, quick=True)
    workload = locust(users=2)
    cpu = await measure_cpu(workspace, workspace.base_commit, workload, "base")
    hottest = max(unpack_rows(cpu.facts, "hot"), key=lambda row: float(row["cpu_share"] or 0))
    assert str(hottest["path"]) == "server.py" and float(cpu.facts["busy"] or 0) > 0.2
    assert "the profiler's cost, beside load without it" in cpu.digest
    memory = await take_memory(workspace, workspace.base_commit, workload, "base")
    assert memory.artifact is not None
    raw = workspace.artifacts.get_json(memory.artifact)
    assert len(raw["points"]) > 20
    served = [point[1] for point in raw["points"]]
    assert served == sorted(served) and served[-1] > served[0]
    assert float(memory.facts["growth_kb_per_request"] or 0) == pytest.approx(100, rel=0.2)
    assert memory.facts["leak"] == 1


@pytest.mark.app
async def test_a_missing_module_is_told_with_its_remedy(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, {"load/locustfile.py": "import faker_of_things\n"}, {})
    with pytest.raises(InstrumentError, match="--with faker_of_things") as caught:
        await measure_load(workspace, SmallArm("http://127.0.0.1:1"), locust(), seconds=0.2)
    assert "\n" not in str(caught.value)


@pytest.mark.app
async def test_a_locustfile_that_nothing_answers_is_told(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, FILES, {})
    with pytest.raises(InstrumentError, match=r"no request succeeded .*; check load/locustfile\.py"):
        await measure_load(workspace, SmallArm("http://127.0.0.1:1"), locust(), seconds=0.2)


@pytest.mark.app
async def test_two_workers_share_users_and_timetables(tmp_path: Path) -> None:
    """Worker processes as on other hosts; they know nothing but an address."""
    workspace = await make_workspace(tmp_path, FILES, {})
    port = free_port()
    workspace = dataclasses.replace(workspace, load_workers=f"2@127.0.0.1:{port}")
    said: list[str] = []
    modules = tmp_path / "user" / "load"
    lending = [lend_host(f"127.0.0.1:{port}", said.append, modules=modules) for _ in range(2)]
    hosts = [asyncio.create_task(each) for each in lending]
    try:
        await _measure_from_two(workspace)
    finally:
        for host in hosts:
            host.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*hosts)
    assert said == [f"ready for 127.0.0.1:{port}; end with Ctrl-C"] * 2


async def _measure_from_two(workspace: Workspace) -> None:
    for workload, requests in ((http(rate=60, connections=20), 60), (http(users=4), None), (locust(users=4), None)):
        async with serve(answer) as arm:
            evidence = await measure_load(workspace, arm, workload, seconds=1.0)
        assert evidence.artifact is not None
        raw = workspace.artifacts.get_json(evidence.artifact)
        assert raw["workers"] == 2
        if requests is not None:
            assert len(raw["requests"]) == requests == raw["arrivals"]
            assert {line for line, _ in arm.asked} <= {f"GET /{n}" for n in range(50)}
        if workload.kind == "http":
            assert raw["connections"] <= 20 and not raw["failures"] and raw["cut"] == 0
            assert len(arm.asked) == raw["warm_up_requests"] + len(raw["requests"])


LEFT_OVER = """
import sys
from pathlib import Path

import locust.main

sys.argv = ["locust", "-f", sys.argv[2], "--worker", "--master-host", "127.0.0.1", "--master-port", sys.argv[1]]
locust.main.main()
"""


@pytest.mark.app
async def test_a_worker_of_an_earlier_measurement_makes_room(tmp_path: Path) -> None:
    """One that missed the end of its own has other files, and stood for a worker of the next one."""
    workspace = await make_workspace(tmp_path, FILES, {})
    port = free_port()
    workspace = dataclasses.replace(workspace, load_workers=f"1@127.0.0.1:{port}")
    earlier = tmp_path / "earlier.py"
    sent = (Path(process.__file__).parent / "locust_samples.py").read_text()
    earlier.write_text(f"{sent}\n\nfrom locust import HttpUser, task\n{OTHER_USER}")
    argv = [sys.executable, "-c", LEFT_OVER, str(port), str(earlier)]
    left_over = await process.start(argv, cwd=tmp_path, environment={}, log=tmp_path / "log")
    host = asyncio.create_task(lend_host(f"127.0.0.1:{port}", lambda _: None, modules=tmp_path / "user" / "load"))
    try:
        async with serve(answer) as arm:
            evidence = await measure_load(workspace, arm, http(users=4), seconds=1.0)
        assert await left_over.wait() == 0
    finally:
        host.cancel()
        await left_over.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await host
    assert evidence.artifact is not None
    raw = workspace.artifacts.get_json(evidence.artifact)
    assert raw["workers"] == 1
    assert len(arm.asked) == raw["warm_up_requests"] + len(raw["requests"]) + raw["cut"]


@pytest.mark.app
async def test_workers_that_do_not_come_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = await make_workspace(tmp_path, FILES, {})
    workspace = dataclasses.replace(workspace, load_workers=f"1@127.0.0.1:{free_port()}")
    monkeypatch.setattr("tools.locust_load.READY_S", 0.5)
    with pytest.raises(InstrumentError, match=r"0 of 1 load workers are connected; .*perfcrew load-worker"):
        await measure_load(workspace, SmallArm("http://127.0.0.1:1"), http(), seconds=0.2)


@pytest.mark.parametrize(
    ("setting", "workers"),
    [
        ("", None),
        ("2@10.0.0.5", LoadWorkers(2, "10.0.0.5", 5557)),
        ("1@bench.example:6000", LoadWorkers(1, "bench.example", 6000)),
        ("3@[fe80::1]:6000", LoadWorkers(3, "[fe80::1]", 6000)),
    ],
)
def test_the_setting(setting: str, workers: LoadWorkers | None) -> None:
    assert LoadWorkers.read(setting) == workers


@pytest.mark.parametrize("setting", ["2", "0@h", "two@h", "2@", "2@h:", "2@h:p"])
def test_a_setting_that_is_none_is_told_in_a_line(setting: str) -> None:
    with pytest.raises(UserError, match=r"^PERFCREW_LOAD_WORKERS: expected COUNT@ADDRESS\[:PORT\].*$"):
        LoadWorkers.read(setting)


def test_arms_are_asked_at_the_address_that_workers_see() -> None:
    workers = LoadWorkers(1, "10.0.0.5")
    assert workers.reach("http://127.0.0.1:8000/x") == "http://10.0.0.5:8000/x"
    assert workers.reach("http://localhost:8000") == "http://10.0.0.5:8000"
    assert workers.reach("http://other.example:80") == "http://other.example:80"


def test_addresses_of_load_worker() -> None:
    assert read_address("10.0.0.5") == ("10.0.0.5", 5557)
    assert read_address("[::1]:6000") == ("::1", 6000)
    with pytest.raises(UserError, match="load-worker: expected HOST or HOST:PORT"):
        read_address("a b")
