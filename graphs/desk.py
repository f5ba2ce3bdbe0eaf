"""One version of an application held open for a host that looks at it call by call.

A run knows what it needs and takes it all at once; a host asks for a file now and for a query's plan in an hour. So the
clone is made with the first call, environment and data with the first call that needs them, and all of it goes when
the host does. What a host writes lands in a checkout of its own, never in the user's.
"""

import asyncio
import shutil
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

from graphs.runs import claim_run
from graphs.survey import manifest_of
from graphs.workplace import make_workspace, prepare, tidied
from perfcrew.errors import UserError
from perfcrew.settings import Settings
from tools.git import checkout, clone, inspect_repo, reset, worktree_of
from tools.knowledge import build_graph
from tools.process_tree import end_leftovers
from tools.workspace import Workspace

FOLDER = "desks"


class Desk:
    """A repository's HEAD, as far as it was asked for.

    Args:
        repo: the user's repository; only read.
        config: description of the target; None for the repository's own.
        settings: of this process.
    """

    def __init__(self, repo: Path, config: Path | None, settings: Settings) -> None:
        self._repo, self._config, self._settings = repo, config, settings
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._workspace: Workspace | None = None
        self._prepared = self._mapped = False

    async def workspace(self, *, prepared: bool = False, mapped: bool = False) -> Workspace:
        """Where tools that only read work: the repository's HEAD.

        Args:
            prepared: with environment and data.
            mapped: with the knowledge graph.

        Raises:
            UserError: the description or its setup has mistakes.
        """
        async with self._opening:
            workspace = self._workspace = await self._follow_head()
            if prepared and not self._prepared:
                await prepare(workspace)
                self._prepared = True
            if mapped and not self._mapped:
                await build_graph(workspace, await worktree_of(workspace, workspace.base_commit))
                self._mapped = True
            return workspace

    async def patched(self) -> Workspace:
        """Where tools that write work: a checkout of its own, which begins at HEAD and keeps what was written."""
        workspace = await self.workspace(prepared=True)
        async with self._opening:
            folder = workspace.worktrees / "patch"
            if not folder.exists():
                await checkout(workspace.clone, workspace.base_commit, folder)
                await reset(folder, workspace.base_commit)
            return replace(workspace, worktree=folder)

    async def aclose(self) -> None:
        """End what runs for the host and remove everything."""
        workspace, self._workspace = self._workspace, None
        await self._stack.aclose()
        self._prepared = self._mapped = False
        if workspace is not None:
            await asyncio.to_thread(shutil.rmtree, workspace.folder, True)

    async def _follow_head(self) -> Workspace:
        """The open workspace while HEAD stands, or something was written on it; else one at the new HEAD."""
        state = await inspect_repo(self._repo)
        known = self._workspace
        if known is not None and (known.base_commit == state.head or (known.worktrees / "patch").exists()):
            return known
        await self.aclose()
        manifest = manifest_of("measure", state, self._config, quick=False)
        folder = self._settings.home / FOLDER / manifest.run_id
        workspace = make_workspace(manifest, folder, self._settings)
        await asyncio.to_thread(clear_abandoned, self._settings.home)
        folder.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(claim_run(folder))
        await self._stack.enter_async_context(tidied(workspace))
        await clone(state.root, workspace.clone)
        return workspace


def clear_abandoned(home: Path) -> None:
    """End and remove what a killed host left: nobody holds its folder any more."""
    for folder in [lock.parent for lock in (home / FOLDER).glob("*/run.lock")]:
        with suppress(UserError, OSError), claim_run(folder):
            end_leftovers(folder / "processes")
            shutil.rmtree(folder, ignore_errors=True)
