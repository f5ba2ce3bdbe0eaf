"""The coder's commands: anything inside, nothing outside."""

from dataclasses import replace
from pathlib import Path

import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import ToolError
from tools import command, git
from tools.command import run_command
from tools.sandbox import available
from tools.workspace import Workspace


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    files = {"app.py": "value = 1\n", "tests/test_a.py": "", "perfcrew.toml": "held out"}
    made = await make_workspace(tmp_path, files, {})
    work = made.folder / "work"
    await git.checkout(made.clone, made.base_commit, work)
    return replace(made, worktree=work)


async def test_output_exit_code_and_changes(workspace: Workspace) -> None:
    script = "import app; open('new.py', 'w').write('x = 1'); print({'value': app.value}); raise SystemExit(3)"
    output = await run_command.call({"command": f'{PYTHON} -c "{script}"'}, workspace)
    assert output.is_error
    assert output.content == "exit code 3\n{'value': 1}\n[changed by this command: new.py]"
    output = await run_command.call({"command": "sh -c 'echo ${HOME} | wc -l'"}, workspace)
    assert output.content == "exit code 0\n1" and not output.is_error
    assert not list(workspace.folder.glob("scratch*"))


async def test_protected_changes_are_named(workspace: Workspace) -> None:
    output = await run_command.call({"command": "sh -c 'echo x >> tests/test_a.py'"}, workspace)
    assert "[protected, so this can't be kept: tests/test_a.py; restore these files]" in output.content


async def test_long_output_is_cut_in_the_middle(workspace: Workspace) -> None:
    output = await run_command.call(
        {"command": f"{PYTHON} -c \"print('first'); print('x' * 100000); print('last')\""}, workspace
    )
    assert "first" in output.content and output.content.endswith("last") and "left out" in output.content
    assert len(output.content) < 6000


async def test_what_does_not_end_is_ended(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "TIMEOUT_S", 0.5)
    output = await run_command.call({"command": "sleep 600"}, workspace)
    assert output.is_error and "was ended" in output.content


@pytest.mark.skipif(not available(), reason="bubblewrap does not work on this machine")
async def test_the_world_outside_is_out_of_reach(workspace: Workspace, tmp_path: Path) -> None:
    case = tmp_path / "case"
    case.mkdir()
    (case / "check.py").write_text("held out")
    workspace = replace(workspace, config_folder=case)
    commands = [
        "cat perfcrew.toml", f"sh -c 'cat {case}/* {{case}}/check.py'", "cat /etc/shadow",
        f"cat {tmp_path / 'user' / 'app.py'}",
        f"sh -c 'echo x > {workspace.folder / 'journal.jsonl'}'", "rm .git", "sh -c 'echo x >> .git'",
        f"{PYTHON} -c \"import socket; socket.create_connection(('192.0.2.1', 80), 2)\"",
    ]  # fmt: skip
    marker = (workspace.worktree / ".git").read_text() if workspace.worktree else ""
    for one in commands[:4] + commands[5:]:
        output = await run_command.call({"command": one}, workspace)
        assert output.is_error and "held out" not in output.content, one
    await run_command.call({"command": commands[4]}, workspace)
    assert not (workspace.folder / "journal.jsonl").exists()
    assert workspace.worktree is not None and (workspace.worktree / ".git").read_text() == marker
    assert await git.changed_paths(workspace.worktree) == ()


async def test_mistakes_are_told(workspace: Workspace) -> None:
    with pytest.raises(ToolError, match="no worktree"):
        await run_command.call({"command": "true"}, replace(workspace, worktree=None))
    with pytest.raises(ToolError, match="No closing quotation"):
        await run_command.call({"command": "echo 'x"}, workspace)


async def test_what_a_command_breaks_is_told(workspace: Workspace) -> None:
    output = await run_command.call({"command": "sh -c 'echo \"print(valeu)\" > new.py'"}, workspace)
    assert "[changed by this command: new.py]\nnew.py:\nBut line 1: F821 Undefined name `valeu`" in output.content
