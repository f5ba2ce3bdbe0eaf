"""Event-loop lag: how late the loop is, and the stacks that held it, on servers that hold it in known ways."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, unpack_rows
from perfcrew.records.target import HttpRequest, Workload
from perfcrew.stats import recompute
from tools.event_loop import loop_evidence, measure_event_loop, read_lags, sum_holds
from tools.workspace import Workspace

LOOPY = """
import asyncio
import time

from fastapi import FastAPI

app = FastAPI()


@app.get("/asleep")
async def sleep_here():
    time.sleep(0.08)
    return 1


@app.get("/burnt")
async def burn_here():
    first_part()
    second_part()
    return 1


def first_part():
    end = time.thread_time() + 0.04
    while time.thread_time() < end:
        pass


def second_part():
    end = time.thread_time() + 0.08
    while time.thread_time() < end:
        pass


@app.get("/fine")
async def wait_politely():
    await asyncio.sleep(0.002)
    return 1
"""

BARE = """
import asyncio
import sys
import time


async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    nap()
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    await writer.drain()
    writer.close()


def nap():
    time.sleep(0.06)


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
"""

THREADED = """
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *words):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

UVICORN = f"{sys.executable} -m uvicorn loopy:app --host 127.0.0.1 --port {{port}} --no-access-log"
BARE_PY, THREADED_PY = f"{sys.executable} bare.py {{port}}", f"{sys.executable} threaded.py {{port}}"


async def measure(folder: Path, start: str, path: str, users: int = 2) -> Evidence:
    files = {"loopy.py": LOOPY, "bare.py": BARE, "threaded.py": THREADED}
    settings = {"start": start, "ready": path, "environment": {"PYTHONDONTWRITEBYTECODE": "1"}}
    workspace = await make_workspace(folder, files, {"target": settings}, sandbox=False, quick=True)
    workload = Workload(name="w", users=users, request=(HttpRequest(path=path),))
    return await measure_event_loop(workspace, workspace.base_commit, workload, "base")


def holds(evidence: Evidence) -> list[Row]:
    return unpack_rows(evidence.facts, "hold")


def line_of(text: str, source: str) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if text in line)


@pytest.mark.app
async def test_a_sleep_on_the_loop_is_named_as_waiting(tmp_path: Path) -> None:
    evidence = await measure(tmp_path, UVICORN, "/asleep")
    row = holds(evidence)[0]
    assert row["site"] == f"loopy.py:{line_of('time.sleep', LOOPY)} sleep_here"
    assert row["state"] == "waiting (sleep or I/O)"
    assert float(row["share"] or 0) > 0.5
    assert float(evidence.facts["max_ms"] or 0) > 60
    assert "sleep_here" in evidence.digest and str(tmp_path) not in evidence.digest


@pytest.mark.app
async def test_computing_is_told_from_waiting_and_each_line_gets_its_part(tmp_path: Path) -> None:
    evidence = await measure(tmp_path, UVICORN, "/burnt")
    parts: dict[str, float] = {}
    for row in holds(evidence):
        assert row["state"] == "computing"
        name = str(row["site"]).partition(" ")[2]
        parts[name] = parts.get(name, 0.0) + float(row["share"] or 0)
    # One takes twice as long as the other; a stretch credited to one of its lines would show only that one.
    assert 0 < parts["first_part"] < parts["second_part"]


@pytest.mark.app
async def test_a_loop_that_nobody_holds_has_little_lag(tmp_path: Path) -> None:
    evidence = await measure(tmp_path, UVICORN, "/fine", users=1)
    # On a busy machine the whole process stands still at times; what holds a loop by itself does so most of the time.
    assert float(evidence.facts["held_share"] or 0) < 0.5
    assert not [row for row in holds(evidence) if row["own"] and float(row["share"] or 0) > 0.2]


@pytest.mark.app
async def test_any_asyncio_program_is_watched(tmp_path: Path) -> None:
    evidence = await measure(tmp_path, BARE_PY, "/")
    assert holds(evidence)[0]["site"] == f"bare.py:{line_of('time.sleep', BARE)} nap"
    assert not list((tmp_path / "run").glob("trace-*"))


@pytest.mark.app
async def test_a_server_without_loop_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="no event loop of asyncio's or Node's") as caught:
        await measure(tmp_path, THREADED_PY, "/")
    assert "\n" not in str(caught.value)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return asyncio.run(make_workspace(tmp_path, {"a.py": ""}, {}))


def test_only_the_loads_own_time_counts() -> None:
    lines: list[dict[str, Any]] = [
        {"kind": "lag", "beats": [[9.9, 500.0], [10.0, 1.0], [11.0, 2.0], [12.1, 400.0]]},
        {"kind": "held", "at": 9.0, "ms": 500.0, "looks": [["f (a.py:1)", 500, 0, 0]]},
        {"kind": "held", "at": 10.5, "ms": 50.0, "looks": [["g (a.py:2)", 50, 50, 50]]},
        {"kind": "request", "number": 1},
    ]
    assert read_lags(lines, 10.0, 12.0) == {"lags_ms": [1.0, 2.0], "held": [[50.0, [["g (a.py:2)", 50, 50, 50]]]]}


def test_looks_are_credited_to_the_lines_that_they_saw() -> None:
    loop = "_run_once (/lib/python3.11/asyncio/base_events.py:9)"
    held = [
        [100.0, [[f"{loop};view (/srv/a.py:3);dump (/lib/python3.11/json/__init__.py:1)", 70.0, 70.0, 70.0],
                 [f"{loop};view (/srv/a.py:9)", 30.0, 0.0, 29.0]]],
        [50.0, [[f"{loop};select (/lib/python3.11/selectors.py:4)", 50.0, 1.0, 2.0]]],
    ]  # fmt: skip
    found = sum_holds(held, "/srv")
    assert [(hold.site, hold.own, hold.ms, hold.state) for hold in found] == [
        ("a.py:3 view", True, 70.0, "computing"),
        ("selectors.py:4 select", False, 50.0, "waiting (sleep or I/O)"),
        ("a.py:9 view", True, 30.0, "waiting while other threads compute"),
    ]
    assert found[0].stack == "view (a.py:3) > dump (json/__init__.py:1)"


def test_figures_can_be_computed_again(workspace: Workspace) -> None:
    raw = {
        "kind": "loop", "workload": "w", "arm": "base", "commit": "c", "users": 2, "root": "/srv", "seconds": 2.0,
        "requests": 7, "lags_ms": [float(n) for n in range(101)], "held": [[100.0, [["f (/srv/a.py:1)", 90, 80, 85]]]],
    }  # fmt: skip
    evidence = loop_evidence(workspace, raw)
    assert {item.metric: item.value for item in evidence.measurements} == {
        "loop.lag_p50_ms": 50.0, "loop.lag_p95_ms": 95.0, "loop.lag_max_ms": 100.0,
    }  # fmt: skip
    assert all(recompute(item.method, raw) == item.value for item in evidence.measurements)
    assert evidence.facts["held_share"] == 0.05
    assert len(evidence.digest) < 4000
