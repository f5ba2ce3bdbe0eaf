"""The branch that a run offers: the only thing that it leaves in the user's repository."""

from pathlib import Path

from perfcrew.errors import UserError
from tools.git import resolve_commit
from tools.git_command import git, try_git

QUIET = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")


async def publish(clone: Path, commit: str, repo: Path, branch: str) -> None:
    """Give the user's repository a branch with a commit of ours, and change nothing else in it.

    A branch that still is as this run left it may be moved: the run has gone on since.

    Raises:
        UserError: the name is not one for a branch, such a branch exists with other commits, or it is checked out.
    """
    if not (await try_git(["check-ref-format", f"refs/heads/{branch}"], clone)).ok:
        raise UserError(f"{branch!r} is not a name for a branch")
    wanted = await resolve_commit(clone, commit)
    there = await _tip(repo, f"refs/heads/{branch}")
    if there == wanted:
        return
    if there:
        if there != await _tip(clone, _ours(branch)):
            raise UserError(f"{repo}: branch {branch} exists already with other commits; delete it or name another")
        await _check_not_in_use(repo, branch)
    await git(["update-ref", _ours(branch), wanted], clone)
    await git(["fetch", *QUIET, str(clone), f"+{_ours(branch)}:refs/heads/{branch}"], repo)


async def withdraw(clone: Path, repo: Path, branch: str) -> bool:
    """Take a branch back that still is as this run left it; whether there was one.

    Raises:
        UserError: it is checked out.
    """
    if not clone.exists():
        return False
    there = await _tip(repo, f"refs/heads/{branch}")
    if not there or there != await _tip(clone, _ours(branch)):
        return False
    await _check_not_in_use(repo, branch)
    await git(["update-ref", "-d", f"refs/heads/{branch}", there], repo)
    return True


def _ours(branch: str) -> str:
    return f"refs/perfcrew/publish/{branch}"


async def _tip(repo: Path, name: str) -> str:
    found = await try_git(["rev-parse", "--verify", "--quiet", name], repo)
    return found.out.strip() if found.ok else ""


async def _check_not_in_use(repo: Path, branch: str) -> None:
    listed = await git(["worktree", "list", "--porcelain"], repo)
    if f"branch refs/heads/{branch}" in listed.splitlines():
        raise UserError(f"{repo}: branch {branch} is checked out; switch to another one first")
