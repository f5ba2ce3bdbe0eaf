"""A database server on which a run makes its databases, whatever its kind."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from perfcrew.errors import InstrumentError, UserError
from tools.sandbox import NOBODY, Sandbox
from tools.workspace import Workspace

NETWORKED = ("postgresql", "mysql")
"""Engines that arms reach over TCP; SQLite is a file of theirs."""


@dataclass(frozen=True)
class Server:
    """A server on which databases can be made. `private` ones are ours alone: each database gets a role of its own."""

    url: str
    private: bool
    scheme: str = "postgresql"
    """Of the URLs that arms get, and the engine's name."""
    dumps: Path = Path()
    """Where a kind of server without templates keeps its dumps."""

    def url_of(self, database: str, role: str = "", password: str = "") -> str:
        """The URL of one of its databases, for a role or for the one that manages it."""
        parts = urlsplit(self.url)
        address = parts.netloc.rpartition("@")[2]
        user = f"{role}:{quote(password)}@{address}" if role else parts.netloc
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.scheme}://{user}/{database}{query}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or (3306 if self.scheme == "mysql" else 5432)


class ServerKind(Protocol):
    """What `tools.postgres` and `tools.mysql` offer alike."""

    async def find_server(self, workspace: Workspace) -> Server:
        """The user's server where the description names one, else the run's own."""
        ...

    async def create_pristine(self, server: Server, name: str) -> str:
        """An empty database to be seeded, and the URL to seed it with."""
        ...

    async def seal_pristine(self, server: Server, name: str) -> None:
        """Nothing changes it from now on."""
        ...

    async def copy_database(self, server: Server, template: str, name: str) -> str:
        """A copy of a sealed database, and its URL."""
        ...

    async def drop_database(self, server: Server, name: str) -> None:
        """Remove a database and its role."""
        ...

    async def list_databases(self, server: Server, prefix: str) -> list[str]:
        """Names of the databases that begin with a prefix."""
        ...

    async def stop_server(self, workspace: Workspace) -> None:
        """Stop the run's private server, if it runs."""
        ...


def check_url(url: str) -> None:
    """Refuse a URL that arms can't reach.

    Raises:
        UserError: it names no host.
    """
    host = urlsplit(url).hostname
    if not host or "%2f" in host.lower():
        raise UserError("perfcrew.toml: database, url: expected a host name or address; arms can't reach Unix sockets")


def as_user(argv: list[str], sandbox: Sandbox) -> list[str]:
    """Database servers refuse to be root. Inside the sandbox we are not; outside we have to become someone else."""
    if os.getuid() != 0 or sandbox.contained:
        return argv
    return ["/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", *argv]


def hand_over(sandbox: Sandbox, *paths: Path) -> None:
    """Give files to whoever `as_user` becomes.

    Raises:
        InstrumentError: nobody may enter their folder.
    """
    if os.getuid() != 0 or sandbox.contained:
        return
    for path in paths:
        closed = [folder for folder in path.resolve().parents if folder not in paths and not _open_to_all(folder)]
        if closed:
            raise InstrumentError(
                "as root and without bubblewrap a private database server runs as nobody, who may not enter "
                f"{closed[-1]}; install bubblewrap (Debian: apt install bubblewrap), or don't run as root"
            )
        os.chown(path, NOBODY, NOBODY)


def _open_to_all(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def reroute(url: str, port: int) -> str:
    """A database URL with another port on loopback in place of its host and port."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
