"""Revisions as a user names them: found in the user's repository, which is only read, and brought into our clone."""

from pathlib import Path

from perfcrew.errors import UserError
from tools.git_command import git, try_git


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
