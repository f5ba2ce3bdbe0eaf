"""Changing the target's sources: the coder's tools, held inside its worktree and off what is protected."""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from perfcrew.errors import Forbidden, ToolError
from perfcrew.records.base import Record
from tools.git import working_diff
from tools.lint import complain
from tools.paths import is_secret, matches, resolve_inside
from tools.source import read_text
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

ALWAYS = (".git/**", "**/.git/**", "perfcrew.toml")
"""Protected whatever the description says."""
MAX_BYTES = 1_000_000


class ReplaceText(Record):
    """An edit by exact match."""

    path: str = Field(description="relative to the repository")
    old: str = Field(min_length=1, description="text that occurs exactly once, blanks and line ends included")
    new: str = Field(description="what takes its place")


class WriteFile(Record):
    """A whole file."""

    path: str = Field(description="relative to the repository; folders are made")
    content: str


class DeleteFile(Record):
    """A file to remove."""

    path: str = Field(description="relative to the repository")


class ShowChanges(Record):
    """Nothing to say."""


def violations(paths: Iterable[str], protected: Iterable[str]) -> tuple[str, ...]:
    """Those of the changed paths that no change may touch."""
    globs = (*ALWAYS, *protected)
    return tuple(path for path in paths if matches(path, globs) or ".git" in path.lower().split("/"))


@tool(ReplaceText, writes=True)
async def replace_text(arguments: ReplaceText, workspace: Workspace) -> ToolOutput:
    """Replace a piece of a file. The old text has to occur exactly once, so take enough lines around it."""
    root, path = writable(workspace, arguments.path)
    if not path.is_file():
        raise ToolError(f"{arguments.path}: no such file; write_file makes one")
    text = read_text(root, path)
    count = text.count(arguments.old)
    if count != 1:
        raise ToolError(explain_miss(arguments.path, text, arguments.old, count))
    if arguments.old == arguments.new:
        raise ToolError("old and new text are the same")
    line = text[: text.index(arguments.old)].count("\n") + 1
    changed = text.replace(arguments.old, arguments.new)
    write_text(path, changed)
    complaint = await complain(path, arguments.path, changed)
    return ToolOutput(content=f"{arguments.path}: replaced at line {line}{complaint}")


@tool(WriteFile, writes=True)
async def write_file(arguments: WriteFile, workspace: Workspace) -> ToolOutput:
    """Write a whole file, new or in place of the old one. For a small change in a large file use replace_text."""
    _, path = writable(workspace, arguments.path)
    if path.is_dir():
        raise ToolError(f"{arguments.path} is a folder")
    existed = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ToolError(f"{arguments.path}: a file is where a folder is needed") from error
    write_text(path, arguments.content)
    done = "replaced" if existed else "made"
    lines = len(arguments.content.splitlines())
    complaint = await complain(path, arguments.path, arguments.content)
    return ToolOutput(content=f"{arguments.path}: {done}, {lines} lines{complaint}")


@tool(DeleteFile, writes=True)
async def delete_file(arguments: DeleteFile, workspace: Workspace) -> ToolOutput:
    """Delete a file."""
    _, path = writable(workspace, arguments.path)
    if not path.is_file():
        raise ToolError(f"{arguments.path}: no such file")
    path.unlink()
    return ToolOutput(content=f"{arguments.path}: deleted")


@tool(ShowChanges)
async def show_changes(_: ShowChanges, workspace: Workspace) -> ToolOutput:
    """Show everything that was changed so far in this step, as a diff."""
    if workspace.worktree is None:
        raise ToolError("there is no worktree here")
    return ToolOutput(content=await working_diff(workspace.worktree) or "nothing was changed")


def writable(workspace: Workspace, name: str) -> tuple[Path, Path]:
    """The worktree, and the place in it of a path that may be changed.

    Raises:
        ToolError: there is no worktree, or the path leads out of it, is protected, or looks like a secret.
    """
    root = workspace.worktree
    if root is None:
        raise ToolError("nothing may be written here")
    path = resolve_inside(root, name)
    relative = path.relative_to(root).as_posix()
    own = (workspace.config_path.name,) if workspace.config_path else ()
    if relative == "." or violations([relative], (*workspace.protected, *own)) or is_secret(relative):
        raise Forbidden(f"{relative}: protected; no change may touch it")
    return root, path


def write_text(path: Path, text: str) -> None:
    """Write a file, never through a link.

    Raises:
        ToolError: it is too large, or can't be written.
    """
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise ToolError(f"{path.name}: {len(content)} bytes; at most {MAX_BYTES} can be written")
    # Should someone have put a link there since we looked, this refuses to follow it.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise ToolError(f"{path.name}: can't be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def explain_miss(name: str, text: str, old: str, count: int) -> str:
    """Why a text that has to occur once is no place for an edit, with the passage most like it."""
    if count > 1:
        starts = [index for index in range(len(text)) if text.startswith(old, index)]
        places = ", ".join(str(text[:start].count("\n") + 1) for start in starts[:8])
        return f"{name}: the old text occurs {count} times, at lines {places}; take more lines around the right one"
    lines, wanted = text.splitlines(), old.splitlines()
    best, ratio = _closest(lines, wanted)
    if ratio < 0.5:
        return f"{name}: the old text does not occur; read the file again"
    shown = "\n".join(lines[best : best + len(wanted)])
    return f"{name}: the old text does not occur. Closest, at line {best + 1}:\n{shown}"


def _closest(lines: list[str], wanted: list[str]) -> tuple[int, float]:
    """Index of the first line of the passage most like the wanted one, and how alike: 0 to 1."""
    best, ratio = 0, 0.0
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2("\n".join(wanted)[:4000])
    for start in range(max(len(lines) - len(wanted) + 1, 1))[:3000]:
        matcher.set_seq1("\n".join(lines[start : start + len(wanted)])[:4000])
        if matcher.real_quick_ratio() > ratio and matcher.quick_ratio() > ratio and matcher.ratio() > ratio:
            best, ratio = start, matcher.ratio()
    return best, ratio
