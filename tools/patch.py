"""Several files changed as one: all edits apply, or none does."""

from pathlib import Path

from pydantic import Field, model_validator

from perfcrew.errors import ToolError
from perfcrew.records.base import Record
from tools.edit import explain_miss, writable, write_text
from tools.lint import complain
from tools.source import read_text
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace


class FileEdit(Record):
    """One edit: `old` and `new` replace a passage, `new` alone writes a whole file, neither deletes the file."""

    path: str = Field(description="relative to the repository")
    old: str | None = Field(default=None, description="text that occurs exactly once; left out for a whole file")
    new: str | None = Field(default=None, description="what takes its place; left out to delete the file")

    @model_validator(mode="after")
    def _something(self) -> "FileEdit":
        if self.old is not None and (self.new is None or not self.old or self.old == self.new):
            raise ValueError("`old` needs another text as `new`; to delete a file leave both out")
        return self


class ApplyPatch(Record):
    """Edits in their order; a later one sees what an earlier one wrote."""

    edits: tuple[FileEdit, ...] = Field(min_length=1, max_length=40)


@tool(ApplyPatch, writes=True)
async def apply_patch(arguments: ApplyPatch, workspace: Workspace) -> ToolOutput:
    """Change several files at once, each by exact match, as a whole file, or by deletion. All edits apply, or none."""
    before: dict[str, tuple[Path, str | None]] = {}
    after: dict[str, str | None] = {}
    for number, edit in enumerate(arguments.edits, 1):
        root, path = writable(workspace, edit.path)
        name = path.relative_to(root).as_posix()
        if name not in after:
            if path.is_dir():
                raise ToolError(f"edit {number}: {name} is a folder; nothing was changed")
            before[name] = (path, read_text(root, path) if path.is_file() else None)
            after[name] = before[name][1]
        after[name] = _edit(number, name, after[name], edit)
    told = []
    for name, text in after.items():
        told.append(await _carry_out(name, before[name][0], before[name][1], text))
    return ToolOutput(content="\n".join(told))


def _edit(number: int, name: str, text: str | None, edit: FileEdit) -> str | None:
    """The file's text after an edit; None for a file that is not there."""
    if edit.old is None:
        if edit.new is None and text is None:
            raise ToolError(f"edit {number}: {name}: no such file; nothing was changed")
        return edit.new
    if text is None:
        raise ToolError(f"edit {number}: {name}: no such file; nothing was changed")
    count = text.count(edit.old)
    if count != 1:
        raise ToolError(f"edit {number}: {explain_miss(name, text, edit.old, count)}\nNothing was changed.")
    return text.replace(edit.old, edit.new or "")


async def _carry_out(name: str, path: Path, before: str | None, text: str | None) -> str:
    if text is None:
        path.unlink(missing_ok=True)
        return f"{name}: deleted"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ToolError(f"{name}: a file is where a folder is needed") from error
    write_text(path, text)
    done = "made" if before is None else "changed"
    return f"{name}: {done}, {len(text.splitlines())} lines{await complain(path, name, text)}"
