"""Commands of the coder: anything, inside the sandbox, in its worktree."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field

from perfcrew.errors import ToolError, UserError
from perfcrew.records.base import Record
from tools.edit import MAX_BYTES, violations
from tools.environment import prepare_environment
from tools.git import changed_paths, list_paths
from tools.launch import Place, link_packages, run_at, runtime_folders
from tools.lease import quiet_lease
from tools.lint import complain
from tools.paths import is_secret
from tools.process_output import Finished
from tools.sandbox import VISIBLE
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

TIMEOUT_S = 120.0
CAP = 5000
"""Bytes shown of the output, half from its beginning and half from its end."""

_REFUSALS = {
    "it tried to write outside its folders": ("Read-only file system",),
    "it tried to reach the network": ("Network is unreachable", "Temporary failure in name resolution"),
}
"""What programs say when the sandbox refuses them. One that says nothing is refused all the same."""
_COMMON = ("/", "/tmp", "/var/tmp", "/dev/shm")
"""Folders that are everywhere."""


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
    # The application may need its secrets; a command of a model's does not.
    secret = tuple(path for path in await list_paths(workspace.worktree) if is_secret(path))
    place = Place(env=env, workdir=workspace.worktree, scratch=scratch, masked=secret)
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
    parts = [f"ended: {done.exceeded}"] if done.exceeded else []
    parts += [f"took over {TIMEOUT_S:.0f} s and was ended" if done.timed_out else f"exit code {done.code}"]
    parts += [text.rstrip() for text in (done.out, done.err) if text.strip()]
    after = await changed_paths(workspace.worktree)
    if new := sorted(set(after) - before):
        parts.append(f"[changed by this command: {', '.join(new[:20])}{' …' if len(new) > 20 else ''}]")
        parts += [
            f"{name}:{complaint}" for name, complaint in await _complaints(workspace.worktree, new[:20]) if complaint
        ]
    forbidden = violations(after, workspace.protected)
    if forbidden:
        parts.append(f"[protected, so this can't be kept: {', '.join(forbidden[:20])}; restore these files]")
    words = _named(arguments.command, (workspace.worktree, env, *runtime_folders(env)))
    refused = tuple(_refused(words, done, forbidden))
    return ToolOutput(content="\n".join(parts), is_error=not done.ok, refused=refused)


def _refused(named: Sequence[str], done: Finished, forbidden: Sequence[str]) -> Iterator[str]:
    """What a command reached for in vain, as far as its words, its output and its traces tell."""
    if done.exceeded or done.timed_out:
        yield f"limits: {done.exceeded or f'it took over {TIMEOUT_S:g} s'}"
    if done.detached:
        yield "kernel: it left a process in a session of its own, which was ended with it"
    if forbidden:
        yield f"commit rules: it changed {', '.join(forbidden[:5])}"
    for what, signs in _REFUSALS.items():
        if any(sign in text for sign in signs for text in (done.out, done.err)):
            yield f"sandbox: {what}"
    if named:
        yield f"sandbox: it named {', '.join(named[:5])}, which is out of its sight"


def _named(command: str, seen: Sequence[Path]) -> list[str]:
    """Words of a command that are paths which it can't see; `seen` are folders that it can, the worktree first."""

    def is_out_of_bounds(word: str) -> bool:
        path = word.lstrip("/~")
        if is_secret(path) or ".git" in path.split("/") or path in ("perfcrew.toml", "etc/shadow"):
            return True
        aim = Path(os.path.normpath(seen[0] / word))
        if "/" not in word or any(aim.is_relative_to(folder) for folder in (*seen, *map(Path, VISIBLE))):
            return False
        # What is nowhere can't be meant, such as a file that the command makes in its own /tmp.
        return ".." in Path(word).parts or (aim.parent.is_dir() and aim.parent not in map(Path, _COMMON))

    configures = re.findall(r"\bgit\s+(?:-\S+\s+)*config\b", command)
    return [*configures, *(word for word in dict.fromkeys(re.split(r"[^\w./~-]+", command)) if is_out_of_bounds(word))]
