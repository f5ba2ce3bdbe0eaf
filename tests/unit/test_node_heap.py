"""Node's heap: what grows is named by constructor and line, what is only allocated is not taken for growth."""

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
from tools.heap_growth import compare_snapshots, sum_sampling, sum_snapshot
from tools.node_heap import measure_heap

LEAKY = """
const http = require('node:http')

class Ticket { constructor (number) { this.number = number; this.words = new Array(200).fill(number) } }
const kept = []

function keep () {
  for (let number = 0; number < 5; number++) kept.push(new Ticket(number))
}

function churn () {
  const rows = []
  for (let number = 0; number < 5000; number++) rows.push({ number, half: number + 0.5 })
  return rows.length
}

http.createServer((request, response) => {
  keep()
  response.end(String(churn()))
}).listen(Number(process.env.PORT), '127.0.0.1')
"""

SERVE = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


async def measure(folder: Path, start: str) -> Evidence:
    files = {"leaky.js": LEAKY, "serve.py": SERVE}
    workspace = await make_workspace(folder, files, {"target": {"start": start}}, sandbox=False, quick=True)
    workload = Workload(name="w", users=2, request=(HttpRequest(path="/"),))
    return await measure_heap(workspace, workspace.base_commit, workload, "base")


def row_of(evidence: Evidence, kind: str, site: str) -> Row:
    return next(row for row in unpack_rows(evidence.facts, kind) if site in str(row["site"]))


@pytest.mark.app
@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
async def test_what_grows_is_named(tmp_path: Path) -> None:
    # V8 charges what an inlined function allocates to its caller.
    evidence = await measure(tmp_path, "node --no-turbo-inlining leaky.js")
    ticket = row_of(evidence, "grown", "Ticket")
    assert float(ticket["objects"] or 0) == pytest.approx(5, rel=0.1)
    # Five tables of 200 entries of 8 bytes, and a little around them.
    assert float(evidence.facts["grown_kb_per_request"] or 0) == pytest.approx(8.5, rel=0.4)
    assert str(unpack_rows(evidence.facts, "stays")[0]["site"]) in ("leaky.js:4 Ticket", "leaky.js:7 keep")
    assert unpack_rows(evidence.facts, "allocated")[0]["site"] == "leaky.js:11 churn"
    assert len(evidence.digest) < 6000 and str(tmp_path) not in evidence.digest
    assert not list((tmp_path / "run").glob("trace-*"))


@pytest.mark.app
async def test_a_python_server_is_sent_to_the_other_instrument(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="runs Python") as caught:
        await measure(tmp_path, f"{sys.executable} serve.py {{port}}")
    assert "\n" not in str(caught.value)


def snapshot(*nodes: tuple[str, str, int]) -> dict[str, Any]:
    kinds = ["hidden", "array", "string", "object", "closure", "synthetic"]
    strings = [name for _, name, _ in nodes]
    flat = [value for at, (kind, _, size) in enumerate(nodes) for value in (kinds.index(kind), at, 7, size)]
    meta = {"node_fields": ["type", "name", "id", "self_size"], "node_types": [kinds, "string", "number", "number"]}
    return {"snapshot": {"meta": meta}, "nodes": flat, "strings": strings}


def test_snapshots_are_summed_by_constructor() -> None:
    sums = sum_snapshot(snapshot(
        ("object", "Ticket", 32), ("object", "Ticket", 32), ("string", "hello", 24), ("array", "x", 800),
        ("closure", "f", 64), ("hidden", "system", 999), ("synthetic", "(GC roots)", 0),
    ))  # fmt: skip
    assert sums == {"Ticket": (2, 64), "(string)": (1, 24), "(array)": (1, 800), "(closure)": (1, 64)}


def test_growth_is_by_request_and_what_shrank_is_left_out() -> None:
    before = {"Ticket": (10, 320), "(string)": (5, 5000)}
    after = {"Ticket": (110, 3520), "(string)": (1, 100), "Late": (1, 100)}
    assert [(one.name, one.kb, one.objects) for one in compare_snapshots([(before, after)], 10)] == [
        ("Ticket", 0.32, 10.0), ("Late", 0.01, 0.1),
    ]  # fmt: skip


def test_sampled_bytes_go_to_the_targets_innermost_line() -> None:
    def node(name: str, url: str, line: int, size: int, *children: Any) -> dict[str, Any]:
        return {"callFrame": {"functionName": name, "url": url, "lineNumber": line}, "selfSize": size,
                "children": list(children)}  # fmt: skip

    library = node("parse", "/srv/app/node_modules/qs/lib.js", 3, 2000)
    head = node(
        "(root)", "", -1, 0, node("view", "file:///srv/app/a.js", 9, 1000, library), node("gc", "node:v8", 0, 500)
    )
    found = [(one.name, one.kb) for one in sum_sampling([{"head": head}], "/srv/app", 1)]
    assert found == [("a.js:10 view", 3.0), ("node:v8:1 gc", 0.5)]
