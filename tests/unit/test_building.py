"""A version's build: made once, in a copy, without network; its failure costs the candidate and nothing else."""

from pathlib import Path

import pytest

from perfcrew.errors import InstrumentError
from tests.unit.target_repo import PYTHON, VARIABLES, make_workspace
from tools import process
from tools.arm import start_arm
from tools.building import built, check_build
from tools.target_tests import run_tests
from tools.workspace import Workspace

BUILD = """
import pathlib, sys
source = pathlib.Path("page.src").read_text()
if "broken" in source:
    sys.exit("page.src: unexpected end")
pathlib.Path("dist").mkdir(exist_ok=True)
pathlib.Path("dist/page.html").write_text(source.upper())
with open("times", "a") as file:
    file.write("x")
"""
SERVE = """
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
    def __init__(self, *words): super().__init__(*words, directory="dist")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
TESTS = "assert (open('dist/page.html').read(), open('times').read()) == ('HELLO', 'x')"
FILES = {"build.py": BUILD, "serve.py": SERVE, "tests.py": TESTS, "page.src": "hello"}
TARGET = {
    "target": {
        "build": f"{PYTHON} build.py", "start": f"{PYTHON} serve.py {{port}}", "test": f"{PYTHON} tests.py",
        "ready": "/page.html",
    }
}  # fmt: skip


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    return await make_workspace(tmp_path, FILES, TARGET)


async def change(workspace: Workspace, text: str) -> str:
    user = workspace.folder.parent / "user"
    (user / "page.src").write_text(text)
    for folder, words in (
        (user, "commit --quiet --all -m Change"),
        (workspace.clone, f"fetch --quiet {user} HEAD"),
        (user, "rev-parse HEAD"),
    ):
        done = await process.run(["git", *words.split()], cwd=folder, environment=VARIABLES, timeout=60)
        assert done.ok, done.err
    return done.out.strip()


async def test_arms_and_tests_get_what_the_build_made(workspace: Workspace) -> None:
    for _ in range(2):
        async with start_arm(workspace, workspace.base_commit, "base") as arm:
            assert (arm.workdir / "dist" / "page.html").read_text() == "HELLO"
            assert (arm.workdir / "times").read_text() == "x", "built once, started from a copy"
            (arm.workdir / "times").write_text("an arm wrote here")
    assert (await run_tests(workspace, workspace.base_commit, "base")).facts["passed_all"] == 1
    assert not (workspace.worktrees / workspace.base_commit[:12] / "dist").exists()


async def test_a_build_that_fails_is_a_gate_with_its_words(workspace: Workspace) -> None:
    assert (await check_build(workspace, workspace.base_commit)).passed
    broken = await change(workspace, "broken")
    check = await check_build(workspace, broken)
    assert not check.passed
    assert check.detail.startswith("the build failed: ")
    assert "page.src: unexpected end" in check.detail.splitlines()[0]
    with pytest.raises(InstrumentError, match="the build failed"):
        async with start_arm(workspace, broken, "candidate"):
            pass
    assert (await built(workspace, workspace.base_commit)).is_dir()
