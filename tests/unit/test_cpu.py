"""CPU profiles of running servers: Python by py-spy, Node by V8's profiler; anything else is named in a line."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, unpack_rows
from perfcrew.records.target import HttpRequest, Workload
from tools.cpu import Pace, find_runtime, measure_cpu
from tools.node_profile import read_profiles
from tools.process_output import Finished
from tools.spy import find_spy, record_stacks
from tools.stacks import parse_stacks
from tools.workspace import Workspace

PYTHON_APP = """
import hashlib

from fastapi import FastAPI

app = FastAPI()


@app.get("/burn")
def burn_here():
    return {"digest": work(20_000)}


@app.get("/pack")
def pack_here():
    return {"digest": hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 20_000).hex()}


def work(rounds):
    digest = b""
    for number in range(rounds):
        digest = hashlib.md5(digest + b"%d" % number).digest()
    return digest.hex()
"""

NODE_APP = """
const http = require('node:http')

function spin (rounds) {
  let total = 0
  for (let number = 0; number < rounds; number++) total += Math.sqrt(number % 1000)
  return total
}

function answer (request, response) {
  const total = spin(3e6)
  response.end(String(total))
}

http.createServer(answer).listen(Number(process.env.PORT), '127.0.0.1')
"""


async def measure(folder: Path, start: str, paths: tuple[str, ...], **more: Any) -> Evidence:
    files = {"shop.py": PYTHON_APP, "shop.js": NODE_APP}
    settings = {"start": start, "ready": paths[0], "environment": {"PYTHONDONTWRITEBYTECODE": "1"}}
    workspace = await make_workspace(folder, files, {"target": settings}, sandbox=False, quick=True, **more)
    workload = Workload(name="w", users=2, request=tuple(HttpRequest(path=path) for path in paths))
    return await measure_cpu(workspace, workspace.base_commit, workload, "base")


def row_of(evidence: Evidence, kind: str, name: str, value: str) -> Row:
    return next(row for row in unpack_rows(evidence.facts, kind) if value in str(row[name]))


def line_of(text: str, source: str) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if text in line)


@pytest.mark.app
async def test_python_by_function_line_route_and_native_frame(tmp_path: Path) -> None:
    start = f"{sys.executable} -m uvicorn shop:app --host 127.0.0.1 --port {{port}} --no-access-log"
    evidence = await measure(tmp_path, start, ("/burn", "/pack"))
    assert float(row_of(evidence, "hot", "name", "work")["cpu_share"] or 0) > 0.1
    spinning = [row for row in unpack_rows(evidence.facts, "line") if row["name"] == "work"]
    assert {row["line"] for row in spinning} <= {line_of("for number", PYTHON_APP), line_of("md5(", PYTHON_APP)}
    assert float(row_of(evidence, "spent", "endpoint", "GET /burn")["cpu_share"] or 0) > 0.1
    assert unpack_rows(evidence.facts, "native"), "md5 and its allocations are C code"
    assert {"rps_loss", "cpu_added"} <= evidence.facts.keys()
    assert "the profiler's cost, beside load without it" in evidence.digest
    assert "GET /burn" in evidence.digest and str(tmp_path) not in evidence.digest
    assert len(evidence.digest) < 8000


@pytest.mark.app
@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
async def test_node_by_function_and_line(tmp_path: Path) -> None:
    evidence = await measure(tmp_path, "node shop.js", ("/",))
    assert evidence.facts["runtime"] == "node"
    hot = row_of(evidence, "hot", "name", "spin")
    assert (hot["path"], hot["line"]) == ("shop.js", line_of("for (let", NODE_APP))
    assert float(hot["cpu_share"] or 0) > 0.5
    # Less than a core beside other work; Node's own threads (compiler, garbage collector) work beside the script's.
    assert 0.05 < float(evidence.facts["busy"] or 0) <= (os.cpu_count() or 1)
    assert not list((tmp_path / "run").glob("trace-*"))


@pytest.mark.app
async def test_another_runtime_is_named_in_a_line(tmp_path: Path) -> None:
    perl = shutil.which("perl")
    if perl is None:
        pytest.skip("perl is not installed")
    script = (
        "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], "
        'Listen => 9, ReuseAddr => 1); while (my $c = $s->accept) { while (my $l = <$c>) { last if $l eq "\\r\\n" } '
        'print $c "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok"; close $c }'
    )
    settings = {"start": f"{perl} server.pl {{port}}"}
    workspace = await make_workspace(tmp_path, {"server.pl": script}, {"target": settings}, sandbox=False, quick=True)
    workload = Workload(name="w", request=(HttpRequest(path="/"),))
    with pytest.raises(InstrumentError, match="no Python process and no Node but perl") as caught:
        await measure_cpu(workspace, workspace.base_commit, workload, "base")
    assert "\n" not in str(caught.value)


def test_processes_that_are_gone_are_no_runtime() -> None:
    with pytest.raises(InstrumentError, match="no Python process and no Node; others"):
        find_runtime([1_999_999])


def test_without_py_spy_there_is_a_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tools.spy.sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setattr("tools.spy.shutil.which", lambda _: None)
    with pytest.raises(InstrumentError, match="remedy: pip install py-spy"):
        find_spy()


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    return await make_workspace(tmp_path, {"a.py": ""}, {})


async def test_without_ptrace_there_is_a_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    async def refused(*_: Any, **__: Any) -> Finished:
        return Finished(1, "", "Error: Permission Denied: Try running again with elevated permissions\n", 0.1, False)

    monkeypatch.setattr("tools.spy.run", refused)
    with pytest.raises(InstrumentError, match=r"may not attach.*ptrace_scope") as caught:
        await record_stacks(workspace, "py-spy", 1, "--gil", 1)
    assert "\n" not in str(caught.value)


def test_overhead_compares_load_with_and_without() -> None:
    pace = Pace()
    pace.rps["without"], pace.rps["with"] = [100.0, 100.0], [90.0, 100.0]
    pace.cpu_ms["without"], pace.cpu_ms["with"] = [10.0], [11.0]
    assert pace.overhead() == {"rps_loss": pytest.approx(0.05), "cpu_added": pytest.approx(0.1)}
    assert Pace().overhead() == {}


def node(number: int, name: str, url: str = "", line: int = -1, **more: Any) -> dict[str, Any]:
    return {"id": number, "callFrame": {"functionName": name, "url": url, "lineNumber": line}, **more}


def test_v8_profiles_become_stacks() -> None:
    profile = {
        "startTime": 0, "endTime": 100_000, "samples": [2, 4, 4, 5, 2],
        "timeDeltas": [0, 40_000, 20_000, 20_000, 10_000],
        "nodes": [
            node(1, "(root)", children=[2, 3, 5]), node(2, "(idle)"),
            node(3, "handle", "file:///srv/my%20app/a.js", 4, children=[4]),
            node(4, "", "file:///srv/my%20app/a.js", 8,
                 positionTicks=[{"line": 10, "ticks": 3}, {"line": 9, "ticks": 1}]),
            node(5, "(garbage collector)"),
        ],
    }  # fmt: skip
    read = read_profiles([profile])
    assert read.busy_s == pytest.approx(0.05)
    assert read.seconds == 0.1
    stacks = {
        tuple(frame.place for frame in frames): count for frames, count in parse_stacks(read.stacks, "/srv/my app")
    }
    assert stacks == {("a.js handle", "a.js (anonymous:9)"): 40, ("node:v8 garbage collector",): 10}
    assert parse_stacks(read.stacks, "/srv/my app")[0][0][-1].line == 10


def test_packages_of_node_are_not_the_targets() -> None:
    text = "handle (/srv/app/node_modules/express/lib/router.js:3);view (/srv/app/src/v.js:2) 5"
    ((frames, _),) = parse_stacks(text, "/srv/app")
    assert [(frame.path, frame.own) for frame in frames] == [("express/lib/router.js", False), ("src/v.js", True)]
