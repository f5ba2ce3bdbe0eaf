"""A small target in a git repository, and the workspace of a run on it, for tests of the instruments."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfcrew.artifacts import Artifacts
from perfcrew.records.target import Target
from tools import git
from tools.process import run
from tools.workspace import Workspace

PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")
VARIABLES = {
    "PATH": os.defpath, "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
       for what, value in (("NAME", "User"), ("EMAIL", "user@example.org"), ("DATE", "2025-01-01T00:00:00Z"))},
}  # fmt: skip


async def make_repo(folder: Path, files: Mapping[str, str]) -> str:
    """A repository with one commit; its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    words = (
        "init --quiet --initial-branch=main",
        "add --all",
        "commit --quiet --allow-empty -m First",
        "rev-parse HEAD",
    )
    for line in words:
        done = await run(["git", *line.split()], cwd=folder, environment=VARIABLES, timeout=60)
        assert done.ok, done.err
    return done.out.strip()


async def make_workspace(folder: Path, files: Mapping[str, str], target: Mapping[str, Any], **more: Any) -> Workspace:
    """The workspace of a run on a repository with these files; `target` is the description's `[target]` and others."""
    head = await make_repo(folder / "user", files)
    settings = {"name": "app", "start": "true", **target.get("target", {})}
    workload = ({"name": "home", "request": ({"path": "/"},)},)
    description = Target.model_validate({"workload": workload, **target, "target": settings})
    workspace = Workspace(
        run_id="run-1", folder=folder / "run", home=folder / "home", target=description, base_commit=head,
        artifacts=Artifacts(folder / "run" / "artifacts"), environment="test",
        protected=(*description.protected, *description.target.setup_inputs), **more,
    )  # fmt: skip
    await git.clone(folder / "user", workspace.clone)
    return workspace
