"""Live duels on `tunable_server.py`, whose versions differ by a known share of CPU time."""

import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from evals.bench.noise import Recorded
from perfcrew.artifacts import Artifacts
from perfcrew.records.target import Target
from tools import git
from tools.duel import Protocol, run_duel
from tools.git_command import git as run_git
from tools.workspace import Workspace

SERVER = Path(__file__).with_name("tunable_server.py")
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "bench"), ("EMAIL", "bench@example.org"), ("DATE", "2025-01-01T00:00:00Z"))
}
WORKLOAD = {"name": "tunable", "users": 4, "params": {"n": list(range(96))}, "request": [{"path": "/{n}"}]}
AT_ONCE = 8
"""Starts of one duel: as many as a thorough one makes before its first look."""
LIMIT_S = 270.0
"""Seconds after which no further duel is begun, so that four recordings end in twenty minutes on any machine."""


@contextlib.asynccontextmanager
async def open_target() -> AsyncIterator[Workspace]:
    """A workspace on a fresh repository that holds the server; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="perfcrew-bench-") as name:
        folder = Path(name)
        user = folder / "user"
        user.mkdir()
        await run_git(["init", "--quiet", "--initial-branch=main"], user)
        base = await _commit(user, 0.0)
        start = f"{Path(sys.base_prefix) / 'bin' / 'python3'} server.py {{port}}"
        target = Target.model_validate({"target": {"name": "tunable", "start": start}, "workload": [WORKLOAD]})
        workspace = Workspace(
            run_id="bench", folder=folder / "run", home=folder / "home", target=target, base_commit=base,
            artifacts=Artifacts(folder / "run" / "artifacts"), environment="bench",
        )  # fmt: skip
        await git.clone(user, workspace.clone)
        yield workspace


async def _commit(folder: Path, slowdown: float) -> str:
    source = SERVER.read_text(encoding="utf-8")
    changed = source.replace("SLOWDOWN = 0.0\n", f"SLOWDOWN = {slowdown!r}\n")
    (folder / "server.py").write_text(changed, encoding="utf-8")
    await run_git(["add", "--all"], folder)
    await run_git(["commit", "--quiet", "-m", f"Slow down by {slowdown:g}"], folder, IDENTITY)
    return (await run_git(["rev-parse", "HEAD"], folder)).strip()


async def slower_version(workspace: Workspace, slowdown: float) -> str:
    """A commit of the server that uses so much more CPU time for each answer."""
    worktree = workspace.worktrees / "slower"
    await git.checkout(workspace.clone, workspace.base_commit, worktree)
    return await _commit(worktree, slowdown)


async def record_starts(
    workspace: Workspace, base: str, candidate: str, starts: int, protocol: Protocol, *, limit_s: float = LIMIT_S
) -> Recorded:
    """Starts of real duels, as many as asked for and as begin within the limit; those of one duel at least."""
    found: list[list[dict[str, Any]]] = []
    began = time.monotonic()
    while len(found) < starts and (not found or time.monotonic() - began < limit_s):
        more = await _record(workspace, base, candidate, min(AT_ONCE, starts - len(found)), protocol)
        found += [[{**cell, "start": number} for cell in start] for number, start in enumerate(more, len(found))]
    return Recorded(found)


async def _record(
    workspace: Workspace, base: str, candidate: str, starts: int, protocol: Protocol
) -> list[list[dict[str, Any]]]:
    plan = protocol.model_copy(update={"looks": (starts,), "shares": (1.0,), "limit_s": 3600.0, "allocations": False})
    duel = await run_duel(
        workspace, base, candidate, workspace.target.primary, name="live", protocol=plan, floors={}, count=_nothing
    )
    by_start: dict[int, list[dict[str, Any]]] = {}
    for cell in workspace.artifacts.get_json(duel.samples)["cells"]:
        by_start.setdefault(cell["start"], []).append(cell)
    return [by_start[number] for number in sorted(by_start)]


async def _nothing(*_: object, **__: object) -> dict[str, list[float]]:
    return {}
