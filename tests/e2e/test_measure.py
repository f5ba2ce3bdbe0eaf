"""`measure` and `compare` on a real server of a page's length: what they find, what they leave, what they touch."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perfcrew.artifacts import Artifacts
from perfcrew.entry.cli import start
from perfcrew.records.survey import Survey
from tests.unit.target_repo import PYTHON, VARIABLES
from tools import process

pytestmark = pytest.mark.app
Said = pytest.CaptureFixture[str]
SERVER = """
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep({sleep})
        body = b"{body}"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "text/plain")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
CONFIG = f"""
[target]
name = "tiny"
start = "{PYTHON} server.py {{port}}"

[[workload]]
name = "home"
users = 2
request = [{{ path = "/" }}]

[[workload]]
name = "other"
users = 1
request = [{{ path = "/other" }}]
"""


async def git(repo: Path, *words: str) -> str:
    done = await process.run(["git", *words], cwd=repo, environment=VARIABLES, timeout=60)
    assert done.ok, done.err
    return done.out.strip()


def write_server(repo: Path, sleep: float, body: str = "word " * 30_000) -> None:
    (repo / "server.py").write_text(SERVER.replace("{sleep}", str(sleep)).replace("{body}", body))


@pytest.fixture
async def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERFCREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "perfcrew.toml").write_text(CONFIG)
    write_server(folder, 0.03)
    for line in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m Slow"):
        await git(folder, *line.split())
    return folder


def only_run(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "home" / "runs").iterdir()
    return folder


def servers() -> list[int]:
    """Servers of ours that still run."""
    running = psutil.process_iter(["cmdline"])
    return [each.pid for each in running if any("server.py" in word for word in each.info["cmdline"] or ())]


def test_measuring_finds_verifies_and_leaves_nothing(repo: Path, tmp_path: Path, capsys: Said) -> None:
    write_server(repo, 5.0)  # not committed, so not measured
    files = {path: path.read_bytes() for path in repo.rglob("*") if path.is_file()}
    words = ["--only", "start", "--only", "load", "--only", "payload", "--quick", "--json", str(tmp_path / "out.json")]
    assert start(["measure", str(repo), *words]) == 0
    survey = Survey.model_validate(json.loads((tmp_path / "out.json").read_text()))
    assert {path: path.read_bytes() for path in repo.rglob("*") if path.is_file()} == files
    assert survey.dirty and any("changes that are not committed" in note for note in survey.notes)
    assert [item.id for item in survey.evidence] == [
        "start@tiny/base", "load@home/base", "payload@home/base", "load@other/base", "payload@other/base",
    ]  # fmt: skip
    asked = {"GET /": ("payload@home/base",), "GET /other": ("payload@other/base",)}
    assert {finding.id: finding.evidence for finding in survey.findings} == {
        f"{kind}@{endpoint}": seen for kind in ("large_payload", "no_compression") for endpoint, seen in asked.items()
    }
    assert all(finding.share is None and finding.unshared for finding in survey.findings)
    (p50,) = [item for item in survey.metrics if item.id == "p50@home/base"]
    assert 30 <= p50.value < 1000
    folder = only_run(tmp_path)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["artifacts", "logs"]
    assert (folder / "measure.html").read_text().startswith("<!doctype html>")
    capsys.readouterr()
    assert start(["verify", "last"]) == 0
    assert "all agree" in capsys.readouterr().out
    raw = Artifacts(folder / "artifacts").path(p50.samples)
    raw.write_bytes(raw.read_bytes()[:-9] + b"tampered!")
    assert start(["verify", "last"]) == 1
    assert not servers()


def test_only_the_named_workload_is_measured(repo: Path, tmp_path: Path) -> None:
    words = ["--workload", "other", "--only", "load", "--quick", "--json", str(tmp_path / "out.json")]
    assert start(["measure", str(repo), *words]) == 0
    made = json.loads((tmp_path / "out.json").read_text())
    assert [row["name"] for row in made["workloads"]] == ["other"]
    assert {row["workload"] for row in made["metrics"]} == {"other"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--workload", "nothing"], "no workload 'nothing'; there is: home, other"),
        (["--config", "nowhere.toml"], "nowhere.toml: not found"),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    repo: Path, tmp_path: Path, capsys: Said, words: list[str], line: str
) -> None:
    assert start(["measure", str(repo), *words]) == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "home" / "runs").exists()


async def test_an_application_that_does_not_start_is_told_once(repo: Path, tmp_path: Path) -> None:
    (repo / "server.py").write_text("raise SystemExit('no database here')\n")
    await git(repo, "commit", "-qam", "Break")
    done = await call(repo, tmp_path, "measure", str(repo))
    assert done.code == 3
    first = done.err.splitlines()[0]
    assert first.startswith("perfcrew: the application does not start: arm base: it ended with exit code 1")
    assert "no database here" in first
    assert done.err.count("the application does not start") == 1


async def call(repo: Path, tmp_path: Path, *words: str) -> process.Finished:
    variables = {**VARIABLES, "PERFCREW_HOME": str(tmp_path / "home")}
    argv = [sys.executable, "-m", "perfcrew", *words]
    return await process.run(argv, cwd=repo, environment=variables, timeout=240)


@pytest.fixture
def foreground() -> Iterator[None]:
    """SIGINT as in the foreground: what a shell starts in the background ignores it, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("foreground")
async def test_ctrl_c_leaves_nothing_behind(repo: Path, tmp_path: Path) -> None:
    log = tmp_path / "said.log"
    variables = {**VARIABLES, "PERFCREW_HOME": str(tmp_path / "home")}
    child = await process.start(
        [sys.executable, "-m", "perfcrew", "measure", str(repo)], cwd=repo, environment=variables, log=log
    )
    try:
        while "ready after" not in log.read_text():
            assert child.alive, log.read_text()
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        os.kill(child.pids()[0], signal.SIGINT)
        for _ in range(400):
            if not child.alive:
                break
            await asyncio.sleep(0.05)
        assert child.code == 3
    finally:
        await child.stop(grace_s=0)
    assert log.read_text().splitlines()[-1] == "perfcrew: stopped"
    assert list((tmp_path / "home" / "runs").iterdir()) == []
    assert not servers()


async def test_comparing_tells_the_faster_from_the_slower(repo: Path, tmp_path: Path) -> None:
    write_server(repo, 0.0)
    words = ["--workload", "home", "--quick", "--within", "60"]
    faster = await call(repo, tmp_path, "compare", "main", str(repo), "--worktree", "--markdown", "-", *words)
    assert (faster.code, faster.out.splitlines()[0]) == (0, "### 🟢 Performance: improved"), faster.err
    await git(repo, "commit", "-qam", "Fast")
    slower = await call(repo, tmp_path, "compare", "HEAD", "HEAD~1", str(repo), "--json", "-", *words)
    made = json.loads(slower.out)
    assert (slower.code, made["outcome"]) == (1, "regressed"), slower.err
    assert [made["base"]["subject"], made["candidate"]["subject"]] == ["Fast", "Slow"]
    done = await call(repo, tmp_path, "verify", made["run_id"])
    assert done.ok, done.err
    assert not servers()


async def test_other_answers_are_a_regression(repo: Path, tmp_path: Path) -> None:
    write_server(repo, 0.03, body="other words")
    words = ["--worktree", "--check-behaviour", "--workload", "home", "--quick", "--within", "20", "--json", "-"]
    done = await call(repo, tmp_path, "compare", "HEAD", str(repo), *words)
    made = json.loads(done.out)
    assert (done.code, made["outcome"]) == (1, "regressed")
    assert made["reason"].startswith("check same answers")
