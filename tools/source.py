"""Reading the target's sources: what models see of a repository."""

from pathlib import Path

from pydantic import Field

from perfcrew.errors import Forbidden, ToolError
from perfcrew.records.base import Record
from tools.git import grep, list_paths, worktree_of
from tools.paths import is_secret, matches, resolve_inside
from tools.tool import MAX_RESULT_CHARACTERS, ToolOutput, tool
from tools.workspace import Workspace

MAX_LISTED = 300
MAX_FOUND = 80
LINES = 250
"""Lines of a file shown at once where no end is asked for."""
ROOM = MAX_RESULT_CHARACTERS - 300
"""Characters of content; the rest is for the line that says what was left out."""


class ListFiles(Record):
    """Which files to list."""

    glob: str = Field(default="**/*", description="such as app/**/*.py; ** stands for any number of folders")


class ReadFile(Record):
    """What to read."""

    path: str = Field(description="relative to the repository")
    first: int = Field(default=1, ge=1, description="first line")
    last: int | None = Field(default=None, ge=1, description="last line; the file's end or 250 lines by default")


class SearchCode(Record):
    """What to search for."""

    pattern: str = Field(min_length=1, max_length=500, description="regular expression, one line")
    glob: str = Field(default="**/*", description="where, such as app/**/*.py")


async def source_root(workspace: Workspace) -> Path:
    """What is read: the coder's worktree where there is one, else the base's checkout."""
    return workspace.worktree or await worktree_of(workspace, workspace.base_commit)


def is_shown(workspace: Workspace, path: str) -> bool:
    """Whether models may read a file: the description says which, and neither itself nor secrets are among them."""
    shown = matches(path, workspace.target.target.source) and not is_secret(path)
    return shown and path not in own_names(workspace)


def own_names(workspace: Workspace) -> set[str]:
    """Files of the checkout that hold what is held out: the description, and what it hides."""
    config = workspace.config_path
    return {"perfcrew.toml", *workspace.target.hidden, *([config.name] if config else [])}


@tool(ListFiles)
async def list_files(arguments: ListFiles, workspace: Workspace) -> ToolOutput:
    """List the repository's files with their sizes in bytes."""
    root = await source_root(workspace)
    paths = [path for path in await list_paths(root) if is_shown(workspace, path) and matches(path, [arguments.glob])]
    if not paths:
        return ToolOutput(content=f"no file matches {arguments.glob}")
    lines = [f"{path} ({(root / path).lstat().st_size})" for path in paths[:MAX_LISTED]]
    if len(paths) > MAX_LISTED:
        lines.append(f"[{len(paths) - MAX_LISTED} more; narrow the glob to see them]")
    return ToolOutput(content="\n".join(lines))


@tool(ReadFile)
async def read_file(arguments: ReadFile, workspace: Workspace) -> ToolOutput:
    """Read a file of the repository, with line numbers. Long files come in parts: ask for first and last line."""
    root = await source_root(workspace)
    lines = read_text(root, readable_path(workspace, root, arguments.path)).splitlines()
    if not lines:
        return ToolOutput(content=f"{arguments.path} is empty")
    if arguments.first > len(lines):
        raise ToolError(f"{arguments.path} has {len(lines)} lines")
    last = min(arguments.last or arguments.first + LINES - 1, len(lines))
    shown: list[str] = []
    room = ROOM
    for number in range(arguments.first, last + 1):
        line = f"{number:>5} {lines[number - 1]}"
        if len(line) > 1000:
            line = f"{line[:1000]} [{len(line) - 1000} more characters]"
        room -= len(line) + 1
        if room < 0:
            last = number - 1
            break
        shown.append(line)
    if arguments.first > 1 or last < len(lines):
        shown.append(f"[lines {arguments.first} to {last} of {len(lines)}]")
    return ToolOutput(content="\n".join(shown))


@tool(SearchCode)
async def search_code(arguments: SearchCode, workspace: Workspace) -> ToolOutput:
    """Search the repository's files for a regular expression, line by line; gives path, line number and line."""
    root = await source_root(workspace)
    done = await grep(root, arguments.pattern, MAX_FOUND)
    if done.timed_out:
        raise ToolError("the search took too long; use a simpler expression")
    if done.code > 1:
        raise ToolError(f"the expression can't be used: {done.last_line}")
    lines = []
    for line in done.out.splitlines():
        path = line.split(":", 1)[0]
        if is_shown(workspace, path) and matches(path, [arguments.glob]):
            lines.append(line if len(line) <= 240 else f"{line[:240]} […]")
    if not lines:
        return ToolOutput(content="nothing found")
    more = [f"[{len(lines) - MAX_FOUND} more; narrow the expression or the glob]"] if len(lines) > MAX_FOUND else []
    return ToolOutput(content="\n".join([*lines[:MAX_FOUND], *more]))


def readable_path(workspace: Workspace, root: Path, name: str) -> Path:
    """The place of a file that models may read.

    Raises:
        Forbidden: it is a secret, or held out.
        ToolError: there is no such file, or it is none of the sources.
    """
    path = resolve_inside(root, name)
    relative = path.relative_to(root).as_posix()
    if not is_shown(workspace, relative):
        kind = Forbidden if is_secret(relative) or relative in own_names(workspace) else ToolError
        raise kind(f"{relative}: not to be read")
    if path.is_dir():
        raise ToolError(f"{relative} is a folder; list_files shows what is in it")
    if not path.is_file():
        raise ToolError(f"{relative}: no such file; list_files shows what there is")
    return path


def read_text(root: Path, path: Path) -> str:
    """A text file as it is, line ends untouched.

    Raises:
        ToolError: it is not UTF-8 text.
    """
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ToolError(f"{path.relative_to(root)}: not a text in UTF-8") from error
