"""A version of an application that a host looks at call by call, and patches in a copy."""

from pathlib import Path
from typing import Any

import pytest
from target_repo import VARIABLES, make_repo

from graphs import comparing
from graphs.desk import FOLDER, Desk, clear_abandoned
from graphs.runs import list_runs
from perfcrew.entry.mcp.desk_tools import ComparePatch, PublishPatch, compare_patch, publish_patch
from perfcrew.entry.mcp.offer import Host
from perfcrew.errors import InstrumentError, ToolError
from perfcrew.settings import Settings, load_settings
from tools.edit import show_changes, write_file
from tools.knowledge import query_graph
from tools.process import run
from tools.source import read_file

DESCRIPTION = """
[target]
name = "shop"
start = "serve {port}"
[[workload]]
name = "w"
[[workload.request]]
path = "/"
"""
FILES = {"perfcrew.toml": DESCRIPTION, "shop.py": "def sell():\n    return 1\n"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PERFCREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return load_settings()


@pytest.fixture
async def repo(tmp_path: Path) -> Path:
    await make_repo(tmp_path / "shop", FILES)
    return tmp_path / "shop"


async def git(repo: Path, *words: str) -> str:
    done = await run(["git", *words], cwd=repo, environment=VARIABLES, timeout=60)
    assert done.ok, done.err
    return done.out


async def test_it_follows_head_and_leaves_nothing(repo: Path, settings: Settings) -> None:
    desk = Desk(repo, None, settings)
    first = await desk.workspace(mapped=True)
    assert "shop.sell" in (await query_graph.call({"start": "sell"}, first)).content
    assert await desk.workspace() is first
    (repo / "shop.py").write_text("def buy():\n    return 2\n")
    await git(repo, "commit", "--quiet", "-a", "-m", "Second")
    second = await desk.workspace()
    assert "buy" in (await read_file.call({"path": "shop.py"}, second)).content
    assert not first.folder.exists()
    assert list_runs(settings.home) == []
    await desk.aclose()
    assert list((settings.home / FOLDER).iterdir()) == []


async def test_a_patch_lands_in_a_copy_until_it_is_published(repo: Path, settings: Settings) -> None:
    host = Host(settings, repo, writes=True)
    with pytest.raises(ToolError, match="nothing was changed yet"):
        await publish_patch(PublishPatch(title="Sell more"), host, print)
    workspace = await host.desk.patched()
    with pytest.raises(ToolError, match="protected"):
        await write_file.call({"path": "perfcrew.toml", "content": "x"}, workspace)
    await write_file.call({"path": "shop.py", "content": "def sell():\n    return 3\n"}, workspace)
    assert "+    return 3" in (await show_changes.call({}, await host.desk.patched())).content
    await git(repo, "commit", "--quiet", "--allow-empty", "-m", "Second")
    assert (await host.desk.patched()).worktree == workspace.worktree, "HEAD moved on, and what was written is kept"
    told = await publish_patch(PublishPatch(title="Sell more"), host, print)
    branch = told.value["branch"] if told.value else ""
    assert "return 3" in await git(repo, "show", f"{branch}:shop.py")
    assert await git(repo, "status", "--porcelain") == ""
    assert "return 1" in (repo / "shop.py").read_text()
    await host.aclose()


async def test_the_patched_copy_is_what_is_compared_with_head(
    repo: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def prepared(_: Any) -> None:
        return None

    async def duel(match: Any, within_s: float | None) -> Any:
        commits = (match.base.commit, match.candidate.commit)
        seen.extend([await git(match.workspace.clone, "show", f"{commit}:shop.py") for commit in commits])
        raise InstrumentError(f"enough within {within_s}")

    monkeypatch.setattr(comparing, "prepare", prepared)
    monkeypatch.setattr(comparing, "_compare_all", duel)
    host = Host(settings, repo, writes=True)
    workspace = await host.desk.patched()
    await write_file.call({"path": "shop.py", "content": "def sell():\n    return 3\n"}, workspace)
    with pytest.raises(InstrumentError, match="enough within 7"):
        await compare_patch(ComparePatch(within_s=7), host, lambda _: None)
    assert ["return 1" in seen[0], "return 3" in seen[1]] == [True, True]
    assert "return 3" in (await show_changes.call({}, await host.desk.patched())).content
    await host.aclose()


async def test_what_a_killed_host_left_is_cleared_and_what_is_open_stays(repo: Path, settings: Settings) -> None:
    desk = Desk(repo, None, settings)
    here = (await desk.workspace()).folder
    left = settings.home / FOLDER / "killed"
    left.mkdir()
    (left / "run.lock").touch()
    clear_abandoned(settings.home)
    assert here.is_dir()
    assert not left.exists()
    await desk.aclose()
