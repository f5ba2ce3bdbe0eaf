"""A private MariaDB server: pristine data, copies of it, roles, and what is said where it is missing."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import InstrumentError, UserError
from tools import mysql
from tools.database import DataCopy, close_databases, copy_data
from tools.launch import network_for
from tools.workspace import Workspace

SEED_SQL = """
CREATE TABLE authors (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80));
CREATE TABLE books (id INT PRIMARY KEY AUTO_INCREMENT, author_id INT NOT NULL, title VARCHAR(80), year INT,
                    FOREIGN KEY (author_id) REFERENCES authors (id));
INSERT INTO authors (name) SELECT CONCAT('Author ', seq) FROM seq_1_to_50;
INSERT INTO books (author_id, title, year) SELECT seq % 50 + 1, 'DEFINER=`a`@`b`', 1900 + seq % 100 FROM seq_1_to_5000;
CREATE VIEW old AS SELECT id FROM books WHERE year < 1950;
"""
SEED = """
import os, sys
from urllib.parse import unquote, urlsplit
url = urlsplit(sys.argv[1])
os.environ["MYSQL_PWD"] = unquote(url.password)
os.execvp("mariadb", ["mariadb", "--no-defaults", "-h", url.hostname, "-P", str(url.port), "-u", url.username,
                      "-e", "source seed.sql", url.path.strip("/")])
"""
needs_server = pytest.mark.skipif(
    shutil.which("mariadbd", path=mysql._VARIABLES["PATH"]) is None, reason="MariaDB's server is not installed"
)
DATABASE = {"engine": "mysql", "seed": f"{PYTHON} seed.py {{database_url}}"}


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    made = await make_workspace(tmp_path, {"seed.py": SEED, "seed.sql": SEED_SQL}, {"database": DATABASE})
    try:
        yield made
    finally:
        await close_databases(made)


def ask(url: str, sql: str) -> Any:
    with closing(mysql.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.mark.app
@needs_server
async def test_copies_are_equal_apart_and_their_own(workspace: Workspace) -> None:
    first, second = await asyncio.gather(
        copy_data(workspace, "base", workspace.folder), copy_data(workspace, "other", workspace.folder)
    )
    assert first.url.startswith("mysql://perfcrew_") and network_for(workspace, first.url) == "host"
    ask(first.url, "DELETE FROM books")
    assert ask(first.url, "SELECT count(*) FROM books") == ((0,),)
    assert ask(second.url, "SELECT count(*), min(title) FROM books") == ((5000, "DEFINER=`a`@`b`"),)
    assert ask(second.url, "SELECT count(*) FROM old") == ((2500,),), "a view belongs to its copy's role"
    names = {row[0] for row in ask(second.url, "SHOW DATABASES")}
    assert not any("pristine" in name or name == first.database for name in names)
    foreign = ask(second.url, "SELECT count(*) FROM information_schema.referential_constraints"
                              " WHERE constraint_schema = DATABASE()")  # fmt: skip
    assert foreign == ((1,),)
    await _drop(workspace, first, second)


async def _drop(workspace: Workspace, *copies: DataCopy) -> None:
    server = await mysql.find_server(workspace)
    for copy in copies:
        await copy.drop()
        await copy.drop()
    left = await mysql.list_databases(server, "perfcrew_")
    assert len(left) == 1 and left[0].endswith("pristine")
    with pytest.raises(pymysql.MySQLError, match="Access denied"):
        mysql.connect(copies[0].url)
    with pytest.raises(pymysql.MySQLError, match="Access denied"):
        mysql.connect(server.url.replace(server.url.split(":")[2].split("@")[0], "guess"))


@pytest.mark.app
@needs_server
async def test_a_server_of_the_users_gets_databases_and_loses_them(workspace: Workspace, tmp_path: Path) -> None:
    server = await mysql.find_server(workspace)
    described = {**DATABASE, "url": server.url}
    other = await make_workspace(tmp_path / "other", {"seed.py": SEED, "seed.sql": SEED_SQL}, {"database": described})
    copy = await copy_data(other, "base", other.folder)
    assert ask(copy.url, "SELECT count(*) FROM authors") == ((50,),)
    assert len(await mysql.list_databases(server, "perfcrew_")) == 2
    await close_databases(other)
    assert await mysql.list_databases(server, "perfcrew_") == []


async def test_a_missing_server_is_one_line_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = await make_workspace(tmp_path, {}, {"database": DATABASE})
    monkeypatch.setitem(mysql._VARIABLES, "PATH", str(tmp_path))
    with pytest.raises(InstrumentError, match=r"^MariaDB: mariadbd is not installed: .*apt-get install mariadb-server"):
        await copy_data(workspace, "base", workspace.folder)


async def test_sockets_are_refused(tmp_path: Path) -> None:
    described = {**DATABASE, "url": "mysql://root@/x"}
    workspace = await make_workspace(tmp_path, {}, {"database": described})
    with pytest.raises(UserError, match="expected a host name"):
        await copy_data(workspace, "base", workspace.folder)


async def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    described = {**DATABASE, "url": "mysql://root@127.0.0.1:1/x"}
    workspace = await make_workspace(tmp_path, {}, {"database": described})
    with pytest.raises(InstrumentError, match=r"^MySQL at 127\.0\.0\.1:1: Can't connect"):
        await copy_data(workspace, "base", workspace.folder)
