"""MySQL and MariaDB: a private MariaDB server of the run, databases restored from a dump, each with a role of its own.

They have no databases as templates. The pristine one is dumped once, and each copy is that dump restored.
"""

import asyncio
import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from perfcrew.errors import InstrumentError
from tools.launch import free_port
from tools.lease import locked
from tools.process import Process, run, start
from tools.run_network import close_door_of, from_here
from tools.sandbox import Sandbox
from tools.server import Server, as_user, check_url, hand_over
from tools.workspace import Workspace

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

READY_S = 30.0
RESTORE_S = 1800.0
SEEDER = "perfcrew_seed"
_VARIABLES = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8",
              "HOME": "/tmp"}  # fmt: skip
_ADDRESSES = ("127.0.0.1", "localhost")
_running: dict[Path, tuple[Process, str]] = {}


def find_program(*names: str) -> str:
    """The first of some programs that is installed.

    Raises:
        InstrumentError: none of them is.
    """
    for name in names:
        found = shutil.which(name, path=_VARIABLES["PATH"])
        if found:
            return found
    raise InstrumentError(
        f"MariaDB: {names[0]} is not installed: install the server and its clients (Debian: apt-get install "
        "mariadb-server), or set database.url to a server on which perfcrew may create databases"
    )


async def find_server(workspace: Workspace) -> Server:
    """The user's server where the description names one, else the run's own, started at first use.

    Raises:
        UserError: the URL is not one that arms can reach.
        InstrumentError: MariaDB is missing or does not start.
    """
    url = workspace.target.database.url if workspace.target.database else None
    if url is None:
        return Server(await _private_server(workspace), True, "mysql", workspace.data / "dumps")
    check_url(url)
    return Server(url, False, "mysql", workspace.data / "dumps")


async def _private_server(workspace: Workspace) -> str:
    folder = workspace.data / "mysql"
    async with locked(workspace.data / "mysql.lock"):
        known = _running.get(workspace.folder)
        if known is not None and known[0].alive:
            return known[1]
        program = find_program("mariadbd")
        sandbox = Sandbox(writable=(folder,), network=workspace.reach, confined=workspace.sandbox)
        await _install(folder, sandbox)
        port = free_port(workspace)
        log = workspace.logs / "mysql.log"
        process = await start(
            as_user([program, *_options(folder, port)], sandbox),
            cwd=folder, environment=_VARIABLES, log=log, sandbox=sandbox, register=workspace.processes,
        )  # fmt: skip
        url = f"mysql://root:{(folder / 'password').read_text().strip()}@127.0.0.1:{port}/mysql"
        try:
            await _wait_ready(process, url)
        except BaseException:
            await process.stop(grace_s=0)
            raise
        _running[workspace.folder] = (process, url)
        return url


def _options(folder: Path, port: int) -> list[str]:
    named = {
        "datadir": folder / "cluster", "port": port, "bind-address": "127.0.0.1", "socket": folder / "socket",
        "pid-file": folder / "pid", "init-file": folder / "begin.sql", "max-connections": 300,
        "character-set-server": "utf8mb4",
    }  # fmt: skip
    return ["--no-defaults", "--skip-name-resolve", "--skip-log-bin", *(f"--{key}={named[key]}" for key in named)]


async def _install(folder: Path, sandbox: Sandbox) -> None:
    if (folder / "password").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    secret = secrets.token_urlsafe(24)
    # Read by the server before it lets anyone in: nobody else on this machine can be root there without it.
    statements = [
        "DELETE FROM mysql.global_priv WHERE User = '' OR Host NOT IN ('localhost', '127.0.0.1');",
        "FLUSH PRIVILEGES;",
        *(f"CREATE OR REPLACE USER root@'{address}' IDENTIFIED BY '{secret}';" for address in _ADDRESSES),
        *(f"GRANT ALL ON *.* TO root@'{address}' WITH GRANT OPTION;" for address in _ADDRESSES),
    ]
    (folder / "begin.sql").touch(mode=0o600)
    (folder / "begin.sql").write_text("\n".join(statements) + "\n")
    hand_over(sandbox, folder, folder / "begin.sql")
    argv = [
        find_program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'cluster'}",
        "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
    ]  # fmt: skip
    done = await run(as_user(argv, sandbox), cwd=folder, environment=_VARIABLES, timeout=120, sandbox=sandbox)
    if not done.ok:
        raise InstrumentError(
            f"MariaDB: mariadb-install-db failed: {done.last_line}; or set database.url to a server of yours"
        )
    # Last, because it says that all of this is done.
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(secret)


async def _wait_ready(process: Process, url: str) -> None:
    import pymysql

    def knock() -> None:
        connect(url).close()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            while process.alive:
                with contextlib.suppress(pymysql.MySQLError):
                    await asyncio.to_thread(knock)
                    return
                await asyncio.sleep(0.05)
    lines = process.log.read_text(errors="replace").strip().splitlines()
    raise InstrumentError(f"MariaDB did not start: {lines[-1] if lines else 'no output'} (log: {process.log})")


async def stop_server(workspace: Workspace) -> None:
    """Stop the run's private server, if it runs. Its data stays for a resume."""
    known = _running.pop(workspace.folder, None)
    if known is not None:
        await known[0].stop(grace_s=20)
        close_door_of(known[1])


def connect(url: str) -> "Connection[Cursor]":
    """A connection in autocommit mode; it raises the driver's own errors."""
    import pymysql

    parts = urlsplit(from_here(url))
    return pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""), database=parts.path.strip("/") or None, connect_timeout=10,
        autocommit=True, charset="utf8mb4",
    )  # fmt: skip


@contextmanager
def _managing(server: Server) -> "Iterator[Connection[Cursor]]":
    import pymysql

    host, port = server.address
    try:
        connection = connect(server.url)
    except pymysql.MySQLError as error:
        raise InstrumentError(f"MySQL at {host}:{port}: {error.args[-1]}") from error
    try:
        yield connection
    except pymysql.MySQLError as error:
        raise InstrumentError(f"MySQL at {host}:{port}: {error.args[-1]}") from error
    finally:
        connection.close()


def _run_all(server: Server, statements: Sequence[str]) -> None:
    with _managing(server) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _named(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _role(name: str, database: str, password: str) -> list[str]:
    # Underscores are wildcards in the names of databases that rights are given on.
    pattern = _named(database.replace("_", "\\_"))
    return [
        f"CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY '{password}'",
        f"GRANT ALL ON {pattern}.* TO '{name}'@'%'",
        # Sizes of its indexes; other arms' sizes are no secret.
        f"GRANT SELECT ON mysql.innodb_index_stats TO '{name}'@'%'",
    ]


async def create_pristine(server: Server, name: str) -> str:
    """An empty database to be seeded, in place of one with that name, and the URL to seed it with."""
    await drop_database(server, name)
    statements = [f"CREATE DATABASE {_named(name)} CHARACTER SET utf8mb4"]
    password = secrets.token_urlsafe(16)
    if server.private:
        statements += _role(SEEDER, name, password)
    await asyncio.to_thread(_run_all, server, statements)
    return server.url_of(name, SEEDER, password) if server.private else server.url_of(name)


async def seal_pristine(server: Server, name: str) -> None:
    """Dump it, and lock the seeder out; nobody else knows a way in.

    Raises:
        InstrumentError: a client program is missing, or the dump failed.
    """
    server.dumps.mkdir(parents=True, exist_ok=True)
    raw, dump = server.dumps / f"{name}.raw", server.dumps / f"{name}.sql"
    await _run_client(
        server.url, find_program("mariadb-dump", "mysqldump"), "--single-transaction", "--routines", "--triggers",
        "--events", "--skip-comments", "--no-tablespaces", f"--result-file={raw}", name,
    )  # fmt: skip
    await asyncio.to_thread(_disown, raw, dump)
    raw.unlink()
    if server.private:
        await asyncio.to_thread(_run_all, server, [f"DROP USER IF EXISTS '{SEEDER}'@'%'"])


def _disown(raw: Path, dump: Path) -> None:
    """Let views, triggers and routines belong to whoever restores them."""
    with raw.open("rb") as source, dump.open("wb") as target:
        for line in source:
            # Values never begin a line so, and line breaks in them are escaped.
            definition = line.startswith((b"/*!", b"CREATE"))
            target.write(re.sub(rb"DEFINER=`[^`]*`@`[^`]*`", b"DEFINER=CURRENT_USER", line) if definition else line)


async def copy_database(server: Server, template: str, name: str) -> str:
    """A copy of a sealed database, with statistics of its own, and its URL.

    Raises:
        InstrumentError: a client program is missing, or the dump could not be restored.
    """
    password = secrets.token_urlsafe(16)
    statements = [f"CREATE DATABASE {_named(name)} CHARACTER SET utf8mb4"]
    await asyncio.to_thread(_run_all, server, statements + (_role(name, name, password) if server.private else []))
    url = server.url_of(name, name, password) if server.private else server.url_of(name)
    dump = server.dumps / f"{template}.sql"
    await _run_client(url, find_program("mariadb", "mysql"), "--batch", f"--execute=source {dump}", name)
    await asyncio.to_thread(_analyse, url)
    return url


async def _run_client(url: str, program: str, *words: str) -> None:
    parts = urlsplit(from_here(url))
    host, port = parts.hostname or _ADDRESSES[0], str(parts.port or 3306)
    argv = [program, "--no-defaults", "-h", host, "-P", port, "-u", unquote(parts.username or "root"), *words]
    environment = {**_VARIABLES, "MYSQL_PWD": unquote(parts.password or "")}
    done = await run(argv, cwd=Path("/"), environment=environment, timeout=RESTORE_S)
    if not done.ok:
        why = f"took over {RESTORE_S:.0f} s" if done.timed_out else done.last_line
        raise InstrumentError(f"MySQL at {host}:{port}: copying the data failed: {why}")


def _analyse(url: str) -> None:
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        for row in cursor.fetchall():
            cursor.execute(f"ANALYZE TABLE {_named(str(row[0]))}")
            cursor.fetchall()


async def drop_database(server: Server, name: str) -> None:
    """Remove a database and its role. Does nothing where there is none."""
    statements = [f"DROP DATABASE IF EXISTS {_named(name)}"]
    if server.private:
        statements.append(f"DROP USER IF EXISTS '{name}'@'%'")
    await asyncio.to_thread(_run_all, server, statements)


async def list_databases(server: Server, prefix: str) -> list[str]:
    """Names of the databases that begin with a prefix."""

    def read() -> list[str]:
        with _managing(server) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            rows: Sequence[Any] = cursor.fetchall()
            return sorted(str(row[0]) for row in rows if str(row[0]).startswith(prefix))

    return await asyncio.to_thread(read)
