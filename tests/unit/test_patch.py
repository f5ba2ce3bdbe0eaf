"""Patches over several files apply whole or not at all, and what they break is told with them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace

from perfcrew.errors import ToolError
from tools import git
from tools.edit import replace_text, write_file
from tools.lint import complain
from tools.patch import apply_patch
from tools.workspace import Workspace

FILES = {
    "app/a.py": "value = 1\n",
    "app/b.py": "import app.a\n",
    "app/old.py": "gone = 1\n",
    "tests/test_a.py": "x = 1\n",
}


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    workspace = await make_workspace(tmp_path, FILES, {})
    work = workspace.folder / "work"
    await git.checkout(workspace.clone, workspace.base_commit, work)
    return replace(workspace, worktree=work)


async def _patch(workspace: Workspace, *edits: dict[str, Any]) -> str:
    return str((await apply_patch.call({"edits": list(edits)}, workspace)).content)


async def test_a_patch_changes_makes_and_deletes(workspace: Workspace) -> None:
    assert workspace.worktree is not None
    said = await _patch(
        workspace,
        {"path": "app/a.py", "old": "value = 1", "new": "value = 2"},
        {"path": "app/a.py", "old": "value = 2\n", "new": "value = 2\nother = 3\n"},
        {"path": "app/new/c.py", "new": "c = 1\n"},
        {"path": "app/old.py"},
    )
    assert said.splitlines() == ["app/a.py: changed, 2 lines", "app/new/c.py: made, 1 lines", "app/old.py: deleted"]
    assert set(await git.changed_paths(workspace.worktree)) == {"app/a.py", "app/new/c.py", "app/old.py"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"path": "app/b.py", "old": "nonsense", "new": "x"}, "edit 2: app/b.py: the old text does not occur"),
        ({"path": "app/none.py", "old": "a", "new": "b"}, "no such file; nothing was changed"),
        ({"path": "app/none.py"}, "no such file; nothing was changed"),
        ({"path": "tests/test_a.py", "new": "x = 2\n"}, "protected"),
        ({"path": "../outside.py", "new": "x"}, ""),
        ({"path": "app", "new": "x"}, "is a folder"),
        ({"path": "app/b.py", "old": "import app.a"}, "`old` needs another text"),
    ],
)
async def test_one_edit_that_does_not_fit_keeps_all_others_out(
    workspace: Workspace, wrong: dict[str, Any], said: str
) -> None:
    assert workspace.worktree is not None
    with pytest.raises(ToolError) as refusal:
        await _patch(workspace, {"path": "app/a.py", "old": "value = 1", "new": "value = 2"}, wrong)
    assert said in str(refusal.value)
    assert await git.changed_paths(workspace.worktree) == ()


async def test_errors_show_with_the_edit(workspace: Workspace) -> None:
    written = await write_file.call({"path": "app/d.py", "content": "def f():\n    return valeu\n"}, workspace)
    assert "But line 2: F821 Undefined name `valeu`" in written.content
    said = await _patch(workspace, {"path": "app/a.py", "old": "value = 1", "new": "value = (1"})
    assert "does not compile now: line 1" in said
    mended = await replace_text.call({"path": "app/a.py", "old": "(1", "new": "1"}, workspace)
    assert mended.content == "app/a.py: replaced at line 1"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(
    ("name", "text", "line"),
    [("a.js", "const x = 1;\nfunction (\n", "2"), ("b.mjs", "import a from 'a';\nexport const = 2;\n", "2")],
)
async def test_a_script_that_does_not_parse_is_told(tmp_path: Path, name: str, text: str, line: str) -> None:
    (tmp_path / name).write_text(text)
    said = await complain(tmp_path / name, name, text)
    assert said.startswith(f"\nBut it does not parse now: line {line}: SyntaxError")
    (tmp_path / name).write_text("process.exit(3);\n")
    assert await complain(tmp_path / name, name, "process.exit(3);\n") == ""
