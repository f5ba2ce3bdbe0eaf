"""Waits for database connections: seen where the pool is small, not where it is large."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace
from test_tracer import run_python

from perfcrew.errors import InstrumentError
from perfcrew.records.target import HttpRequest, Workload
from perfcrew.stats import recompute
from tools.pool import measure_pool, pool_evidence, sum_checkouts
from tools.traces import read_trace
from tools.workspace import Workspace

POOLED = """
import os, time
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

URL = os.environ["DATABASE_URL"]
narrow = create_engine(URL, pool_size=1, max_overflow=0)
wide = create_engine(URL, pool_size=20)
none = create_engine(URL, poolclass=NullPool)
app = FastAPI()


def hold(engine):
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        time.sleep(0.03)
    return "done"


@app.get("/narrow")
def use_narrow():
    return hold(narrow)


@app.get("/wide")
def use_wide():
    return hold(wide)


@app.get("/none")
def use_none():
    return hold(none)


@app.get("/bare")
def use_no_database():
    return "done"
"""
TARGET = {
    "target": {
        "start": f"{sys.executable} -m uvicorn pooled:app --host 127.0.0.1 --port {{port}} --no-access-log",
        "ready": "/bare",
        "environment": {"DATABASE_URL": "{database_url}", "PYTHONDONTWRITEBYTECODE": "1"},
    },
    "database": {"engine": "sqlite", "file": "pooled.db"},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("pooled")
    return asyncio.run(make_workspace(folder, {"pooled.py": POOLED}, TARGET, sandbox=False, quick=True))


def workload(path: str) -> Workload:
    return Workload(name=path[1:], users=4, request=(HttpRequest(path=path),))


@pytest.mark.app
async def test_a_small_pool_keeps_requests_waiting(workspace: Workspace) -> None:
    evidence = await measure_pool(workspace, workspace.base_commit, workload("/narrow"), "base")
    # Four users share one connection that each holds for 30 ms: three of four wait at any time.
    assert float(evidence.facts["pool_wait_share"] or 0) > 0.4
    assert (evidence.facts["held_max"], evidence.facts["capacity"]) == (1, 1)
    assert evidence.facts["full_share"] == 1.0
    assert "keeps 1, 1 at most" in evidence.digest
    assert {item.id for item in evidence.measurements} == {
        "pool_wait@narrow/base", "pool_wait_max@narrow/base", "pool_full@narrow/base",
    }  # fmt: skip
    for item in evidence.measurements:
        assert recompute(item.method, workspace.artifacts.get_json(item.samples)) == pytest.approx(item.value)


@pytest.mark.app
async def test_a_large_pool_and_one_that_keeps_nothing(workspace: Workspace) -> None:
    wide = await measure_pool(workspace, workspace.base_commit, workload("/wide"), "base")
    assert float(wide.facts["pool_wait_share"] or 0) < 0.4, "of the small pool it is more"
    assert (wide.facts["full_share"], wide.facts["capacity"]) == (0.0, 30)
    none = await measure_pool(workspace, workspace.base_commit, workload("/none"), "base")
    assert none.facts["opens_per_request"] == 1.0
    assert none.facts["capacity"] is None
    assert "keeps no connection for the next request" in none.digest


@pytest.mark.app
async def test_no_pool_is_one_line(workspace: Workspace) -> None:
    with pytest.raises(InstrumentError, match="no connection was taken from a pool that is watched"):
        await measure_pool(workspace, workspace.base_commit, workload("/bare"), "base")
    command = Workload(name="c", kind="command", command="true")
    with pytest.raises(InstrumentError, match="sends no requests"):
        await measure_pool(workspace, workspace.base_commit, command, "base")


def checkout(number: int, **more: Any) -> tuple[str, dict[str, Any]]:
    line = {"kind": "checkout", "pool": "P", "number": number, "held": 1, "size": 2, "most": 2, "wait_ms": 5.0,
            "open_ms": 0.0, "at": 0.0}  # fmt: skip
    return "1", {**line, **more}


def request(number: int, process: str = "1", ended: float = 5.0) -> tuple[str, dict[str, Any]]:
    return process, {"kind": "request", "number": number, "ms": 20.0, "ended": ended}


def test_checkouts_belong_to_the_requests_of_their_process() -> None:
    lines = [checkout(1), checkout(1, wait_ms=2.0, held=2), checkout(2, open_ms=3.0, wait_ms=0.0), checkout(3)]
    lines += [request(1), request(2), request(1, process="2"), request(3, ended=20.0), ("1", {"kind": "blocked"})]
    raw = sum_checkouts(lines, 0.0, 10.0)
    assert raw["waits_ms"] == [7.0, 0.0, 0]
    assert raw["opens_ms"] == [0.0, 3.0, 0]
    assert raw["full"] == [0, 1, 0]
    assert raw["pools"] == ["P: keeps 2, 2 at most"]


def test_shares_are_of_the_requests_time(tmp_path: Path, workspace: Workspace) -> None:
    raw = sum_checkouts([checkout(1), request(1), request(2)], 0.0, 10.0)
    raw |= {"kind": "pool", "workload": "w", "arm": "base", "commit": "c", "users": 1}
    evidence = pool_evidence(workspace, raw)
    assert evidence.facts["pool_wait_share"] == pytest.approx(5 / 40)
    assert evidence.facts["waited_share"] == 0.5


PSYCOPG_POOL = """
import threading, time
import psycopg_pool
from flask import Flask

class Connection:
    pass

app = Flask(__name__)
pool = psycopg_pool.ConnectionPool("x", min_size=1, max_size=1, open=False)


def ready(self, timeout):
    time.sleep(0.02)
    return object()


# No server here: only the way to a connection is asked.
psycopg_pool.ConnectionPool._getconn_unchecked = ready
psycopg_pool.ConnectionPool._check_connection = lambda self, connection: None


@app.route("/a")
def a():
    pool.getconn()
    return "done"


assert app.test_client().get("/a").data
"""


@pytest.mark.app
async def test_psycopg_pool_is_watched(tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(PSYCOPG_POOL)
    done = await run_python(tmp_path, "asking.py", trace=tmp_path / "trace", watch="pool")
    assert done.ok, done.err
    lines = [line for path in (tmp_path / "trace").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert any('"pool":"psycopg_pool"' in line and '"most":1' in line for line in lines), lines
    assert [line["path"] for line in read_trace(tmp_path / "trace").requests] == ["/a"]
