"""Revisions in the user's repository: found, brought over, and the worktree as a commit of ours; nothing is touched."""

from pathlib import Path

import pytest
from target_repo import VARIABLES, make_repo, make_workspace

from perfcrew.errors import UserError
from tools import git
from tools.git_command import git as call
from tools.process import run
from tools.revisions import bring_commit, commit_worktree, find_commit, subject_of
from tools.workspace import Workspace

FILES = {"app.py": "one\n", "kept/data.txt": "data\n", ".gitignore": "*.log\n"}


async def user_git(repo: Path, *words: str) -> str:
    done = await run(["git", *words], cwd=repo, environment=VARIABLES, timeout=60)
    assert done.ok, done.err
    return done.out.strip()


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    return await make_workspace(tmp_path, FILES, {})


@pytest.fixture
def repo(tmp_path: Path, workspace: Workspace) -> Path:
    return tmp_path / "user"


async def test_names_become_commits(repo: Path, workspace: Workspace) -> None:
    head = workspace.base_commit
    await user_git(repo, "tag", "v1")
    for name in ("HEAD", "main", "v1", head, head[:10]):
        assert await find_commit(repo, name) == head
    assert await subject_of(repo, head) == "First"


@pytest.mark.parametrize("name", ["nothing", "HEAD~7", "--all", "-h", "", "HEAD:app.py"])
async def test_what_is_no_commit_is_the_users_mistake(repo: Path, workspace: Workspace, name: str) -> None:
    with pytest.raises(UserError, match="no commit") as caught:
        await find_commit(repo, name)
    assert "\n" not in str(caught.value)


async def test_a_commit_on_no_branch_comes_along(repo: Path, workspace: Workspace) -> None:
    (repo / "app.py").write_text("two\n")
    await user_git(repo, "commit", "-qam", "Second")
    second = await user_git(repo, "rev-parse", "HEAD")
    await user_git(repo, "reset", "-q", "--hard", "HEAD~1")
    await bring_commit(repo, workspace.clone, second)
    assert await git.resolve_commit(workspace.clone, second) == second
    assert await call(["show", f"{second}:app.py"], workspace.clone) == "two\n"


async def test_the_worktree_becomes_a_commit_of_ours(repo: Path, workspace: Workspace) -> None:
    (repo / "app.py").write_text("changed\n")
    (repo / "new.py").write_text("new\n")
    (repo / "new.py").chmod(0o755)
    (repo / "noise.log").write_text("ignored\n")
    (repo / "kept" / "data.txt").unlink()
    (repo / "link").symlink_to("app.py")
    before = await user_git(repo, "status", "--porcelain")
    commit = await commit_worktree(workspace, repo, workspace.base_commit)
    listed = await call(["ls-tree", "-r", "--format=%(objectmode) %(path)", commit], workspace.clone)
    assert listed.splitlines() == ["100644 .gitignore", "100644 app.py", "120000 link", "100755 new.py"]
    assert await call(["show", f"{commit}:app.py"], workspace.clone) == "changed\n"
    assert await user_git(repo, "status", "--porcelain") == before
    assert not (await git.try_git(["cat-file", "-e", commit], repo)).ok
    assert (repo / "noise.log").exists()


async def test_equal_work_is_an_equal_commit(repo: Path, workspace: Workspace) -> None:
    (repo / "app.py").write_text("changed\n")
    first = await commit_worktree(workspace, repo, workspace.base_commit)
    assert await commit_worktree(workspace, repo, workspace.base_commit) == first


async def test_a_clean_worktree_is_nothing_to_compare(repo: Path, workspace: Workspace) -> None:
    with pytest.raises(UserError, match="nothing to commit"):
        await commit_worktree(workspace, repo, workspace.base_commit)


async def test_another_repository_does_not_lend_its_commits(tmp_path: Path, workspace: Workspace) -> None:
    other = await make_repo(tmp_path / "other", {"a": "b"})
    with pytest.raises(UserError, match="no commit"):
        await find_commit(tmp_path / "user", other)
