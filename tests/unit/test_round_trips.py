"""The delay proxy passes bytes on unchanged and late; distance to the database is seen by endpoint."""

import asyncio
import contextlib
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from target_repo import make_workspace
from test_explain_postgres import _has_postgres

from perfcrew.errors import InstrumentError
from perfcrew.records.facts import number, unpack_rows
from perfcrew.records.target import HttpRequest, Workload
from perfcrew.stats import recompute
from tools.database import close_databases
from tools.requests import Asked
from tools.round_trips import measure_round_trips, start_proxy, sum_distances, to_rows
from tools.server import Server, reroute
from tools.workspace import Workspace

FAR = """
import os
import psycopg
from fastapi import FastAPI

URL = os.environ["DATABASE_URL"]
app = FastAPI()
connection = psycopg.connect(URL, autocommit=True)


@app.get("/loop")
async def ask_twenty_times():
    return [connection.execute("SELECT 1").fetchone()[0] for _ in range(20)]


@app.get("/none")
async def ask_nothing():
    return []
"""
TARGET = {
    "target": {
        "start": f"{sys.executable} -m uvicorn far:app --host 127.0.0.1 --port {{port}} --no-access-log",
        "ready": "/none",
        "environment": {"DATABASE_URL": "{database_url}", "PYTHONDONTWRITEBYTECODE": "1"},
    },
    "database": {"engine": "postgresql"},
}
WORKLOAD = Workload(name="far", request=(HttpRequest(path="/loop"), HttpRequest(path="/none", weight=3)))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """The server's user must reach its data: pytest's own folders are for their owner only."""
    folder = Path(tempfile.mkdtemp(prefix="perfcrew-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100_000):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def ask(port: int, data: bytes) -> tuple[bytes, float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    writer.write(data)
    writer.write_eof()
    got = await reader.read(-1)
    writer.close()
    return got, time.perf_counter() - began


@pytest.mark.app
async def test_bytes_come_through_unchanged_and_late(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, {}, {})
    sent = bytes(range(256)) * 8000
    async with echoing() as port, start_proxy(workspace, ("127.0.0.1", port)) as proxy:
        assert (await ask(proxy.port, sent))[0] == sent
        await proxy.set_delay(100)
        got, seconds = await ask(proxy.port, sent)
        assert got == sent
        assert seconds >= 0.2, "100 ms each way at least, however busy the machine"
        several = await asyncio.gather(*(ask(proxy.port, b"x") for _ in range(8)))
        assert [got for got, _ in several] == [b"x"] * 8
        await proxy.set_delay(0)
        assert (await ask(proxy.port, b"x"))[0] == b"x"
        listening = proxy.port
    with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", listening), timeout=1):
        pass


TRIES = 3
"""A virtual machine that was just suspended may have cores whose clocks differ by parts of a millisecond."""


@pytest.mark.app
async def test_a_server_that_is_gone_closes_the_connection(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, {}, {})
    async with echoing() as port:
        pass
    async with start_proxy(workspace, ("127.0.0.1", port)) as proxy:
        # Closed before the question's end was sent is "not connected", which is no ConnectionError.
        with contextlib.suppress(OSError):
            assert (await ask(proxy.port, b"x"))[0] == b""


@pytest.mark.app
@pytest.mark.skipif(not _has_postgres(), reason="PostgreSQL's server programs are not installed")
async def test_a_loop_of_queries_costs_by_distance(open_folder: Path) -> None:
    workspace: Workspace = await make_workspace(open_folder, {"far.py": FAR}, TARGET, sandbox=False)
    try:
        for _ in range(TRIES):
            evidence = await measure_round_trips(workspace, workspace.base_commit, WORKLOAD, "base")
            if number(evidence.facts, "rtt_ms") >= 0.8:
                break
    finally:
        await close_databases(workspace)
    rows = {str(row["endpoint"]): row for row in unpack_rows(evidence.facts, "far")}
    assert number(evidence.facts, "rtt_ms") >= 0.8
    # Each of the 20 statements waits one round trip of at least 1 ms, however late the machine is.
    assert number(rows["GET /loop"], "added_ms") > 15
    assert number(rows["GET /loop"], "added_ms") > 5 * abs(number(rows["GET /none"], "added_ms"))
    (measurement,) = evidence.measurements
    raw = workspace.artifacts.get_json(measurement.samples)
    assert recompute(measurement.method, raw) == pytest.approx(measurement.value)
    assert "waits for the database" in evidence.digest


async def test_a_file_has_no_distance(tmp_path: Path) -> None:
    for described in ({"database": {"engine": "sqlite"}}, {}):
        workspace = await make_workspace(tmp_path / str(len(described)), {}, described)
        with pytest.raises(InstrumentError, match=r"no server but a file, so distance to it does not apply$"):
            await measure_round_trips(workspace, workspace.base_commit, WORKLOAD, "base")


def test_medians_are_weighted_as_the_mix() -> None:
    asked = [Asked("GET", "/a?x=1", "GET /a", template=0), Asked("GET", "/a?x=2", "GET /a", template=0),
             Asked("GET", "/b", "GET /b", template=1, weight=3)]  # fmt: skip
    times = {"near": [[1.0, 1.0, 2.0], [1.0, 3.0, 2.0], [9.0, 3.0, 2.0]], "far": [[11.0, 13.0, 2.0]] * 3}
    raw = sum_distances(asked, times)
    assert raw["added"] == [10.0, 10.0, *[0.0] * 6]
    first, second = to_rows({**raw, "rtt_ms": 2.0})
    assert (first["endpoint"], first["near_ms"], first["added_ms"], first["round_trips"]) == ("GET /a", 2.0, 10.0, 5.0)
    assert second["round_trips"] == 0.0


def test_an_url_is_led_through_the_proxy() -> None:
    assert reroute("postgresql://a:b%40c@db.example:5432/x?y=1", 7) == "postgresql://a:b%40c@127.0.0.1:7/x?y=1"
    assert Server("mysql://a:b@db.example/x", False, "mysql").address == ("db.example", 3306)
    assert Server("postgresql://h:1/x", False).address == ("h", 1)
