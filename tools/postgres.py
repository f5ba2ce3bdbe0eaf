"""PostgreSQL: a private server of the run, databases made from a template, each with a role of its own."""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perfcrew.errors import InstrumentError
from tools.launch import free_port
from tools.lease import locked
from tools.process import Process, run, start
from tools.run_network import close_door_of, from_here
from tools.sandbox import Sandbox
from tools.server import Server, as_user, check_url, hand_over
from tools.workspace import Workspace

if TYPE_CHECKING:
    from psycopg import AsyncConnection

READY_S = 30.0
SEEDER = "perfcrew_seed"
_VARIABLES = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/tmp"}
_running: dict[Path, tuple[Process, str]] = {}


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`.

    Raises:
        InstrumentError: there is none.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _version(path.parent.name))
    on_path = shutil.which("initdb")
    linked = [Path(on_path).resolve().parent] if on_path else []
    for folder in [*linked, *reversed(versions), *Path("/usr").glob("pgsql*/bin")]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise InstrumentError(
        "PostgreSQL's server programs are not installed: install them (Debian: apt-get install postgresql), "
        "or set database.url to a server on which perfcrew may create databases"
    )


def _version(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return 0.0


async def find_server(workspace: Workspace) -> Server:
    """The user's server where the description names one, else the run's own, started at first use.

    Raises:
        UserError: the URL is not one that arms can reach.
        InstrumentError: PostgreSQL is missing or does not start.
    """
    url = workspace.target.database.url if workspace.target.database else None
    if url is None:
        return Server(await _private_server(workspace), private=True)
    check_url(url)
    return Server(url, private=False)


async def _private_server(workspace: Workspace) -> str:
    folder = workspace.data / "postgres"
    async with locked(workspace.data / "postgres.lock"):
        known = _running.get(workspace.folder)
        if known is not None and known[0].alive:
            return known[1]
        programs = find_programs()
        sandbox = Sandbox(
            writable=(folder,), readable=(programs.parent,), network=workspace.reach, confined=workspace.sandbox
        )
        await _init_cluster(programs, folder, sandbox)
        port = free_port(workspace)
        # The number that a killed server left behind may be any process's by now, even the new server's own.
        (folder / "cluster" / "postmaster.pid").unlink(missing_ok=True)
        log = workspace.logs / "postgres.log"
        process = await start(
            as_user([*_serve(programs, folder / "cluster", port)], sandbox),
            cwd=folder, environment=_VARIABLES, log=log, sandbox=sandbox, register=workspace.processes,
        )  # fmt: skip
        password = (folder / "password").read_text().strip()
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        try:
            await _wait_ready(process, url)
        except BaseException:
            await process.stop(grace_s=0)
            raise
        _running[workspace.folder] = (process, url)
        return url


def _serve(programs: Path, cluster: Path, port: int) -> list[str]:
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "300"}
    for library in (programs.parent / "lib", Path("/usr/lib64/pgsql")):
        if (library / "pg_stat_statements.so").exists():
            options["shared_preload_libraries"] = "pg_stat_statements"
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return [str(programs / "postgres"), "-D", str(cluster), "-p", str(port), *words]


async def _init_cluster(programs: Path, folder: Path, sandbox: Sandbox) -> None:
    if (folder / "cluster" / "PG_VERSION").exists() and (folder / "password").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    hand_over(sandbox, folder, password)
    argv = [
        str(programs / "initdb"), "-D", str(folder / "cluster"), "-U", "postgres", f"--pwfile={password}", "--no-sync",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
    ]  # fmt: skip
    done = await run(as_user(argv, sandbox), cwd=folder, environment=_VARIABLES, timeout=120, sandbox=sandbox)
    if not done.ok:
        raise InstrumentError(f"PostgreSQL: initdb failed: {done.last_line}; or set database.url to a server of yours")


async def _wait_ready(process: Process, url: str) -> None:
    import psycopg

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            while process.alive:
                try:
                    connection = await psycopg.AsyncConnection.connect(from_here(url), connect_timeout=5)
                    await connection.close()
                    return
                except psycopg.OperationalError:
                    await asyncio.sleep(0.02)
    lines = process.log.read_text(errors="replace").strip().splitlines()
    raise InstrumentError(f"PostgreSQL did not start: {lines[-1] if lines else 'no output'} (log: {process.log})")


async def stop_server(workspace: Workspace) -> None:
    """Stop the run's private server, if it runs. Its data stays for a resume."""
    known = _running.pop(workspace.folder, None)
    if known is not None:
        await known[0].stop(grace_s=10)
        close_door_of(known[1])


@contextlib.asynccontextmanager
async def connect(url: str) -> AsyncIterator["AsyncConnection"]:
    """A connection in autocommit mode.

    Raises:
        InstrumentError: the server can't be reached or refuses.
    """
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(from_here(url), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        where = urlsplit(url).netloc.rpartition("@")[2]
        raise InstrumentError(f"PostgreSQL at {where}: {str(error).strip().splitlines()[0]}") from error
    async with connection:
        yield connection


async def create_pristine(server: Server, name: str) -> str:
    """An empty database to be seeded, in place of one with that name, and the URL to seed it with."""
    await drop_database(server, name)
    password = secrets.token_urlsafe(16)
    async with connect(server.url) as connection:
        await _execute(connection, "CREATE DATABASE {}", name)
        if not server.private:
            return server.url_of(name)
        found = await (await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (SEEDER,))).fetchone()
        await _execute(connection, "{verb} ROLE {} LOGIN PASSWORD {secret}", SEEDER, secret=password,
                       verb="ALTER" if found else "CREATE")  # fmt: skip
        # Not its owner: a copy's role takes over all that the seeder owns, which must not be the original itself.
        await _execute(connection, "GRANT ALL ON DATABASE {} TO {}", name, SEEDER)
    async with connect(server.url_of(name)) as connection:
        await _execute(connection, "GRANT ALL ON SCHEMA public TO {}", SEEDER)
    return server.url_of(name, SEEDER, password)


async def seal_pristine(server: Server, name: str) -> None:
    """Gather statistics, as any server would have after a while, and let nobody in again."""
    async with connect(server.url_of(name)) as connection:
        await connection.execute("VACUUM (ANALYZE)")
    async with connect(server.url) as connection:
        await _execute(connection, "ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", name)


async def copy_database(server: Server, template: str, name: str) -> str:
    """A copy of a sealed database, and its URL."""
    async with connect(server.url) as connection:
        if not server.private:
            await _execute(connection, "CREATE DATABASE {} TEMPLATE {}", name, template)
            return server.url_of(name)
        password = secrets.token_urlsafe(16)
        await _execute(connection, "CREATE ROLE {} LOGIN PASSWORD {secret}", name, secret=password)
        await _execute(connection, "CREATE DATABASE {} OWNER {} TEMPLATE {}", name, name, template)
        await _execute(connection, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", name)
    async with connect(server.url_of(name)) as connection:
        await _execute(connection, "REASSIGN OWNED BY {} TO {}", SEEDER, name)
    return server.url_of(name, name, password)


async def drop_database(server: Server, name: str) -> None:
    """Remove a database, its sessions and its role. Does nothing where there is none."""
    async with connect(server.url) as connection:
        await _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        if server.private:
            await _execute(connection, "DROP ROLE IF EXISTS {}", name)


async def count_index_scans(server: Server, name: str) -> dict[str, int]:
    """How often each index of a database was used; its sessions are ended, which is when they hand in their counts."""
    async with connect(server.url) as connection:
        for _ in range(100):
            rows = await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            if not await rows.fetchall():
                break
            await asyncio.sleep(0.02)
    async with connect(server.url_of(name)) as connection:
        rows = await connection.execute("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes")
        return {str(index): int(scans) for index, scans in await rows.fetchall()}


async def list_databases(server: Server, prefix: str) -> list[str]:
    """Names of the databases that begin with a prefix."""
    async with connect(server.url) as connection:
        rows = await connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (prefix,))
        return sorted(str(row[0]) for row in await rows.fetchall())


async def _execute(connection: "AsyncConnection", text: str, *names: str, secret: str = "", verb: str = "") -> None:
    import psycopg
    from psycopg import sql

    statement = sql.SQL(text).format(*map(sql.Identifier, names), secret=sql.Literal(secret), verb=sql.SQL(verb))
    try:
        await connection.execute(statement)
    except psycopg.Error as error:
        raise InstrumentError(f"PostgreSQL: {text.split(' {')[0]}: {str(error).strip().splitlines()[0]}") from error
