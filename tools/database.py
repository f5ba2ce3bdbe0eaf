"""The target's data: seeded once a run, and copied for each arm, so that no arm sees what another wrote."""

import asyncio
import hashlib
import itertools
import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from perfcrew.errors import InstrumentError, UserError
from tools import mysql, postgres
from tools.environment import prepare_environment
from tools.git import worktree_of
from tools.launch import Place, link_packages, network_for, run_at
from tools.lease import locked, quiet_lease
from tools.server import Server, ServerKind
from tools.snapshot import copy_file
from tools.workspace import Workspace

SEED_S, MIGRATE_S = 1800.0, 600.0
_KINDS: dict[str, ServerKind] = {"postgresql": postgres, "mysql": mysql}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class DataCopy:
    """An arm's own copy of the data.

    Attributes:
        url: `{database_url}`; empty where the target has no database.
        folder: `{data}`, with the SQLite file if there is one.
        scratch: a folder beside it for what the arm's processes write elsewhere.
    """

    url: str
    folder: Path
    scratch: Path
    database: str = ""
    server: Server | None = None

    async def drop(self) -> None:
        """Remove it. May be called again."""
        if self.server is not None:
            await _KINDS[self.server.scheme].drop_database(self.server, self.database)
        await asyncio.to_thread(shutil.rmtree, self.folder.parent, ignore_errors=True)


async def prepare_pristine(workspace: Workspace) -> None:
    """Make the data that every arm starts from: once a run the `seed` command of the base commit, on an empty database.

    Without a seed an SQLite file that the repository holds is taken, else the database stays empty until `migrate`.

    Raises:
        UserError: the seed failed.
        InstrumentError: PostgreSQL is missing or does not start.
    """
    marker = workspace.data / "pristine.json"
    if marker.exists():
        return
    # The lease first, always: who holds it may be about to come here as well.
    async with quiet_lease(workspace), locked(workspace.data / "pristine.lock"):
        if marker.exists():
            return
        folder = workspace.data / "pristine"
        for old in (folder, workspace.data / "migrated"):
            await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
        folder.mkdir(parents=True)
        database = workspace.target.database
        if database is not None and database.engine == "sqlite":
            await _seed_sqlite(workspace, folder, database.file)
        elif database is not None:
            await _seed_server(workspace, folder, _KINDS[database.engine])
        marker.write_text(json.dumps({"engine": database.engine if database else None}))


async def _seed_sqlite(workspace: Workspace, folder: Path, name: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    shipped = await worktree_of(workspace, workspace.base_commit) / name
    if workspace.target.database and not workspace.target.database.seed and shipped.is_file():
        shutil.copyfile(shipped, file)
    await _seed(workspace, folder, f"sqlite:///{file}")
    if file.exists():
        await asyncio.to_thread(_fold_log, file)


def _fold_log(file: Path) -> None:
    """Bring a write-ahead log back into the file, so that copying is copying one file."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.DatabaseError as error:
        raise UserError(f"perfcrew.toml: database, file: {file.name} is not an SQLite database: {error}") from error


async def _seed_server(workspace: Workspace, folder: Path, kind: ServerKind) -> None:
    server = await kind.find_server(workspace)
    prefix = _prefix(workspace)
    for name in await kind.list_databases(server, prefix):
        await kind.drop_database(server, name)
    url = await kind.create_pristine(server, f"{prefix}pristine")
    await _seed(workspace, folder, url)
    await kind.seal_pristine(server, f"{prefix}pristine")


async def _seed(workspace: Workspace, folder: Path, url: str) -> None:
    command = workspace.target.database.seed if workspace.target.database else None
    if command is None:
        return
    place = Place(
        env=await prepare_environment(workspace),
        workdir=await worktree_of(workspace, workspace.base_commit),
        scratch=workspace.data / "seed",
        data=folder,
        database_url=url,
    )
    link_packages(place.env, place.workdir)
    line = await _run_logged(workspace, place, command, "seed", SEED_S)
    shutil.rmtree(place.scratch, ignore_errors=True)
    if line:
        raise UserError(f"perfcrew.toml: database, seed: {line}")


async def _run_logged(workspace: Workspace, place: Place, command: str, name: str, timeout: float) -> str:
    """Run a command into a log; a line about its failure, or nothing."""
    done = await run_at(workspace, place, command, timeout=timeout, network=network_for(workspace, place.database_url))
    log = workspace.logs / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    said = f"$ {command}\n{done.out}{done.err}[exit {done.code}]\n"
    log.write_text(workspace.artifacts.redactor.text(said))
    if done.ok:
        return ""
    why = f"took over {timeout:.0f} s" if done.timed_out else f"exit {done.code}: {done.last_line}"
    return f"{command!r} failed: {why} (log: {log})"


async def copy_data(
    workspace: Workspace, arm_name: str, workdir: Path, env: Path | None = None, commit: str | None = None
) -> DataCopy:
    """A copy of the pristine data for one arm, brought to that arm's schema by `migrate`, in the arm's environment.

    Args:
        workspace: the run.
        arm_name: what to call it.
        workdir: the arm's checkout.
        env: the arm's environment; that of the base by default.
        commit: what is checked out, unchanged; data in files is migrated once for each commit then, and copied.

    Raises:
        InstrumentError: the migration failed, or PostgreSQL does not answer.
    """
    await prepare_pristine(workspace)
    label = f"{re.sub(r'[^a-z0-9]+', '-', arm_name.lower())[:20]}-{os.getpid()}-{next(_numbers)}"
    root = workspace.data / "arms" / label
    folder = root / "data"
    migrated = workspace.data / "migrated" / commit if commit else None
    ready = migrated is not None and migrated.exists()
    await _copy_folder(migrated if migrated and ready else workspace.data / "pristine", folder, links=ready)
    (root / "scratch").mkdir()
    copy = await _copy_database(workspace, label, folder)
    if ready:
        return copy
    try:
        changed = await _migrate(workspace, copy, workdir, arm_name, env or await prepare_environment(workspace))
        if changed and migrated and copy.server is None:
            await _keep(folder, migrated)
    except BaseException:
        await copy.drop()
        raise
    return copy


async def _copy_folder(source: Path, folder: Path, *, links: bool) -> None:
    await asyncio.to_thread(shutil.copytree, source, folder, symlinks=links, copy_function=copy_file)


async def _keep(folder: Path, migrated: Path) -> None:
    """Keep data that was just migrated, for the next start of that version; whole or not at all."""
    part = migrated.with_name(folder.parent.name)
    # Links stay links: a candidate's migration may have made one that leads out of its sandbox.
    await _copy_folder(folder, part, links=True)
    try:
        part.rename(migrated)
    except OSError:  # another start of the same version was first
        await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)


async def _copy_database(workspace: Workspace, label: str, folder: Path) -> DataCopy:
    database, scratch = workspace.target.database, folder.parent / "scratch"
    if database is None:
        return DataCopy("", folder, scratch)
    if database.engine == "sqlite":
        return DataCopy(f"sqlite:///{folder / database.file}", folder, scratch)
    kind = _KINDS[database.engine]
    server = await kind.find_server(workspace)
    name = f"{_prefix(workspace)}{label.replace('-', '_')}"
    url = await kind.copy_database(server, f"{_prefix(workspace)}pristine", name)
    return DataCopy(url, folder, scratch, name, server)


async def _migrate(workspace: Workspace, copy: DataCopy, workdir: Path, arm_name: str, env: Path) -> bool:
    command = workspace.target.database.migrate if workspace.target.database else None
    if command is None:
        return False
    link_packages(env, workdir)
    place = Place(env=env, workdir=workdir, scratch=copy.scratch, data=copy.folder, database_url=copy.url)
    line = await _run_logged(workspace, place, command, copy.folder.parent.name + "-migrate", MIGRATE_S)
    if line:
        raise InstrumentError(f"arm {arm_name}: database, migrate: {line}")
    return True


def _prefix(workspace: Workspace) -> str:
    """Begins the name of every database of this run: equal on a resume, different for any other run."""
    return f"perfcrew_{hashlib.sha256(str(workspace.folder).encode()).hexdigest()[:8]}_"


async def count_index_scans(copy: DataCopy) -> dict[str, int] | None:
    """How often each index of an arm's copy was used so far; None where the engine does not count it.

    It ends the arm's sessions, so it comes last.
    """
    if copy.server is None or copy.server.scheme != "postgresql":
        return None
    return await postgres.count_index_scans(copy.server, copy.database)


async def find_database_server(workspace: Workspace) -> Server:
    """The server that the target's databases are made on.

    Raises:
        InstrumentError: the target has none, or it does not start.
    """
    database = workspace.target.database
    if database is None or database.engine not in _KINDS:
        raise InstrumentError("the target's database is no server")
    return await _KINDS[database.engine].find_server(workspace)


async def close_databases(workspace: Workspace) -> None:
    """End of a run: drop its databases on a server of the user's, stop a private one."""
    database = workspace.target.database
    if database is None or database.engine not in _KINDS:
        return
    kind = _KINDS[database.engine]
    if database.url is not None:
        server = await kind.find_server(workspace)
        for name in await kind.list_databases(server, _prefix(workspace)):
            await kind.drop_database(server, name)
        (workspace.data / "pristine.json").unlink(missing_ok=True)
    await kind.stop_server(workspace)
