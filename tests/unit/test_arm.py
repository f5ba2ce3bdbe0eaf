"""A real server, started, measured, and gone without trace."""

import asyncio
import contextlib
import json
import os
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import InstrumentError
from tools import git
from tools.arm import Arm, clear_leftovers, start_arm
from tools.launch import run_at
from tools.process_tree import is_running
from tools.sandbox import available
from tools.workspace import Workspace

pytestmark = pytest.mark.app

SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

hoard = []

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name, _, amount = self.path.strip("/").partition("/")
        answer = getattr(self, "do_" + (name or "home"))(int(amount or 0))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def do_home(self, _):
        return {"version": 1, "pid": os.getpid(), "cores": sorted(os.sched_getaffinity(0)),
                "environment": dict(os.environ), "listing": sorted(os.listdir("."))}

    def do_burn(self, milliseconds):
        began = time.process_time()
        while time.process_time() - began < milliseconds / 1000: pass
        return time.process_time()

    def do_forked(self, milliseconds):
        child = os.fork()
        if child == 0:
            self.do_burn(milliseconds)
            os._exit(0)
        os.waitpid(child, 0)
        return 0

    def do_hold(self, megabytes):
        hoard.append(os.urandom(megabytes * 1_000_000))
        return len(hoard)

    def do_litter(self, _):
        open("litter.txt", "w").write("x")
        open(os.environ["DATA"] + "/litter.txt", "w").write("x")
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
        return 0

print("starting", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DESCRIPTION = {
    "target": {"start": f"{PYTHON} server.py {{port}}", "ready": "/", "environment": {"DATA": "{data}"}},
    "database": {"engine": "sqlite"},
}


async def _workspace(folder: Path, **own: Any) -> Workspace:
    description = {**DESCRIPTION, "target": {**DESCRIPTION["target"], **own}}
    return await make_workspace(folder, {"server.py": SERVER, ".gitignore": "*.txt\n"}, description)


async def _get(arm: Arm, path: str) -> Any:
    def ask() -> Any:
        with urllib.request.urlopen(arm.url + path, timeout=60) as reply:
            return json.load(reply)

    return await asyncio.to_thread(ask)


async def test_an_arm_answers_and_leaves_nothing(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)
    async with start_arm(
        workspace, workspace.base_commit, "base", cpus=frozenset({min(os.sched_getaffinity(0))})
    ) as arm:
        home = await _get(arm, "/")
        assert home["version"] == 1 and home["cores"] == [min(os.sched_getaffinity(0))]
        assert home["environment"]["PORT"] == str(arm.port) and home["environment"]["DATA"] == str(arm.data.folder)
        assert "SSH_AUTH_SOCK" not in home["environment"] and "PYTEST_CURRENT_TEST" not in home["environment"]
        assert 0 < arm.ready_seconds < 30
        assert len(list(workspace.processes.iterdir())) == 1
        await _get(arm, "/litter")
        assert (arm.data.folder / "litter.txt").exists()
        pids = arm.pids()
        assert len(pids) == 2 and all("server.py" in psutil.Process(pid).cmdline() for pid in pids)
        folder = arm.data.folder.parent
    assert not folder.exists() and not any(is_running(pid) for pid in pids)
    assert not list(workspace.processes.iterdir())
    async with start_arm(workspace, workspace.base_commit, "base") as again:
        home = await _get(again, "/")
        assert "litter.txt" not in home["listing"], "a later start finds the checkout as committed"


async def test_cpu_time_agrees_with_a_known_burn(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)
    async with start_arm(workspace, workspace.base_commit, "base") as arm:
        claimed_before, before = await _get(arm, "/burn/0"), arm.cpu_seconds()
        claimed_after = await _get(arm, "/burn/400")
        used = arm.cpu_seconds() - before
        assert used == pytest.approx(claimed_after - claimed_before, abs=0.05) and used >= 0.4
        before = arm.cpu_seconds()
        await _get(arm, "/forked/300")
        assert arm.cpu_seconds() - before >= 0.27, "a child that has ended counts"
        idle = arm.cpu_seconds()
        await asyncio.sleep(0.2)
        assert arm.cpu_seconds() - idle < 0.05


async def test_memory_follows_what_is_held(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)
    async with start_arm(workspace, workspace.base_commit, "base") as arm:
        before = arm.uss_mb()
        await _get(arm, "/hold/40")
        assert arm.uss_mb() - before == pytest.approx(40, abs=4)


async def test_two_arms_at_once_share_nothing(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)
    base = await git.worktree_of(workspace, workspace.base_commit)
    work = workspace.folder / "work"
    await git.checkout(workspace.clone, workspace.base_commit, work)
    (work / "server.py").write_text(SERVER.replace('"version": 1', '"version": 2'))
    async with (
        start_arm(workspace, workspace.base_commit, "base") as first,
        start_arm(workspace, workspace.base_commit, "candidate", worktree=work) as second,
    ):
        assert first.port != second.port and first.data.folder != second.data.folder
        assert first.workdir == base and second.workdir not in (base, work)
        assert [(await _get(arm, "/"))["version"] for arm in (first, second)] == [1, 2]
        await _get(second, "/litter")
        assert (second.workdir / "litter.txt").exists()
    assert '"version": 2' in (work / "server.py").read_text(), "a given worktree is never reset"
    assert not (work / "litter.txt").exists() and not second.workdir.exists()


async def test_arms_of_one_version_may_start_together(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)

    async def version() -> int:
        async with start_arm(workspace, workspace.base_commit, "base") as arm:
            return int((await _get(arm, "/"))["version"])

    assert await asyncio.gather(*(version() for _ in range(4))) == [1, 1, 1, 1]


async def test_a_command_runs_beside_an_arm(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)
    async with start_arm(workspace, workspace.base_commit, "base") as arm:
        script = "import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1]).status)"
        done = await run_at(
            workspace, arm.place, f"{PYTHON} -c '{script}' {{url}}", timeout=60, network="host", extra={"url": arm.url}
        )
        assert done.out == "200\n", done.err


async def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    workspace = await _workspace(
        tmp_path, start=f"{PYTHON} -c \"print('one', flush=True); raise SystemExit('no module app')\""
    )
    with pytest.raises(InstrumentError) as caught:
        async with start_arm(workspace, workspace.base_commit, "base"):
            pytest.fail("it never answers")
    first, *rest = str(caught.value).splitlines()
    assert first.startswith("arm base: it ended with exit code 1 before it was ready: no module app (log: ")
    assert rest == ["one", "no module app"]
    assert not list((workspace.data / "arms").iterdir()) and not list(workspace.processes.iterdir())


async def test_what_never_answers_is_given_up(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, start="sleep 600", ready_timeout_s=0.5)
    with pytest.raises(InstrumentError, match=r"not ready after 0\.5 s: nothing listens on its port"):
        async with start_arm(workspace, workspace.base_commit, "base"):
            pytest.fail("it never answers")
    assert not list(workspace.processes.iterdir())


async def test_an_error_status_is_not_ready(tmp_path: Path) -> None:
    failing = SERVER.replace("self.send_response(200)", "self.send_response(503)")
    workspace = await make_workspace(
        tmp_path, {"server.py": failing}, {"target": {**DESCRIPTION["target"], "environment": {}, "ready_timeout_s": 2}}
    )
    with pytest.raises(InstrumentError, match="GET / was answered with status 503"):
        async with start_arm(workspace, workspace.base_commit, "base"):
            pytest.fail("it only fails")


async def test_cancelled_means_gone(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path)
    pids: list[int] = []

    async def hold() -> None:
        async with start_arm(workspace, workspace.base_commit, "base") as arm:
            await _get(arm, "/litter")
            pids.extend(arm.pids())
            await asyncio.sleep(600)

    task = asyncio.create_task(hold())
    async with asyncio.timeout(60):
        while not pids:
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(is_running(pid) for pid in pids)
    assert not list((workspace.data / "arms").iterdir())


async def test_a_target_that_serves_nothing_has_data_only(tmp_path: Path) -> None:
    workload = ({"name": "job", "kind": "command", "command": "true"},)
    workspace = await make_workspace(tmp_path, {}, {"workload": workload})
    async with start_arm(workspace, workspace.base_commit, "base") as arm:
        assert arm.pids() == [] and arm.url == "" and arm.data.folder.is_dir()


async def test_without_the_sandbox_it_works_as_well(tmp_path: Path) -> None:
    workspace = replace(await _workspace(tmp_path), sandbox=False)
    async with start_arm(workspace, workspace.base_commit, "base") as arm:
        await _get(arm, "/litter")
        pids = arm.pids()
        assert (await _get(arm, "/"))["pid"] == pids[0]
    assert not any(is_running(pid) for pid in pids)


async def test_leftovers_of_a_crash_are_cleared(tmp_path: Path) -> None:
    workspace = replace(await _workspace(tmp_path), sandbox=False)
    holder = start_arm(workspace, workspace.base_commit, "base")
    arm = await holder.__aenter__()
    assert arm.process is not None and clear_leftovers(workspace) == 1
    assert not list((workspace.data / "arms").iterdir())
    await asyncio.wait_for(arm.process.wait(), 10)
    with contextlib.suppress(InstrumentError):
        await holder.__aexit__(None, None, None)


@pytest.mark.skipif(not available(), reason="bubblewrap does not work on this machine")
async def test_an_arm_can_not_write_where_it_should_not(tmp_path: Path) -> None:
    reach = (
        "import sys\nfrom pathlib import Path\n"
        "for name in sys.argv[1:]:\n"
        "    try: Path(name).open('a').write('x'); print('written', name)\n"
        "    except OSError: print('refused')\n"
    )
    workspace = await _workspace(tmp_path, start=f"{PYTHON} -c 'raise SystemExit(1)'", test="true")
    (workspace.folder / "journal.jsonl").write_text("{}\n")
    other = await git.worktree_of(workspace, workspace.base_commit)
    work = workspace.folder / "work"
    await git.checkout(workspace.clone, workspace.base_commit, work)
    (work / "reach.py").write_text(reach)
    targets = [
        workspace.folder / "journal.jsonl", workspace.clone / ".git" / "config", workspace.artifacts.folder / "x",
        workspace.data / "pristine" / "app.db", other / "server.py", workspace.home / "quiet.lease",
        tmp_path / "user" / "server.py", work / ".git",
    ]  # fmt: skip
    start = f"{PYTHON} reach.py " + " ".join(map(str, targets))
    target = workspace.target.model_copy(update={"target": workspace.target.target.model_copy(update={"start": start})})
    before = [path.read_bytes() if path.is_file() else b"" for path in targets]
    with pytest.raises(InstrumentError) as caught:
        async with start_arm(replace(workspace, target=target), workspace.base_commit, "candidate", worktree=work):
            pytest.fail("it serves nothing")
    # Below the private /tmp a write may seem to succeed; it must never arrive.
    assert str(caught.value).count("refused") >= len(targets) - 1
    assert [path.read_bytes() if path.is_file() else b"" for path in targets] == before
