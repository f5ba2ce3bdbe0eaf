"""Where escapes are attempted: a small target at work in a run's folders, and beside it what must stay out of reach."""

import asyncio
import contextlib
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perfcrew.artifacts import Artifacts
from perfcrew.records.target import Target
from tools import git, process
from tools.process_output import Finished
from tools.run_network import network_here
from tools.sandbox import Sandbox, standard_quota
from tools.workspace import Workspace

PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")
SECRET = "held-out-canary"
FILES = {
    "app.py": "value = 1\n",
    "tests/test_app.py": "def test_app():\n    assert True\n",
    "load/locustfile.py": "users = 1\n",
    "load/held_out.py": f"# {SECRET}\n",
    "perfcrew.toml": f"# {SECRET}\n",
    ".env": f"KEY={SECRET}\n",
    "certs/server.key": f"{SECRET}\n",
}
_USER = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "User", "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "User", "GIT_COMMITTER_EMAIL": "user@example.org",
}  # fmt: skip
_DESCRIPTION: dict[str, Any] = {
    "target": {"name": "app", "start": "true", "test": f"{PYTHON} -c pass"},
    "workload": [
        {
            "name": "users", "kind": "locust", "locustfile": "load/locustfile.py", "users": 1,
            "held_out": {"locustfile": "load/held_out.py"},
        },
    ],
}  # fmt: skip


@dataclass
class Ground:
    """The world of one attempt.

    Attributes:
        workspace: the run, at work in the coder's worktree.
        work: that worktree.
        outside: a folder beside the run that nothing inside may see.
        port: where something of this machine listens on loopback.
        abstract: name of an abstract Unix socket of this machine.
    """

    workspace: Workspace
    work: Path
    outside: Path
    port: int
    abstract: str

    async def confined(self, script: str, *, timeout: float = 15.0, **quota: int) -> Finished:
        """Run a Python script in the sandbox of a command, with smaller limits."""
        sandbox = Sandbox(
            writable=(self.work,),
            readable=(Path(sys.base_prefix),),
            quota=replace(standard_quota(), **quota),
        )
        return await process.run(
            [PYTHON, "-c", script], cwd=self.work, environment={"PATH": "/usr/bin:/bin"}, timeout=timeout,
            sandbox=sandbox,
        )  # fmt: skip

    def known(self) -> dict[str, str]:
        """What the scripts of attempts may name."""
        return {
            "PYTHON": PYTHON, "OUTSIDE": str(self.outside), "WORK": str(self.work), "PORT": str(self.port),
            "CLONE": str(self.workspace.clone), "RUN": str(self.workspace.folder), "ABSTRACT": self.abstract,
        }  # fmt: skip


@asynccontextmanager
async def prepared() -> AsyncIterator[Ground]:
    """A fresh ground; all of it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="perfcrew-escapes-") as name, contextlib.ExitStack() as open_:
        folder = Path(name)
        outside = folder / "outside"
        (outside / ".ssh").mkdir(parents=True)
        (outside / "kept").write_text(SECRET)
        (outside / ".ssh" / "id_rsa").write_text(SECRET)
        head = await _make_repo(folder / "user")
        target = Target.model_validate(_DESCRIPTION)
        workspace = Workspace(
            run_id="escapes", folder=folder / "run", home=folder / "home", target=target, base_commit=head,
            artifacts=Artifacts(folder / "run" / "artifacts"), environment="bench",
            protected=(*target.protected, *target.target.setup_inputs, *target.locustfiles),
            config_path=folder / "user" / "perfcrew.toml", config_folder=folder / "user", network=network_here(),
        )  # fmt: skip
        await git.clone(folder / "user", workspace.clone)
        work = workspace.worktrees / "coder"
        await git.checkout(workspace.clone, head, work)
        listener = open_.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = f"perfcrew-{secrets.token_hex(8)}"
        beside = open_.enter_context(socket.socket(socket.AF_UNIX))
        beside.bind(f"\0{abstract}")
        beside.listen()
        yield Ground(replace(workspace, worktree=work), work, outside, listener.getsockname()[1], abstract)
        # Whatever was killed has let go of its files by now.
        await asyncio.sleep(0)


async def _make_repo(folder: Path) -> str:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    lines = ("init --quiet --initial-branch=main", "add --all --force", "commit --quiet -m First", "rev-parse HEAD")
    for line in lines:
        done = await process.run(["git", *line.split()], cwd=folder, environment=_USER, timeout=60)
        if not done.ok:
            raise RuntimeError(done.last_line)
    return done.out.strip()
