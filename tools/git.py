"""Git: the user's repository is read, and at the end given one branch; all work happens in a clone of our own.

No configuration but the repository's own is read, no hook runs, nothing is signed, and dates and names are given: the
same change makes the same commit on every machine.
"""

import asyncio
import shutil
from pathlib import Path
from weakref import WeakValueDictionary

from perfcrew.errors import Forbidden, ToolError, UserError
from perfcrew.records.base import Record
from tools.git_command import git, split_paths, try_git
from tools.git_staged import find_forbidden
from tools.process_output import Finished
from tools.workspace import Workspace

NAME, EMAIL = "perfcrew", "perfcrew@localhost"
KEPT = ("__pycache__", "node_modules")
"""What a reset leaves in a worktree and a commit never takes: byte code, and the link to installed packages."""
_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class RepoState(Record):
    """A repository as the user has it."""

    root: Path
    head: str
    branch: str | None
    dirty: bool
    notes: tuple[str, ...] = ()
    """What perfcrew leaves out, a line each: submodules, large files outside git."""


class Touched(Record):
    """A path that differs between two commits. Binary files count no lines."""

    path: str
    added: int
    removed: int


async def inspect_repo(path: Path) -> RepoState:
    """What a repository holds, without changing a byte of it.

    Raises:
        UserError: there is no git repository, or no commit in it.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    top = await try_git(["rev-parse", "--show-toplevel"], path)
    if not top.ok:
        hint = top.last_line if "dubious" in top.err else "run `git init`, add the files and commit them"
        raise UserError(f"{path}: not a git repository with a worktree: {hint}")
    root = Path(top.out.rstrip("\n"))
    head = await try_git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], root)
    if not head.ok:
        raise UserError(f"{root}: the repository has no commit yet: commit the application first")
    branch = await try_git(["symbolic-ref", "--quiet", "--short", "HEAD"], root)
    status = await git(["status", "--porcelain", "-z", "--ignore-submodules=all"], root)
    return RepoState(
        root=root,
        head=head.out.strip(),
        branch=branch.out.strip() or None,
        dirty=bool(status),
        notes=await _notes(root, head.out.strip()),
    )


async def _notes(root: Path, commit: str) -> tuple[str, ...]:
    notes = []
    if any(line.startswith("160000 ") for line in (await git(["ls-tree", "-r", "-z", commit], root)).split("\0")):
        notes.append("submodules are not supported: their folders stay empty in every measured version")
    large = await try_git(["grep", "-q", "filter=lfs", commit, "--", ".gitattributes", "**/.gitattributes"], root)
    if large.ok:
        notes.append("Git LFS is not supported: large files are pointers in every measured version")
    return tuple(notes)


async def clone(repo: Path, into: Path) -> None:
    """Clone a repository into a folder of ours, whole and without worktree. Does nothing where that is done.

    Objects are hard links where the file system allows; git never changes an object once written.
    """
    if (into / ".git" / "perfcrew-cloned").exists():
        return
    shutil.rmtree(into, ignore_errors=True)
    into.parent.mkdir(parents=True, exist_ok=True)
    await git(["clone", "--quiet", "--no-checkout", "--no-recurse-submodules", str(repo), str(into)], into.parent)
    # A detached HEAD of the user's may be on no branch, and a plain clone would leave it out.
    head = (await git(["rev-parse", "HEAD"], repo)).strip()
    if not (await try_git(["update-ref", "refs/perfcrew/base", head], into)).ok:
        await git(["fetch", "--quiet", "--no-tags", str(repo), f"+{head}:refs/perfcrew/base"], into)
    (into / ".git" / "info").mkdir(exist_ok=True)
    (into / ".git" / "info" / "exclude").write_text("".join(f"{name}\n" for name in KEPT))
    (into / ".git" / "perfcrew-cloned").touch()


async def checkout(clone: Path, commit: str, folder: Path) -> None:
    """Have a commit as a detached worktree of our clone. A worktree that stands there already is brought to it."""
    lock = _locks.setdefault(str(folder), asyncio.Lock())
    async with lock:
        if await _is_worktree(folder):
            if (await git(["rev-parse", "HEAD"], folder)).strip() != (await resolve_commit(clone, commit)):
                await _reset(folder, commit)
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Git reads the entries of all worktrees while it adds one, also those that another addition is still writing.
        async with _locks.setdefault(str(clone), asyncio.Lock()):
            await git(["worktree", "prune"], clone)
            # Forced twice: an addition that was killed half way leaves its entry locked.
            await git(["worktree", "add", "--quiet", "--force", "--force", "--detach", str(folder), commit], clone)


async def _is_worktree(folder: Path) -> bool:
    if not (folder / ".git").is_file() or not _is_ours(folder):
        return False
    # A checkout that was killed half-way leaves its lock, or no index.
    git_folder = _git_folder(folder)
    return (git_folder / "index").exists() and not (git_folder / "index.lock").exists()


def _git_folder(worktree: Path) -> Path:
    return Path((worktree / ".git").read_text().removeprefix("gitdir:").strip())


def _is_ours(worktree: Path) -> bool:
    """Whether the worktree's marker leads to a clone outside it that knows it; a program may have written another."""
    marker = worktree / ".git"
    try:
        folder = _git_folder(worktree)
        known = Path((folder / "gitdir").read_text().strip())
    except OSError:
        return False
    same = known.parent.resolve() == worktree.resolve() and known.name == marker.name
    return same and not marker.is_symlink() and not folder.resolve().is_relative_to(worktree.resolve())


def _check_ours(worktree: Path) -> None:
    if not _is_ours(worktree):
        raise Forbidden(f"{worktree.name}: its .git was changed; that is never allowed")


async def worktree_of(workspace: Workspace, commit: str) -> Path:
    """The run's checkout of a commit, made where it is missing."""
    folder = workspace.worktrees / commit[:12]
    await checkout(workspace.clone, commit, folder)
    return folder


async def resolve_commit(clone: Path, name: str) -> str:
    """The full hash of a commit."""
    return (await git(["rev-parse", "--verify", f"{name}^{{commit}}"], clone)).strip()


async def reset(worktree: Path, commit: str) -> None:
    """Bring a worktree to a commit and remove all that is not in it, ignored files too, except the caches in `KEPT`."""
    # While git works here its lock file lies here, which another task's checkout would take for a crash's.
    async with _locks.setdefault(str(worktree), asyncio.Lock()):
        await _reset(worktree, commit)


async def _reset(worktree: Path, commit: str) -> None:
    _check_ours(worktree)
    (_git_folder(worktree) / "index.lock").unlink(missing_ok=True)
    await git(["reset", "--quiet", "--hard", commit], worktree)
    await git(["clean", "-ffdxq", *(word for name in KEPT for word in ("-e", name))], worktree)


async def changed_paths(worktree: Path) -> tuple[str, ...]:
    """Paths that differ from the worktree's commit, new ones included: what a commit would take."""
    _check_ours(worktree)
    await git(["add", "--all"], worktree)
    words = ["diff", "--cached", "--name-only", "--no-renames", "--ignore-submodules=none", "-z"]
    return tuple(split_paths(await git(words, worktree)))


async def tree_of(clone: Path, commit: str) -> str:
    """The hash of a commit's files: equal for commits with equal files, whatever their message."""
    return (await git(["rev-parse", "--verify", f"{commit}^{{tree}}"], clone)).strip()


async def working_tree(worktree: Path) -> str | None:
    """The tree that a commit of the worktree would have; None where ignored files lie in it, which no commit takes."""
    await changed_paths(worktree)
    words = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"]
    if any(Path(path).name not in KEPT for path in split_paths(await git(words, worktree))):
        return None
    return (await git(["write-tree"], worktree)).strip()


async def commit(worktree: Path, message: str, when: str) -> str:
    """Commit all that changed, by a fixed author at a given date (ISO 8601), and give the hash.

    Raises:
        ToolError: nothing changed.
        Forbidden: a folder with a repository of its own was added, or a symbolic link that leads outside.
    """
    if not await changed_paths(worktree):
        raise ToolError("nothing to commit: the worktree equals its commit")
    if forbidden := await find_forbidden(worktree):
        raise Forbidden(f"{forbidden}; that is never allowed")
    await git(["commit", "--quiet", "--no-verify", "--cleanup=whitespace", "-m", message], worktree, _identity(when))
    return (await git(["rev-parse", "HEAD"], worktree)).strip()


async def reword(worktree: Path, message: str, when: str) -> str:
    """Give the worktree's newest commit another message, and give the new hash. Its content stays as it is."""
    _check_ours(worktree)
    words = ["commit", "--quiet", "--amend", "--only", "--no-verify", "--allow-empty", "--cleanup=whitespace"]
    await git([*words, "--reset-author", "-m", message], worktree, _identity(when))
    return (await git(["rev-parse", "HEAD"], worktree)).strip()


def _identity(when: str) -> dict[str, str]:
    names = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
             (("NAME", NAME), ("EMAIL", EMAIL), ("DATE", when))}  # fmt: skip
    return {**names, "TZ": "UTC"}


_DIFF = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")


async def diff(clone: Path, base: str, head: str) -> str:
    """The unified diff between two commits."""
    return await git([*_DIFF, base, head], clone)


async def working_diff(worktree: Path) -> str:
    """The unified diff of a worktree against its commit, new files included."""
    await changed_paths(worktree)
    return await git([*_DIFF, "--cached"], worktree)


async def touched(clone: Path, base: str, head: str) -> tuple[Touched, ...]:
    """Paths that differ between two commits, with lines added and removed."""
    output = await git([*_DIFF, "--numstat", "-z", base, head], clone)
    rows = (line.split("\t", 2) for line in split_paths(output))
    return tuple(
        Touched(path=path, added=int(added) if added != "-" else 0, removed=int(removed) if removed != "-" else 0)
        for added, removed, path in rows
    )


async def list_paths(worktree: Path) -> list[str]:
    """Tracked files and new ones that are not ignored, in order."""
    output = await git(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"], worktree)
    return sorted(path for path in split_paths(output) if (worktree / path).is_symlink() or (worktree / path).exists())


async def grep(worktree: Path, pattern: str, limit: int) -> Finished:
    """Search tracked and new files of a worktree for a regular expression: Perl's where git knows it, else POSIX's."""
    common = ["grep", "--untracked", "-n", "-I", "--no-color", "--no-recurse-submodules", "-m", str(limit)]
    for kind in ("-P", "-E"):
        done = await try_git([*common, kind, "-e", pattern], worktree, timeout=20)
        if "compiled" not in done.err:
            break
    return done


async def revert_all(clone: Path, base: str, head: str) -> bool:
    """Whether reverting each commit of `base..head`, newest first, gives the base's tree again. Tried on a scratch."""
    scratch = clone.parent / "revert"
    await checkout(clone, head, scratch)
    try:
        commits = (await git(["rev-list", "--topo-order", f"{base}..{head}"], clone)).split()
        for one in commits:
            done = await try_git(["revert", "--no-edit", one], scratch, _identity("2000-01-01T00:00:00Z"))
            if not done.ok:
                return False
        trees = await git(["rev-parse", f"{base}^{{tree}}", "HEAD^{tree}"], scratch)
        return len(set(trees.split())) == 1
    finally:
        await git(["worktree", "remove", "--force", "--force", str(scratch)], clone)
