"""Where a run, a measure or a comparison works: its folder under perfcrew's home, with a clone of the repository."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from graphs.runs import Manifest
from perfcrew.artifacts import Artifacts, write_whole
from perfcrew.llm.choice import choose
from perfcrew.records.target import Target
from perfcrew.redaction import Redactor
from perfcrew.settings import Settings, installer_variables
from tools.arm import clear_leftovers
from tools.confidential import find_secrets
from tools.database import close_databases, prepare_pristine
from tools.environment import prepare_environment
from tools.git import worktree_of
from tools.lease import quiet_lease
from tools.machine import describe_machine, machine_digest
from tools.run_network import network_here
from tools.sandbox import available
from tools.target import load_target
from tools.workspace import Workspace

KEPT = ("artifacts", "logs")
"""What stays of a folder: figures can be verified, failures understood."""


def make_workspace(manifest: Manifest, folder: Path, settings: Settings) -> Workspace:
    """The workspace that a manifest describes.

    Raises:
        UserError: the target's description has mistakes.
    """
    target, config = load_target(manifest.repo, manifest.config)
    confined = settings.sandbox == "auto"
    # Hosts that send load have to reach the applications from outside.
    apart = confined and available() and not settings.load_workers
    return Workspace(
        run_id=manifest.run_id,
        folder=folder,
        home=settings.home,
        target=target,
        base_commit=manifest.base,
        artifacts=Artifacts(folder / "artifacts", redactor_of(target, manifest.repo, config, settings)),
        environment=machine_digest(describe_machine(), manifest.quick),
        sandbox=confined,
        quick=manifest.quick,
        protected=(*target.protected, *target.target.setup_inputs, *target.locustfiles),
        config_folder=config.resolve().parent,
        config_path=config.resolve(),
        installers=installer_variables(),
        load_workers=settings.load_workers,
        programs=settings.programs,
        network=network_here(target.reachable) if apart else None,
    )


def redactor_of(target: Target, repo: Path, config: Path, settings: Settings) -> Redactor:
    """What takes the secrets of a target and of this process out of everything that a run keeps or sends."""
    found = find_secrets(target, (repo, config.resolve().parent), installer_variables())
    # An application may name the same model: taken out, nobody could tell any more who answered, and at what price.
    models = choose(settings, target.models).names
    secrets = {value for value in found if not any(value in model for model in models)}
    return Redactor(secrets | settings.secrets())


def redact_logs(workspace: Workspace) -> None:
    """Take secrets out of what servers, seeds and tests wrote into the run's logs; they write there themselves."""
    for path in workspace.logs.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            redacted = workspace.artifacts.redactor.content(content)
            if redacted is not content:
                write_whole(path, redacted)


async def prepare(workspace: Workspace) -> None:
    """Checkout, environment and pristine data of the workspace's base commit.

    Raises:
        UserError: the setup or the seed of the target's description failed.
    """
    async with quiet_lease(workspace):
        await worktree_of(workspace, workspace.base_commit)
        await prepare_environment(workspace)
        if workspace.target.database:
            await prepare_pristine(workspace)


@asynccontextmanager
async def tidied(workspace: Workspace) -> AsyncIterator[None]:
    """However the block ends, no process, database, checkout or copy of data stays; when it is stopped, nothing."""
    finished = False
    try:
        yield
        finished = True
    except Exception:
        finished = True
        raise
    finally:
        try:
            await close_databases(workspace)
        finally:
            clear_leftovers(workspace)
            redact_logs(workspace)
            kept = KEPT if finished else ()
            for path in workspace.folder.iterdir():
                if path.is_dir() and path.name not in kept:
                    shutil.rmtree(path, ignore_errors=True)
            if not finished:
                shutil.rmtree(workspace.folder, ignore_errors=True)
