"""Load by Locust: a user's own locustfile, or any http workload from several hosts at once.

The locustfile runs unchanged, from the base commit's checkout, so that nothing a candidate changes can touch it, and
confined as everything of the target's is. With workers on other hosts Locust is the master here and hands its files to
the workers; those need Locust and nothing else.
"""

import contextlib
import json
import re
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Self

from perfcrew.errors import InstrumentError, UserError
from perfcrew.records.target import Workload
from tools.generator import (
    TIMEOUT_S,
    WARM_UP_USERS,
    Loaded,
    Round,
    Stop,
    asked_of,
    split_cores,
    tell_failures,
    to_round,
)
from tools.git import worktree_of
from tools.launch import runtime_folders
from tools.load_channel import Channel
from tools.sandbox import Sandbox
from tools.workspace import Workspace

PORT = 5557
"""Where a Locust master listens unless told otherwise."""

_GRACE_S = 3.0
"""A master takes leave of its workers, so that they wait for the next one at once."""

READY_S = 60.0
"""How long workers on other hosts may take to connect."""

WARM_UP_S = 1.0
DRAIN_S = 10.0
_LOCUST_S = 200.0
"""How long starting users, stopping them and collecting samples may take beyond a round's own time."""

_TOOLS = Path(__file__).parent
_SENT_ALONG = {"sequence": "perfcrew_sequence", "locust_samples": "perfcrew_samples", "locust_http": "perfcrew_http"}


@dataclass(frozen=True)
class LoadWorkers:
    """The setting `PERFCREW_LOAD_WORKERS`: how many workers on other hosts, and this machine's address for them."""

    count: int
    host: str
    port: int = PORT

    @classmethod
    def read(cls, setting: str) -> Self | None:
        """`COUNT@ADDRESS` or `COUNT@ADDRESS:PORT`; None for an empty setting.

        Raises:
            UserError: it is neither.
        """
        if not setting:
            return None
        match = re.fullmatch(r"(\d+)@([\w.-]+|\[[0-9A-Fa-f:]+\])(?::(\d+))?", setting)
        if match is None or int(match[1]) < 1:
            raise UserError(f"PERFCREW_LOAD_WORKERS: expected COUNT@ADDRESS[:PORT], as 2@10.0.0.5, got {setting!r}")
        return cls(int(match[1]), match[2], int(match[3] or PORT))

    def reach(self, url: str) -> str:
        """An arm's address as the workers see it."""
        return re.sub(r"//(127\.0\.0\.1|localhost|\[::1\])(?=[:/]|$)", f"//{self.host}", url)


@dataclass(frozen=True)
class LocustLoader:
    """A workload that Locust puts on arms."""

    channel: Channel
    workload: Workload
    workers: LoadWorkers | None
    held_out: bool = False
    instrument: ClassVar[str] = f"locust {version('locust')}"

    async def warm_up(self, arm: Loaded) -> int:
        """Few users for a second.

        Raises:
            InstrumentError: nothing was answered as expected.
        """
        users = min(WARM_UP_USERS, self.workload.users)
        seen = await self._drive(arm, WARM_UP_S, seed=0, users=users, rate=None)
        if not any(row[5] for row in seen.requests):
            raise InstrumentError(
                f"workload {self.workload.name}: no request succeeded ({tell_failures(seen)}); check "
                f"{self.workload.locustfile or 'its paths'}"
            )
        return len(seen.requests)

    async def round(self, arm: Loaded, seconds: float, seed: int, stop: Stop | None = None) -> Round:  # noqa: ARG002  Locust goes on
        """One round of its users."""
        open_model = self.workload.kind == "http" and self.workload.rate is not None
        users = self.workload.connections if open_model else self.workload.users
        rate = self.workload.rate if open_model else None
        return await self._drive(arm, seconds, seed=seed, users=users, rate=rate)

    async def _drive(self, arm: Loaded, seconds: float, *, seed: int, users: int, rate: float | None) -> Round:
        requests, params = asked_of(self.workload, self.held_out)
        job: dict[str, Any] = {
            "url": self.workers.reach(arm.url) if self.workers else arm.url, "users": users, "rate": rate,
            "spawn_rate": self.workload.spawn_rate, "seconds": seconds, "seed": seed, "think_s": self.workload.think_s,
            "requests": [request.model_dump(mode="json", by_alias=True) for request in requests], "params": params,
            "timeout_s": TIMEOUT_S, "drain_s": DRAIN_S, "ready_s": READY_S,
        }  # fmt: skip
        return to_round(await self.channel.ask(job, seconds + DRAIN_S + _LOCUST_S))


@contextlib.asynccontextmanager
async def open_locust(
    workspace: Workspace, workload: Workload, *, held_out: bool = False
) -> AsyncIterator[LocustLoader]:
    """Locust with the files of a workload, ready for rounds.

    Raises:
        InstrumentError: the locustfile is missing in the base commit, or can't be loaded.
        UserError: the setting for load workers can't be read.
    """
    workers = LoadWorkers.read(workspace.load_workers)
    with tempfile.TemporaryDirectory(prefix="perfcrew-") as name:
        folder = Path(name)
        checkout = None
        # Where Locust runs in one process, that process has imported it already: twice would count twice.
        owner = secrets.token_hex(8)
        files = [_send_along(folder, "locust_samples", owner)] if workers else []
        if workload.kind == "locust":
            checkout = await worktree_of(workspace, workspace.base_commit)
            file = file_of(workload, held_out)
            path = checkout / file
            if not path.is_file():
                raise InstrumentError(
                    f"workload {workload.name}: {file} is not in the base commit "
                    f"{workspace.base_commit[:10]}; commit it"
                )
            files.insert(0, path)
        else:
            files += [_send_along(folder, "sequence"), _send_along(folder, "locust_http")]
        config = {
            "files": [str(path) for path in files], "workers": workers.count if workers else 0,
            "bind": workers.host if workers else "", "port": workers.port if workers else 0, "owner": owner,
        }  # fmt: skip
        argv = [sys.executable, "-I", "-u", "-m", "tools.locust_worker", json.dumps(config)]
        log = workspace.folder / "logs" / "locust_worker.log"
        sandbox = _confine(workspace, folder, [checkout] if checkout else [])
        try:
            async with Channel.open(
                argv, log=log, cpus=split_cores()[1], folder=folder, cwd=checkout, sandbox=sandbox, grace_s=_GRACE_S
            ) as channel:
                yield LocustLoader(channel, workload, workers, held_out)
        except InstrumentError as error:
            raise InstrumentError(_explain(str(error), workload)) from error


def file_of(workload: Workload, held_out: bool) -> str:
    """The locustfile of a workload, or of its held-out variant."""
    other = workload.held_out.locustfile if held_out and workload.held_out else None
    return str(other or workload.locustfile)


def _send_along(folder: Path, module: str, owner: str = "") -> Path:
    """A copy of one of our modules under a name that hurts nobody's, as workers on other hosts get it."""
    text = (_TOOLS / f"{module}.py").read_text().replace('OWNER = ""', f'OWNER = "{owner}"')
    for ours, theirs in _SENT_ALONG.items():
        text = text.replace(f"from tools.{ours} import", f"from {theirs} import")
    path = folder / f"{_SENT_ALONG[module]}.py"
    path.write_text(text)
    return path


def _confine(workspace: Workspace, folder: Path, checkouts: Sequence[Path]) -> Sandbox:
    environment = Path(sys.prefix)
    return Sandbox(
        writable=(folder,),
        readable=(*checkouts, environment, _TOOLS.parent, *runtime_folders(environment)),
        network=workspace.reach,
        confined=workspace.sandbox,
    )


def _explain(message: str, workload: Workload) -> str:
    missing = re.search(r"No module named '([\w.]+)'", message)
    if missing:
        return (
            f"workload {workload.name}: {workload.locustfile} imports {missing[1]}, which is not installed beside "
            f"perfcrew; remedy: uv tool install perfcrew --with {missing[1].partition('.')[0]}"
        )
    return message
