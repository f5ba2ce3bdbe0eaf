"""A version's build: what its sources are made into before it is started or tested, once for each version."""

import asyncio
import shutil
from pathlib import Path

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Check
from tools.environment import prepare_environment
from tools.git import tree_of, worktree_of
from tools.launch import Place, link_packages, run_at
from tools.lease import locked, quiet_lease
from tools.snapshot import copy_worktree
from tools.workspace import Workspace

BUILD_CHECK = "build"
BUILD_S = 900.0


async def build_in(workspace: Workspace, workdir: Path, env: Path) -> None:
    """Run the target's build, if it has one, in a copy of its sources. It has no network, as it runs a model's code.

    Raises:
        InstrumentError: it failed; the first line says why.
    """
    command = workspace.target.target.build
    if command is None:
        return
    scratch = workdir.with_name(f"{workdir.name}.home")
    try:
        place = Place(env=env, workdir=workdir, scratch=scratch)
        done = await run_at(workspace, place, command, timeout=BUILD_S, network="none")
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    if not done.ok:
        why = f"took over {BUILD_S:.0f} s" if done.timed_out else f"exit {done.code}: {done.last_line}"
        raise InstrumentError(f"the build failed: {command!r}: {done.exceeded or why}\n{(done.out + done.err)[-2000:]}")


async def built(workspace: Workspace, commit: str) -> Path:
    """A commit's files with what its build made of them. Who runs something there takes a copy.

    Raises:
        InstrumentError: the build failed.
    """
    env = await prepare_environment(workspace, commit)
    folder = workspace.folder / "built" / (await tree_of(workspace.clone, commit))[:16]
    async with quiet_lease(workspace), locked(folder.with_suffix(".lock")):
        if not folder.exists():
            making = folder.with_suffix(".making")
            await asyncio.to_thread(shutil.rmtree, making, ignore_errors=True)
            await copy_worktree(await worktree_of(workspace, commit), making)
            link_packages(env, making)
            await build_in(workspace, making, env)
            making.rename(folder)
    return folder


async def check_build(workspace: Workspace, commit: str) -> Check:
    """Whether a commit can be built, as a gate."""
    try:
        await built(workspace, commit)
    except InstrumentError as error:
        return Check(name=BUILD_CHECK, passed=False, detail=str(error))
    return Check(name=BUILD_CHECK, passed=True, detail=f"{workspace.target.target.build!r} made what is started")
