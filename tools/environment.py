"""The target's environment: what its setup commands make, kept for as long as what they depend on is unchanged."""

import ast
import asyncio
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from perfcrew.errors import UserError
from tools.command_line import fill
from tools.git import worktree_of
from tools.launch import Place, placeholders, runtime_folders, variables
from tools.lease import locked, quiet_lease
from tools.process import run
from tools.sandbox import Sandbox
from tools.workspace import Workspace

TIMEOUT_S = 1800.0
_USER_FILES = {
    "PIP_CONFIG_FILE": ".config/pip/pip.conf",
    "UV_CONFIG_FILE": ".config/uv/uv.toml",
    "npm_config_userconfig": ".npmrc",
}
"""Where installers find the user's package indexes; read-only, and for setup alone."""


async def prepare_environment(workspace: Workspace, commit: str = "") -> Path:
    """Run the target's setup, unless a run before has done so with the same commands and inputs, and give `{env}`.

    The setup inputs are the base commit's, or where the workspace says so those of the given one.
    The setup runs in a copy of that checkout, with network. What it installs beside the sources (`node_modules`)
    and from them (editable packages) is found out, so that each arm gets the former and imports its own of the latter.

    Raises:
        UserError: a command failed; the line names it, its last words, and the log.
    """
    chosen = commit if commit and workspace.own_environments else workspace.base_commit
    base = await worktree_of(workspace, chosen)
    root = workspace.home / "envs" / _digest(workspace, base)
    env = root / "env"
    if (root / "ready.json").exists():
        return env
    # The lease first, always: who holds it may be about to come here as well.
    async with quiet_lease(workspace), locked(root.with_suffix(".lock")):
        if not (root / "ready.json").exists():
            await _set_up(workspace, root, base)
    return env


def _digest(workspace: Workspace, base: Path) -> str:
    parts: list[object] = [
        workspace.target.target.setup,
        platform.python_version(),
        platform.machine(),
        sys.base_prefix,
    ]
    for name in sorted(workspace.target.target.setup_inputs):
        path = base / name
        if not path.is_file():
            where = "the base commit" if base.name == workspace.base_commit[:12] else f"commit {base.name}"
            raise UserError(f"perfcrew.toml: target, setup_inputs: {name} is not a file of {where}")
        parts.append([name, hashlib.sha256(path.read_bytes()).hexdigest()])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


async def _set_up(workspace: Workspace, root: Path, base: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
    place = Place(env=root / "env", workdir=root / "source", scratch=root / "home")
    for folder in (place.env, place.scratch):
        folder.mkdir(parents=True)
    await asyncio.to_thread(
        shutil.copytree, base, place.workdir, symlinks=True, ignore=shutil.ignore_patterns(".git", "node_modules")
    )
    cache = workspace.home / "cache"
    cache.mkdir(exist_ok=True)
    known = placeholders(workspace, place)
    sandbox = _setup_sandbox(workspace, place, cache)
    environment = {**variables(workspace, place, known, sandbox), **_installers(workspace, cache)}
    log = root / "setup.log"
    for command in workspace.target.target.setup:
        argv = fill(command, known)
        done = await run(argv, cwd=place.workdir, environment=environment, timeout=TIMEOUT_S, sandbox=sandbox)
        with log.open("a") as file:
            said = f"$ {command}\n{done.out}{done.err}[exit {done.code}]\n"
            file.write(workspace.artifacts.redactor.text(said))
        if not done.ok:
            why = f"took over {TIMEOUT_S:.0f} s" if done.timed_out else f"exit {done.code}: {done.last_line}"
            raise UserError(f"perfcrew.toml: target, setup: {command!r} failed: {why} (log: {log})")
    shutil.rmtree(place.scratch, ignore_errors=True)
    facts = {"sources": sorted(set(_sources(place))), "packages": _take_packages(place)}
    (root / "ready.partial").write_text(json.dumps({"commands": workspace.target.target.setup, "facts": facts}))
    (root / "ready.partial").rename(root / "ready.json")


def _setup_sandbox(workspace: Workspace, place: Place, cache: Path) -> Sandbox:
    named = [Path(part) for value in workspace.installers.values() for part in value.split(":") if part.startswith("/")]
    uv = Path(placeholders(workspace, place)["uv"])
    user_files = [Path.home() / name for name in _USER_FILES.values()]
    return Sandbox(
        writable=(place.env, place.workdir, place.scratch, cache),
        readable=(uv, uv.resolve(), *named, *user_files, *runtime_folders(place.env)),
        network="host",
        confined=workspace.sandbox,
    )


def _installers(workspace: Workspace, cache: Path) -> dict[str, str]:
    found = {name: Path.home() / path for name, path in _USER_FILES.items()}
    return {
        **{name: str(path) for name, path in found.items() if path.is_file()},
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_PYTHON_INSTALL_DIR": str(cache / "pythons"),
        "UV_SYSTEM_CERTS": "1",
        # Arms read the environment but never write it: what is not compiled now would be at every start.
        "UV_COMPILE_BYTECODE": "1",
        "PIP_CACHE_DIR": str(cache / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "npm_config_cache": str(cache / "npm"),
        "npm_config_update_notifier": "false",
        **workspace.installers,
    }


def _sources(place: Place) -> Iterator[str]:
    """Folders of the checkout that installed packages are imported from (editable installations)."""
    for site in place.env.glob("lib/python*/site-packages"):
        paths = [line for file in site.glob("*.pth") for line in file.read_text(errors="replace").splitlines()]
        paths += [package for file in site.glob("__editable__*finder.py") for package in _mapped(file)]
        for path in paths:
            # setuptools maps a package, whose parent has to be on the path; a line of a .pth file is that parent.
            if Path(path).is_relative_to(place.workdir) and Path(path).exists():
                yield str(Path(path).relative_to(place.workdir))


def _mapped(finder: Path) -> Iterator[str]:
    for node in ast.parse(finder.read_text(errors="replace")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "MAPPING" for target in targets):
            mapping: dict[str, str] = ast.literal_eval(getattr(node, "value"))  # noqa: B009  a statement of either kind
            yield from (str(Path(path).parent) for path in mapping.values())


def _take_packages(place: Place) -> list[str]:
    """Move every topmost `node_modules` out of the setup's copy, to be linked into each checkout."""
    taken = []
    for folder, folders, _ in os.walk(place.workdir):
        if "node_modules" in folders:
            name = (Path(folder) / "node_modules").relative_to(place.workdir)
            target = place.env / "packages" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (place.workdir / name).rename(target)
            taken.append(str(name))
            folders.remove("node_modules")
    return sorted(taken)
