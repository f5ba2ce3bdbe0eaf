"""The page application as a target in a repository of its own, for tests of the page instruments."""

import tomllib
from pathlib import Path
from typing import Any

from target_repo import make_workspace

from tools.workspace import Workspace

APP = Path(__file__).parents[1] / "apps" / "page"


async def make_page_workspace(folder: Path, **more: Any) -> Workspace:
    """The workspace of a run on the page application, quick."""
    files = {
        path.relative_to(APP).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(APP.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    target = tomllib.loads(files["perfcrew.toml"])
    return await make_workspace(folder, files, target, quick=True, **more)
