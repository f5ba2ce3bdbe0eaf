"""Each arm has data of its own, equal at the start; the original is made once and never changes."""

import asyncio
import hashlib
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import InstrumentError, UserError
from tools.database import DataCopy, close_databases, copy_data, prepare_pristine
from tools.git import worktree_of
from tools.postgres import connect, find_programs, find_server, list_databases, stop_server
from tools.snapshot import copy_file
from tools.workspace import Workspace

SEED = """
import sqlite3, sys
from pathlib import Path
db = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///"))
db.execute("PRAGMA journal_mode=WAL")
db.execute("CREATE TABLE notes (text)")
db.executemany("INSERT INTO notes VALUES (?)", [(str(n),) for n in range(100)])
db.commit()
(Path(sys.argv[2]) / "upload.txt").write_text("uploaded")
with open("seeded", "a") as file: file.write("x")
"""
MIGRATE = """
import sqlite3, sys
sqlite3.connect(sys.argv[1].removeprefix("sqlite:///")).execute("CREATE INDEX by_text ON notes (text)")
"""


async def _sqlite(folder: Path, files: dict[str, str] | None = None, **more: Any) -> Workspace:
    database = {"engine": "sqlite", "file": "app.db", **more}
    return await make_workspace(
        folder, {"seed.py": SEED, "migrate.py": MIGRATE, **(files or {})}, {"database": database}
    )


def _query(copy: DataCopy, statement: str) -> list[Any]:
    with closing(sqlite3.connect(copy.url.removeprefix("sqlite:///"))) as connection:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows


async def test_sqlite_copies_are_equal_and_apart(tmp_path: Path) -> None:
    workspace = await _sqlite(
        tmp_path, seed=f"{PYTHON} seed.py {{database_url}} {{data}}", migrate=f"{PYTHON} migrate.py {{database_url}}"
    )
    base = await worktree_of(workspace, workspace.base_commit)
    first, second = await asyncio.gather(copy_data(workspace, "base", base), copy_data(workspace, "base", base))
    pristine = workspace.data / "pristine" / "app.db"
    before = hashlib.sha256(pristine.read_bytes()).hexdigest()
    assert first.url.startswith("sqlite:////") and first.folder != second.folder
    assert (first.folder / "upload.txt").read_text() == "uploaded"
    assert (base / "seeded").read_text() == "x", "seeded once, though two asked at the same time"
    _query(first, "DELETE FROM notes")
    assert _query(first, "SELECT count(*) FROM notes") == [(0,)]
    assert _query(second, "SELECT count(*) FROM notes") == [(100,)]
    assert _query(second, "SELECT name FROM sqlite_master WHERE type = 'index'") == [("by_text",)]
    assert hashlib.sha256(pristine.read_bytes()).hexdigest() == before
    await prepare_pristine(replace(workspace, quick=True))
    assert (base / "seeded").read_text() == "x"
    await first.drop()
    await first.drop()
    assert not first.folder.exists() and second.folder.exists()
    await second.drop()
    assert list((workspace.data / "arms").iterdir()) == []


async def test_a_file_of_the_repository_is_the_pristine_one(tmp_path: Path) -> None:
    workspace = await _sqlite(tmp_path, {"app.db": ""})
    base = await worktree_of(workspace, workspace.base_commit)
    with closing(sqlite3.connect(base / "app.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    copy = await copy_data(workspace, "base", base)
    assert _query(copy, "SELECT name FROM sqlite_master") == [("t",)]


async def test_without_a_database_there_is_a_folder(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, {}, {})
    copy = await copy_data(workspace, "base", await worktree_of(workspace, workspace.base_commit))
    assert copy.url == "" and copy.folder.is_dir() and copy.scratch.is_dir()
    await copy.drop()


async def test_failures_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    workspace = await _sqlite(tmp_path / "a", seed=f"{PYTHON} -c \"import sys; sys.exit('no such table')\"")
    with pytest.raises(UserError, match=r"database, seed: .* failed: exit 1: no such table \(log: .*seed\.log\)$"):
        await prepare_pristine(workspace)
    assert not (workspace.data / "pristine.json").exists()
    workspace = await _sqlite(tmp_path / "b", migrate=f"{PYTHON} -c \"import sys; sys.exit('bad migration')\"")
    with pytest.raises(InstrumentError, match=r"arm candidate: database, migrate: .* exit 1: bad migration"):
        await copy_data(workspace, "candidate", await worktree_of(workspace, workspace.base_commit))
    assert list((workspace.data / "arms").iterdir()) == []


async def test_the_candidates_migration_reaches_its_own_copy_only(tmp_path: Path) -> None:
    reach = "import sys; open(sys.argv[1] + '/../../../pristine/app.db', 'w')"
    workspace = await _sqlite(tmp_path, {"reach.py": reach}, migrate=f"{PYTHON} reach.py {{data}}")
    await prepare_pristine(workspace)
    (workspace.data / "pristine" / "app.db").touch()
    with pytest.raises(InstrumentError, match=r"No such file|Read-only|Permission"):
        await copy_data(workspace, "candidate", await worktree_of(workspace, workspace.base_commit))


async def test_a_version_is_migrated_once_and_each_start_has_its_own_copy(tmp_path: Path) -> None:
    link = "import os; os.symlink('/etc', sys.argv[2] + '/outside')"
    workspace = await _sqlite(
        tmp_path,
        {"migrate.py": f"{MIGRATE}{link}\n"},
        seed=f"{PYTHON} seed.py {{database_url}} {{data}}",
        migrate=f"{PYTHON} migrate.py {{database_url}} {{data}}",
    )
    base = await worktree_of(workspace, workspace.base_commit)
    both = [copy_data(workspace, name, base, commit=workspace.base_commit) for name in ("base", "cand")]
    first, second = await asyncio.gather(*both)
    _query(first, "DELETE FROM notes")
    logs = len(list(workspace.logs.glob("*-migrate.log")))
    third = await copy_data(workspace, "base", base, commit=workspace.base_commit)
    assert len(list(workspace.logs.glob("*-migrate.log"))) == logs == 2
    for copy in (second, third):
        assert _query(copy, "SELECT count(*) FROM notes") == [(100,)]
        assert _query(copy, "SELECT count(*) FROM sqlite_master WHERE name = 'by_text'") == [(1,)]
        assert (copy.folder / "outside").is_symlink()
        assert (copy.folder / "upload.txt").read_text() == "uploaded"
    assert [path.name for path in (workspace.data / "migrated").iterdir()] == [workspace.base_commit]


def test_copy_file_keeps_content_and_mode(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_001))
    source.chmod(0o640)
    copy_file(str(source), str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert (tmp_path / "target").stat().st_mode == source.stat().st_mode
    assert (tmp_path / "target").stat().st_mtime_ns == source.stat().st_mtime_ns, "so that byte code stays valid"
    os.mkfifo(tmp_path / "pipe")
    copy_file(str(tmp_path / "pipe"), str(tmp_path / "no-pipe"))
    (tmp_path / "empty").touch()
    copy_file(str(tmp_path / "empty"), str(tmp_path / "also-empty"))
    assert (tmp_path / "also-empty").read_bytes() == b""


def _has_postgres() -> bool:
    try:
        find_programs()
    except InstrumentError:
        return False
    return True


needs_postgres = pytest.mark.skipif(not _has_postgres(), reason="PostgreSQL's server programs are not installed")


async def _psql(url: str, statement: str) -> list[Any]:
    async with connect(url) as connection:
        cursor = await connection.execute(statement)  # type: ignore[arg-type]
        return await cursor.fetchall() if cursor.description else []


async def _postgres(folder: Path, **more: Any) -> Workspace:
    seed = "psql -q {database_url} -c 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 100) n'"
    return await make_workspace(folder, {}, {"database": {"engine": "postgresql", "seed": seed, **more}})


@pytest.mark.app
@needs_postgres
async def test_private_server_copies_from_a_template(tmp_path: Path) -> None:
    workspace = await _postgres(tmp_path, migrate="psql -q {database_url} -c 'CREATE INDEX by_n ON notes (n)'")
    base = await worktree_of(workspace, workspace.base_commit)
    try:
        first, second = await asyncio.gather(copy_data(workspace, "base", base), copy_data(workspace, "cand", base))
        await _psql(first.url, "DELETE FROM notes")
        assert await _psql(first.url, "SELECT count(*) FROM notes") == [(0,)]
        assert await _psql(second.url, "SELECT count(*) FROM notes") == [(100,)]
        planner = "SELECT reltuples FROM pg_class WHERE relname = 'notes'"
        assert await _psql(second.url, planner) == [(100.0,)], "statistics come with the copy"
        other = second.url.rpartition("/")[2]
        with pytest.raises(InstrumentError, match="permission denied"):
            await _psql(f"{first.url.rpartition('/')[0]}/{other}", "SELECT 1")
        with pytest.raises(InstrumentError):
            await _psql(f"{first.url.rpartition('/')[0]}/{first.database.split('base')[0]}pristine", "SELECT 1")
        server = await find_server(workspace)
        assert len(await list_databases(server, "perfcrew_")) == 3
        async with connect(first.url):
            await first.drop()
        await first.drop()
        assert len(await list_databases(server, "perfcrew_")) == 2
        # A resumed run finds the data again behind a new server.
        await stop_server(workspace)
        third = await copy_data(workspace, "base", base)
        assert await _psql(third.url, "SELECT count(*) FROM notes") == [(100,)]
    finally:
        await close_databases(workspace)
    with pytest.raises(InstrumentError):
        await _psql(third.url, "SELECT 1")


@pytest.mark.app
@needs_postgres
async def test_a_users_server_gets_our_databases_and_loses_them(tmp_path: Path) -> None:
    host = await _postgres(tmp_path / "host")
    try:
        server = await find_server(host)
        workspace = await _postgres(tmp_path / "run", url=server.url)
        base = await worktree_of(workspace, workspace.base_commit)
        copy = await copy_data(workspace, "base", base)
        assert await _psql(copy.url, "SELECT count(*) FROM notes") == [(100,)]
        names = await list_databases(server, "")
        assert len([name for name in names if name.startswith("perfcrew_")]) == 2
        await close_databases(workspace)
        assert await list_databases(server, "") == ["postgres", "template0", "template1"]
    finally:
        await close_databases(host)


async def test_a_socket_is_no_address_for_arms(tmp_path: Path) -> None:
    workspace = await _postgres(tmp_path, url="postgresql:///app?host=/var/run/postgresql")
    with pytest.raises(UserError, match="can't reach Unix sockets"):
        await find_server(workspace)
    workspace = await _postgres(tmp_path / "b", url="postgresql://u:secret-word@127.0.0.1:1/app")
    with pytest.raises(InstrumentError) as caught:
        await prepare_pristine(workspace)
    assert "127.0.0.1:1" in str(caught.value) and "secret-word" not in str(caught.value)
