"""Commands of the coder: anything, inside the sandbox, in its worktree."""

import shutil
from pathlib import Path

from pydantic import Field

from perfcrew.errors import ToolError, UserError
from perfcrew.records.base import Record
from tools.edit import MAX_BYTES, violations
from tools.environment import prepare_environment
from tools.git import changed_paths
from tools.launch import Place, link_packages, run_at
from tools.lease import quiet_lease
from tools.lint import complain
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

TIMEOUT_S = 120.0
CAP = 5000
"""Bytes shown of the output, half from its beginning and half from its end."""


class RunCommand(Record):
    """What to run."""

    command: str = Field(
        min_length=1, max_length=4000,
        description="one command without a shell; for pipes and the like use: sh -c '...'",
    )  # fmt: skip


async def _complaints(worktree: Path, names: list[str]) -> list[tuple[str, str]]:
    """What is wrong with files that a command wrote, as with edits; a link is not followed."""
    found = []
    for name in names:
        path = worktree / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
            text = path.read_text(encoding="utf-8", errors="replace")
            found.append((name, await complain(path, name, text)))
    return found


@tool(RunCommand, writes=True)
async def run_command(arguments: RunCommand, workspace: Workspace) -> ToolOutput:
    """Run a command in the worktree, with the target's own interpreter and packages, for at most 120 seconds. It has no
    network but its own loopback, no git, and no data; only the worktree and a scratch folder ($HOME) can be written."""
    if workspace.worktree is None:
        raise ToolError("there is no worktree to run commands in here")
    env = await prepare_environment(workspace)
    # Of this worktree alone: another attempt may be at work beside it, and its folder is removed at the end.
    scratch = workspace.folder / f"scratch-{workspace.worktree.name}"
    place = Place(env=env, workdir=workspace.worktree, scratch=scratch)
    link_packages(env, workspace.worktree)
    before = set(await changed_paths(workspace.worktree))
    try:
        async with quiet_lease(workspace):
            # Braces are the command's own: placeholders are for the description.
            literal = arguments.command.replace("{", "{{").replace("}", "}}")
            done = await run_at(workspace, place, literal, timeout=TIMEOUT_S, network="none", cap=CAP)
    except UserError as error:
        raise ToolError(str(error)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    parts = [f"took over {TIMEOUT_S:.0f} s and was ended" if done.timed_out else f"exit code {done.code}"]
    parts += [text.rstrip() for text in (done.out, done.err) if text.strip()]
    after = await changed_paths(workspace.worktree)
    if new := sorted(set(after) - before):
        parts.append(f"[changed by this command: {', '.join(new[:20])}{' …' if len(new) > 20 else ''}]")
        parts += [
            f"{name}:{complaint}" for name, complaint in await _complaints(workspace.worktree, new[:20]) if complaint
        ]
    if forbidden := violations(after, workspace.protected):
        parts.append(f"[protected, so this can't be kept: {', '.join(forbidden[:20])}; restore these files]")
    return ToolOutput(content="\n".join(parts), is_error=not done.ok)
