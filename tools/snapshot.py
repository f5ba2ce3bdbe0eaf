"""Copies of folders: programs run in them, so that what they leave behind is in nobody's way."""

import asyncio
import itertools
import os
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tools.workspace import Workspace

_numbers = itertools.count(1)


@asynccontextmanager
async def snapshot(workspace: Workspace, worktree: Path) -> AsyncIterator[Path]:
    """A copy of a worktree as it stands, without its `.git`, for as long as the block lasts."""
    folder = workspace.data / "snapshots" / f"{os.getpid()}-{next(_numbers)}"
    try:
        await copy_worktree(worktree, folder)
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def copy_worktree(worktree: Path, folder: Path) -> None:
    """Copy a worktree as it stands, without its `.git`, to a folder that does not exist yet."""
    own = str(worktree)

    def ignored(where: str, _: list[str]) -> set[str]:
        return {".git"} if where == own else set()

    await asyncio.to_thread(shutil.copytree, worktree, folder, symlinks=True, ignore=ignored, copy_function=copy_file)


def copy_file(source: str, target: str) -> None:
    """Copy a file inside the kernel: where the file system can, the copy shares its blocks until one is written."""
    if not stat.S_ISREG(os.lstat(source).st_mode):
        # Opening a pipe that someone left there would wait for ever.
        return
    with open(source, "rb") as reader, open(target, "wb") as writer:  # noqa: PTH123  shutil gives plain names
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0:
                done = os.copy_file_range(reader.fileno(), writer.fileno(), left)
                if done == 0:
                    break
                left -= done
        except OSError:
            reader.seek(0)
            writer.seek(0)
            writer.truncate()
            shutil.copyfileobj(reader, writer, 1 << 20)
    shutil.copystat(source, target)
