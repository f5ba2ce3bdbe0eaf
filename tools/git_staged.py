"""What no commit of ours may take, although no path rule tells: repositories in it, links that lead out of it."""

import posixpath
from pathlib import Path

from tools.git_command import git

_REPOSITORY, _LINK = "160000", "120000"
"""Modes of git's tree entries."""


async def find_forbidden(worktree: Path) -> str:
    """What is wrong with the staged changes of a worktree; empty where nothing is."""
    words = ["diff", "--cached", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none"]
    for line in (await git(words, worktree)).splitlines():
        head, _, path = line.partition("\t")
        _, mode, _, blob, _ = head.split()
        if mode == _REPOSITORY:
            return "a folder with a git repository of its own was added"
        if mode == _LINK and _leads_out(path, await git(["cat-file", "blob", blob], worktree)):
            return f"{path}: a symbolic link that leads out of the repository was added"
    return ""


def _leads_out(path: str, target: str) -> bool:
    aim = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return target.startswith("/") or aim.split("/")[0] == ".." or ".git" in aim.lower().split("/")
