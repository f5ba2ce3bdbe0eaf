"""Revisions as a user names them: found in the user's repository, which is only read, and brought into our clone."""

import shutil
from pathlib import Path

from perfcrew.errors import ToolError, UserError
from tools.git import checkout, commit, list_paths
from tools.git_command import git, try_git
from tools.snapshot import copy_file
from tools.workspace import Workspace

DATE = "2000-01-01T00:00:00Z"
"""Fixed, so that equal work is an equal commit."""


async def find_commit(repo: Path, name: str) -> str:
    """The full hash of a branch, tag, hash or expression such as `HEAD~2`.

    Raises:
        UserError: the repository has no such commit.
    """
    # What begins with a dash would be read as an option.
    found = await try_git(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"], repo)
    if not found.ok or not found.out.strip():
        raise UserError(f"{repo}: no commit {name!r}; expected a branch, a tag, a hash or something like HEAD~1")
    return found.out.strip()


async def bring_commit(repo: Path, clone: Path, commit: str) -> None:
    """Have a commit of the user's repository in our clone, even where no branch leads to it."""
    reference = f"refs/perfcrew/compared/{commit}"
    if not (await try_git(["update-ref", reference, commit], clone)).ok:
        await git(["fetch", "--quiet", "--no-tags", str(repo), f"+{commit}:{reference}"], clone)


async def subject_of(repo: Path, commit: str) -> str:
    """The first line of a commit's message."""
    return (await git(["log", "-1", "--no-color", "--format=%s", commit], repo)).strip()


async def commit_worktree(workspace: Workspace, repo: Path, head: str) -> str:
    """A commit in our clone of the user's worktree as it stands: tracked files and new ones that are not ignored.

    Raises:
        UserError: there is nothing in it that is not committed.
    """
    folder = workspace.worktrees / "uncommitted"
    await checkout(workspace.clone, head, folder)
    for name in await list_paths(folder):
        (folder / name).unlink()
    for name in await list_paths(repo):
        source, copy = repo / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            copy.symlink_to(source.readlink())
        elif source.is_file():
            copy_file(str(source), str(copy))
            shutil.copymode(source, copy)
    try:
        return await commit(folder, "Uncommitted work", DATE)
    except ToolError as error:
        raise UserError(f"{repo}: the worktree can't be compared with its commits: {error}") from None
