"""The planted applications as targets: each in a repository of its own, with the workspace of a run on it."""

import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from graphs.instruments import take_payload, take_queries
from perfcrew.artifacts import Artifacts
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Workload
from perfcrew.records.work import Finding
from perfcrew.settings import installer_variables
from tests.e2e.patches import Patch, apply
from tests.unit.target_repo import VARIABLES
from tools import git
from tools.cpu import measure_cpu
from tools.database import close_databases
from tools.detectors import detect
from tools.explain import explain_queries
from tools.process import run
from tools.run_network import network_here
from tools.sandbox import available
from tools.target import load_target
from tools.workspace import Workspace

APPS = Path(__file__).parents[1] / "apps"
CASES = Path(__file__).parents[2] / "evals" / "cases"


@asynccontextmanager
async def opened(name: str, folder: Path, home: Path) -> AsyncIterator[Workspace]:
    """A run's workspace on a copy of an application, planted or bundled; its databases are gone afterwards."""
    repo = folder / name
    case = CASES / name
    source, described = (APPS / name, None) if (APPS / name).exists() else (case / "app", case / "perfcrew.toml")
    shutil.copytree(source, repo, ignore=shutil.ignore_patterns("__pycache__", "node_modules", "*.db"))
    for line in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m First"):
        await _git(repo, *line.split())
    target, config = load_target(repo, described)
    workspace = Workspace(
        run_id="run-1", folder=folder / "run", home=home, target=target,
        base_commit=await _git(repo, "rev-parse", "HEAD"), artifacts=Artifacts(folder / "run" / "artifacts"),
        environment="test", quick=True, protected=(*target.protected, *target.target.setup_inputs),
        config_folder=config.parent, config_path=config, installers=installer_variables(),
        network=network_here(target.reachable) if available() else None,
    )  # fmt: skip
    await git.clone(repo, workspace.clone)
    try:
        yield workspace
    finally:
        await close_databases(workspace)


async def commit_patch(workspace: Workspace, patch: Patch) -> str:
    """A patch as a commit on the base, in the workspace's clone; its hash."""
    folder = workspace.folder / "patched"
    await _git(workspace.clone, "worktree", "add", "--force", "--detach", str(folder), workspace.base_commit)
    apply(patch, folder)
    await _git(folder, "add", "--all")
    await _git(folder, "commit", "--quiet", "-m", patch.title)
    return await _git(folder, "rev-parse", "HEAD")


def workload_of(workspace: Workspace, name: str) -> Workload:
    """A workload by its name."""
    return next(workload for workload in workspace.target.workload if workload.name == name)


async def look_at(workspace: Workspace, name: str, *, cpu: bool = False) -> dict[str, Evidence]:
    """What the instruments give of a workload on the base, by kind; none of it is decided by a clock."""
    workload, commit = workload_of(workspace, name), workspace.base_commit
    traced = await take_queries(workspace, commit, workload, "base")
    found = [traced, await take_payload(workspace, commit, workload, "base")]
    found.append(await explain_queries(workspace, traced, arm_name="base"))
    if cpu:
        found.append(await measure_cpu(workspace, commit, workload, "base"))
    return {item.kind: item for item in found}


def findings_of(evidence: Iterable[Evidence]) -> dict[str, Finding]:
    """What the detectors find, by id."""
    return {finding.id: finding for finding in detect(evidence)}


async def _git(folder: Path, *words: str) -> str:
    done = await run(["git", *words], cwd=folder, environment=VARIABLES, timeout=60)
    assert done.ok, done.err
    return done.out.strip()
