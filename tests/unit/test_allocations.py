"""Allocations: counted exactly, held memory by call site; on an application that keeps and wastes in known places."""

import asyncio
import sys
from pathlib import Path

import pytest
from target_repo import make_workspace

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, unpack_rows
from perfcrew.records.target import HttpRequest, Workload
from perfcrew.stats import recompute
from tools.allocations import allocations_evidence, compile_counter, count_allocations, measure_allocations
from tools.control import ask_processes
from tools.site_growth import compare_sites, peak_sites
from tools.workspace import Workspace

HOARD = """
import json

from fastapi import FastAPI

app = FastAPI()
kept = []


@app.get("/keep")
def keep():
    kept.append(bytearray(20_000))
    return len(kept)


@app.get("/churn/{count}")
def churn(count: int):
    rows = [{"number": number + 0.5} for number in range(count)]
    return len(json.dumps(rows))


@app.get("/lean")
def lean():
    return 1
"""
START = f"{sys.executable} -m uvicorn hoard:app --host 127.0.0.1 --port {{port}} --no-access-log"
THREADED = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    settings = {"start": START, "ready": "/lean", "environment": {"PYTHONDONTWRITEBYTECODE": "1"}}
    return asyncio.run(
        make_workspace(
            tmp_path_factory.mktemp("hoard"), {"hoard.py": HOARD}, {"target": settings}, sandbox=False, quick=True
        )
    )


def workload(*paths: str) -> Workload:
    return Workload(
        name="w", request=tuple(HttpRequest(path=path) for path in paths), params={"count": (500, 1000, 1500)}
    )


@pytest.fixture(scope="module")
def measured(workspace: Workspace) -> Evidence:
    asked = workload("/keep", "/churn/{count}", "/lean")
    return asyncio.run(measure_allocations(workspace, workspace.base_commit, asked, "base"))


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(HOARD.splitlines(), 1) if text in line)


def row_of(evidence: Evidence, kind: str, name: str, value: str) -> Row:
    return next(row for row in unpack_rows(evidence.facts, kind) if value in str(row[name]))


@pytest.mark.app
def test_what_stays_is_named_with_its_size(measured: Evidence) -> None:
    row = unpack_rows(measured.facts, "stays")[0]
    assert row["site"] == f"hoard.py:{line_of('bytearray')}"
    # One of five requests keeps 20 kB.
    assert float(row["kb"] or 0) == pytest.approx(20.03 / 5, rel=0.05)
    assert float(measured.facts["stays_kb_per_request"] or 0) == pytest.approx(4.0, rel=0.3)


@pytest.mark.app
def test_the_peak_of_a_request_is_named(measured: Evidence) -> None:
    peak = row_of(measured, "peak", "endpoint", "/churn/{count}")
    assert float(peak["kb"] or 0) > 100
    assert str(peak["site"]).startswith(f"hoard.py:{line_of('for number in range')}")
    lean = row_of(measured, "peak", "endpoint", "/lean")
    assert float(lean["kb"] or 0) < float(peak["kb"] or 0) / 4


@pytest.mark.app
def test_figures_can_be_computed_again(workspace: Workspace, measured: Evidence) -> None:
    (measurement,) = measured.measurements
    assert measurement.metric == "memory.allocations_per_request"
    assert measured.artifact is not None
    assert recompute(measurement.method, workspace.artifacts.get_json(measured.artifact)) == measurement.value
    assert "perfcrew_tracer" not in measured.digest
    assert len(measured.digest) < 6000 and str(workspace.folder) not in measured.digest
    assert not list(workspace.folder.glob("trace-*"))


@pytest.mark.app
async def test_allocations_are_counted_alike_at_each_start(workspace: Workspace) -> None:
    asked = workload("/churn/{count}")
    first = await count_allocations(workspace, workspace.base_commit, asked)
    again = await count_allocations(workspace, workspace.base_commit, asked)
    assert first == pytest.approx(again, rel=0.02)
    small, middle, large = sorted(set(first))
    # Each row is a dictionary with its table and a float; the number itself comes from the free list or not.
    assert middle - small == pytest.approx(large - middle, rel=0.1)
    assert 2 * 500 <= middle - small <= 12 * 500


@pytest.mark.app
async def test_a_server_that_is_not_traced_is_told_in_a_line(tmp_path: Path) -> None:
    settings = {"start": f"{sys.executable} plain.py {{port}}"}
    plain = await make_workspace(tmp_path, {"plain.py": THREADED}, {"target": settings}, sandbox=False, quick=True)
    for measure in (count_allocations(plain, plain.base_commit, workload("/")),
                    measure_allocations(plain, plain.base_commit, workload("/"), "base")):  # fmt: skip
        with pytest.raises(InstrumentError, match="left a trace") as caught:
            await measure
        assert "\n" not in str(caught.value)


async def test_without_a_compiler_there_is_a_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await make_workspace(tmp_path, {"a.py": ""}, {})
    monkeypatch.setattr("tools.allocations.shutil.which", lambda _: None)
    with pytest.raises(InstrumentError, match="install a C compiler") as caught:
        await compile_counter(here)
    assert "\n" not in str(caught.value)


async def test_what_could_not_be_counted_is_said(tmp_path: Path) -> None:
    here = await make_workspace(tmp_path, {"a.py": ""}, {})
    raw = {
        "kind": "allocations", "workload": "w", "arm": "base", "commit": "c", "requests": 10, "counted": [],
        "note": "no compiler", "before": {}, "after": {}, "peaks": [],
    }  # fmt: skip
    evidence = allocations_evidence(here, raw)
    assert evidence.measurements == () and evidence.facts["allocations_per_request"] is None
    assert "not counted (no compiler)" in evidence.digest


def test_growth_is_by_request_and_by_process() -> None:
    before = {"1": {"sites": [["a.py:1", 5, 1000], ["b.py:2", 9, 9000]]}, "2": {"sites": [["a.py:1", 1, 1000]]}}
    after = {
        "1": {"sites": [["a.py:1", 25, 21000], ["b.py:2", 1, 1000], ["c.py:3", 1, 500]]},
        "2": {"sites": [["a.py:1", 1, 1000]]},
        "3": {"sites": [["late.py:1", 1, 99000]]},
    }
    assert [(site.site, site.kb, site.blocks) for site in compare_sites(before, after, 10)] == [
        ("a.py:1", 2.0, 2.0), ("c.py:3", 0.05, 0.1),
    ]  # fmt: skip


def test_peaks_are_means_of_an_endpoints_requests() -> None:
    line = {"method": "GET", "path": "/a/1", "route": "/a/{n}", "peak_bytes": 4000, "looked_bytes": 3000,
            "sites": [["a.py:1", 2, 2000], ["b.py:1", 1, 1000]]}  # fmt: skip
    (peak,) = peak_sites([line, {**line, "path": "/a/2", "peak_bytes": 2000, "sites": [["b.py:1", 3, 3000]]}])
    assert (peak.endpoint, peak.kb, peak.seen_kb) == ("GET /a/{n}", 3.0, 3.0)
    assert [(site.site, site.kb, site.blocks) for site in peak.sites] == [("b.py:1", 2.0, 2.0), ("a.py:1", 1.0, 1.0)]


async def test_questions_are_answered_by_those_who_live(tmp_path: Path) -> None:
    (tmp_path / "alive-7").touch()
    (tmp_path / "alive-9").touch()

    async def answer() -> None:
        while not (tmp_path / "ask-1.json").exists():
            await asyncio.sleep(0.01)
        (tmp_path / "answer-1-7.json").write_text('{"sites": []}')
        (tmp_path / "answer-1-9.json").write_text('{"error": "no"}')

    answering = asyncio.create_task(answer())
    assert await ask_processes(tmp_path, "held") == {"7": {"sites": []}}
    await answering
