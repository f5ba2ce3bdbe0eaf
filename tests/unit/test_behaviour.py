"""Versions that answer alike pass; what differs is found: in answers, after writes, at once, held out, not starting."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.evidence import Check, Evidence
from perfcrew.records.target import HttpRequest
from tools import git
from tools.behaviour import compare_behaviour, run_checks
from tools.probing import _append_history, _read_history, compare_request
from tools.workspace import Workspace

pytestmark = pytest.mark.app

COUNTER = """
import json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

counts = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name = self.path.strip("/")
        self.answer({"name": name, "count": counts.get(name, 0), "length": len(name)})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        name = self.path.strip("/")
        counts[name] = counts.get(name, 0) + 1
        self.answer({"count": counts[name]}, 201)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
CACHED = COUNTER.replace("counts = {}", "counts = {}\nseen = {}").replace(
    'self.answer({"name": name, "count": counts.get(name, 0), "length": len(name)})',
    'self.answer(seen.setdefault(name, {"name": name, "count": counts.get(name, 0), "length": len(name)}))',
)
KEYED = COUNTER.replace('"length": len(name)', '"length": {"a": 1, "bb": 2}.get(name, 0)')
SHARED = COUNTER.replace("name = self.path.strip(\"/\")\n        self.answer({\"name\": name", "import time\n        "
                         "Handler.name = name = self.path.strip(\"/\")\n        time.sleep(0.02)\n        "
                         "self.answer({\"name\": Handler.name")  # fmt: skip
CROWDED = COUNTER.replace("name = self.path.strip(\"/\")\n        self.answer({\"name\": name", "import time\n        "
                          "name = self.path.strip(\"/\")\n        Handler.flying = getattr(Handler, 'flying', 0) + 1\n"
                          "        time.sleep(0.02)\n        crowd = Handler.flying > 1\n        Handler.flying -= 1\n"
                          "        self.answer({\"crowd\": crowd, \"name\": name")  # fmt: skip
CALM = CROWDED.replace("Handler.flying > 1", "False")
BROKEN = "raise SystemExit('no such module')"
CHECK = """
import sys, urllib.request
assert sys.argv[1] != sys.argv[2]
print("asked", urllib.request.urlopen(sys.argv[1] + "/a").status)
sys.exit(int(sys.argv[3]))
"""
TARGET: Mapping[str, Any] = {
    "target": {"start": f"{PYTHON} counter.py {{port}}", "ready": "/ready", "ready_timeout_s": 20},
    "workload": ({
        "name": "read", "request": ({"path": "/{name}"},), "params": {"name": ("a", "bb")},
        "held_out": {"params": {"name": ("ccc",)}},
    },),
    "probe": (
        {"name": "write", "request": ({"path": "/w"}, {"method": "POST", "path": "/w"}, {"path": "/w"})},
    ),
    "check": (
        {"name": "passes", "command": f"{PYTHON} check.py {{url}} {{base_url}} 0"},
        {"name": "fails", "command": f"{PYTHON} check.py {{url}} {{base_url}} 3"},
    ),
}  # fmt: skip

OPEN = {
    "start-up does no more work", "same answers: read", "same answers: probe write", "same answers around writes",
    "same answers to odd requests", "same answers, several at once", "same answers under load",
    "same answers, writes at once",
}  # fmt: skip
"""What the coder may be told of."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    files = {"counter.py": COUNTER, "check.py": CHECK}
    return asyncio.run(make_workspace(tmp_path_factory.mktemp("counter"), files, TARGET))


async def change(workspace: Workspace, name: str, source: str) -> str:
    """A commit with another version of the server."""
    folder = workspace.worktrees / name
    await git.checkout(workspace.clone, workspace.base_commit, folder)
    (folder / "counter.py").write_text(source)
    return await git.commit(folder, name, "2025-01-01T00:00:00Z")


async def compare(workspace: Workspace, source: str, *, held_out: bool) -> tuple[dict[str, Check], Evidence]:
    candidate = await change(workspace, f"candidate-{abs(hash(source))}-{held_out}", source)
    checks, evidence = await compare_behaviour(workspace, workspace.base_commit, candidate, held_out=held_out)
    return {check.name: check for check in checks}, evidence


async def test_the_users_checks_judge_by_exit_code_and_keep_their_details(workspace: Workspace) -> None:
    candidate = await change(workspace, "checked", COUNTER + "\n# checked\n")
    passes, fails = await run_checks(workspace, workspace.base_commit, candidate)
    assert (passes.passed, passes.detail) == (True, "asked 200")
    assert not fails.passed
    assert fails.held_out
    assert "asked" not in fails.shown


def test_probes_with_any_text_are_remembered_as_they_were(tmp_path: Path) -> None:
    texts = ("a\u2028b", "c\r\nd\x85", "ü")
    asked = [HttpRequest(method="POST", path="/w", json_body={"title": text}) for text in texts]
    for request in asked:
        _append_history(tmp_path / "history.jsonl", request)
    assert _read_history(tmp_path / "history.jsonl") == asked


async def test_equal_versions_pass_every_comparison(workspace: Workspace) -> None:
    checks, evidence = await compare(workspace, COUNTER + "\n# changed nothing\n", held_out=True)
    assert all(check.passed for check in checks.values())
    assert set(checks) == {*OPEN, "same answers: read, held out"}
    assert [name for name, check in checks.items() if check.held_out] == ["same answers: read, held out"]
    assert (evidence.facts["equal"], evidence.facts["failed"], evidence.facts["checks"]) == (1, 0, 9)
    assert evidence.artifact is not None
    raw = workspace.artifacts.get_json(evidence.artifact)
    assert sum(item["requests"] for item in raw["comparisons"]) == evidence.facts["requests"]


async def test_without_held_out_nothing_hidden_runs(workspace: Workspace) -> None:
    checks, evidence = await compare(workspace, COUNTER + "\n# changed nothing\n", held_out=False)
    assert set(checks) == OPEN
    assert evidence.facts["equal"] == 1


async def test_a_stale_cache_is_found_by_the_write(workspace: Workspace) -> None:
    checks, _ = await compare(workspace, CACHED, held_out=False)
    assert checks["same answers: read"].passed
    assert not checks["same answers around writes"].passed
    assert checks["same answers: probe write"].detail == "GET /w: /count: 1 became 0"


async def test_answers_keyed_on_the_workload_are_found_held_out(workspace: Workspace) -> None:
    checks, _ = await compare(workspace, KEYED, held_out=True)
    assert checks["same answers: read"].passed
    assert checks["same answers: read, held out"].detail == "GET /ccc: /length: 3 became 0"


async def test_state_shared_between_threads_is_found(workspace: Workspace) -> None:
    checks, _ = await compare(workspace, SHARED, held_out=False)
    assert checks["same answers: read"].passed
    assert not checks["same answers, several at once"].passed


async def test_what_only_load_brings_out_is_found_unless_the_base_shows_it_too(tmp_path: Path) -> None:
    files = {"counter.py": CALM, "check.py": CHECK}
    told = []
    for name, base in (("calm", CALM), ("crowded", CROWDED)):
        own = await make_workspace(tmp_path / name, {**files, "counter.py": base}, TARGET)
        checks, _ = await compare(own, CROWDED + "\n", held_out=False)
        told.append(checks["same answers under load"])
    assert "/crowd: false became true" in told[0].detail
    assert [check.passed for check in told] == [False, True], told


async def test_a_candidate_that_does_not_start_is_a_failed_check(workspace: Workspace) -> None:
    checks, evidence = await compare(workspace, BROKEN, held_out=False)
    (check,) = checks.values()
    assert (check.name, check.passed) == ("the candidate starts", False)
    assert "no such module" in check.detail
    assert evidence.facts["equal"] == 0


async def test_a_base_that_does_not_start_is_no_verdict(workspace: Workspace) -> None:
    broken = await change(workspace, "broken-base", BROKEN)
    with pytest.raises(InstrumentError, match="no such module"):
        await compare_behaviour(workspace, broken, workspace.base_commit, held_out=False)


async def test_an_uncommitted_worktree_can_be_compared(workspace: Workspace) -> None:
    folder: Path = workspace.worktrees / "uncommitted"
    await git.checkout(workspace.clone, workspace.base_commit, folder)
    (folder / "counter.py").write_text(CACHED)
    base = workspace.base_commit
    checks, _ = await compare_behaviour(workspace, base, base, held_out=False, worktree=folder)
    assert not all(check.passed for check in checks)


async def test_a_models_requests_build_on_each_other(workspace: Workspace) -> None:
    candidate = await change(workspace, "probed", CACHED)
    mine = replace(workspace, candidate=candidate, folder=workspace.folder)
    outputs = [
        await compare_request.call(arguments, mine)
        for arguments in ({"path": "/x"}, {"method": "POST", "path": "/x", "body": {"n": 1}}, {"path": "/x"})
    ]
    assert [output.evidence[0].facts["equal"] for output in outputs] == [1, 1, 0]
    assert outputs[2].content.startswith("DIFFERENT: GET /x: /count: 1 became 0")
    assert outputs[2].evidence[0].id == "behaviour@GET /x/candidate"
    assert "The base answered 200" in outputs[2].content


async def test_without_a_candidate_there_is_nothing_to_compare(workspace: Workspace) -> None:
    with pytest.raises(ToolError, match="no candidate"):
        await compare_request.call({"path": "/x"}, workspace)
