"""Reading the history that a run makes: files of a commit, what a branch adds, its commits taken back in turn."""

from pathlib import Path

from perfcrew.records.base import Record
from tools.git import checkout, reset, tree_of
from tools.git_command import git, split_paths, try_git

_NOBODY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
           (("NAME", "perfcrew"), ("EMAIL", "perfcrew@localhost"), ("DATE", "2000-01-01T00:00:00Z"))}  # fmt: skip


class Undone(Record):
    """A branch after one of its commits was reverted."""

    title: str
    """Of the commit that was taken back."""
    commit: str | None
    """What the branch is then; None where the commit could not be reverted."""


async def paths_at(clone: Path, commit: str) -> tuple[str, ...]:
    """Every file of a commit."""
    return tuple(split_paths(await git(["ls-tree", "-r", "-z", "--name-only", commit], clone)))


async def read_at(clone: Path, commit: str, path: str) -> str:
    """A file of a commit as text."""
    return await git(["show", f"{commit}:{path}"], clone)


async def added_between(clone: Path, base: str, head: str) -> tuple[str, ...]:
    """Paths that a branch makes."""
    words = ["diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", base, head]
    return tuple(split_paths(await git(words, clone)))


async def lines_between(clone: Path, base: str, head: str) -> dict[str, tuple[str, str]]:
    """Path to the lines that a branch adds to it and removes from it, each as one text."""
    return split_lines(await git(["diff", "--no-color", "--no-ext-diff", "--no-renames", "-U0", base, head], clone))


def split_lines(patch: str) -> dict[str, tuple[str, str]]:
    """Path to added and removed lines of a unified diff."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    path, inside = "", False
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            path, inside = line.rpartition(" b/")[2].rstrip('"'), False
            found[path] = ([], [])
        elif line.startswith("@@"):
            inside = True
        elif inside and line[:1] in "+-" and line:
            found[path][line[0] == "-"].append(line[1:])
    return {name: ("\n".join(added), "\n".join(removed)) for name, (added, removed) in found.items()}


async def undo_each(clone: Path, base: str, head: str) -> list[Undone]:
    """Take back each commit of `base..head` in turn, the newest first, on a copy; it ends where one can't be."""
    scratch = clone.parent / "undo"
    await checkout(clone, head, scratch)
    try:
        await reset(scratch, head)
        undone = []
        rows = (await git(["log", "--topo-order", "--format=%H%x09%s", f"{base}..{head}"], clone)).splitlines()
        for row in rows:
            name, _, title = row.partition("\t")
            done = await try_git(["revert", "--no-edit", name], scratch, {**_NOBODY, "TZ": "UTC"})
            now = (await git(["rev-parse", "HEAD"], scratch)).strip() if done.ok else None
            undone.append(Undone(title=title, commit=now))
            if now is None:
                break
        return undone
    finally:
        await git(["worktree", "remove", "--force", "--force", str(scratch)], clone)


async def same_files(clone: Path, one: str, other: str) -> bool:
    """Whether two commits hold equal files."""
    return await tree_of(clone, one) == await tree_of(clone, other)
