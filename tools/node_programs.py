"""Node programs that perfcrew does not bring along: where they are found, and how they are run.

Looked for in this order: the `node_modules` folder that the user named, PATH, what the target itself installed, and
what `npx --no-install` knows. Nothing is ever downloaded.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perfcrew.errors import InstrumentError
from tools.launch import runtime_folders
from tools.process import run
from tools.process_output import Finished
from tools.sandbox import Sandbox
from tools.workspace import Workspace


@dataclass(frozen=True)
class NodeProgram:
    """A program and the folder that it must be able to read."""

    argv: tuple[str, ...]
    readable: tuple[Path, ...] = ()


async def find_program(workspace: Workspace, name: str, target: Path | None = None) -> NodeProgram:
    """Where a Node program is.

    Args:
        workspace: names the user's folder.
        name: the program's, which is also its package's.
        target: the `node_modules` that the target installed.

    Raises:
        InstrumentError: it isn't there, or Node isn't; the line says what to install.
    """
    if shutil.which("node") is None:
        raise InstrumentError(f"{name} needs Node, which is not on PATH: install it (Debian: apt install nodejs npm)")
    given = workspace.programs.get("node_modules")
    if given is not None and not given.is_dir():
        raise InstrumentError(f"no folder {given}, which PERFCREW_NODE_MODULES names: correct or unset it")
    for folder in (given, target):
        if folder is not None and (folder / ".bin" / name).exists():
            folder = folder.resolve()
            return NodeProgram((str(folder / ".bin" / name),), (folder,))
    if (found := shutil.which(name)) is not None:
        return NodeProgram((found,), (Path(found).resolve().parents[2],))
    if await _npx_knows(workspace, name):
        return NodeProgram((shutil.which("npx") or "npx", "--no-install", name))
    raise InstrumentError(
        f"{name} is not installed: npm install --global {name}, or set PERFCREW_NODE_MODULES to a folder that has it"
    )


async def _npx_knows(workspace: Workspace, name: str) -> bool:
    npx = shutil.which("npx")
    if npx is None:
        return False
    workspace.folder.mkdir(parents=True, exist_ok=True)
    done = await run(
        [npx, "--no-install", name, "--version"], cwd=workspace.folder, environment={"PATH": _path()}, timeout=30
    )
    return done.ok


async def run_program(
    workspace: Workspace, program: NodeProgram, arguments: Sequence[str], scratch: Path, *, timeout: float
) -> Finished:
    """Run a Node program in the sandbox, with a folder of its own as working directory and HOME; loopback reachable."""
    scratch.mkdir(parents=True, exist_ok=True)
    return await run(
        [*program.argv, *arguments],
        cwd=scratch,
        environment={"PATH": _path(), "HOME": str(scratch), "TMPDIR": str(scratch), "LANG": "C.UTF-8", "CI": "1"},
        timeout=timeout,
        sandbox=Sandbox(
            writable=(scratch,),
            readable=(*program.readable, *runtime_folders(scratch)),
            network=workspace.reach,
            confined=workspace.sandbox,
        ),
        cap=20_000,
    )


def _path() -> str:
    node = shutil.which("node")
    return os.pathsep.join([*([str(Path(node).parent)] if node else []), os.defpath])
