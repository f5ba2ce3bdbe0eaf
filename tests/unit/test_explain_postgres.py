"""Plans and index trials on a private PostgreSQL server: the copy is read, tried on, and left as it was."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace

from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import pack_rows, unpack_rows
from tools.database import close_databases, copy_data
from tools.explain import explain_queries, explain_query
from tools.explain_postgres import PostgresCopy
from tools.launch import INJECT
from tools.plan_nodes import render_postgres
from tools.plans import Candidate
from tools.postgres import find_programs
from tools.process import run
from tools.traces import read_trace
from tools.workspace import Workspace

SEED = """
CREATE TABLE authors (id serial PRIMARY KEY, name text);
CREATE TABLE books (id serial PRIMARY KEY, author_id int, title text, written timestamp);
INSERT INTO authors (name) SELECT 'Author ' || n FROM generate_series(1, 200) n;
INSERT INTO books (author_id, title, written)
SELECT n % 200 + 1, 'Book ' || n, timestamp '2025-01-01' + n * interval '1 minute' FROM generate_series(1, 20000) n;
"""


def _has_postgres() -> bool:
    with contextlib.suppress(InstrumentError):
        return bool(find_programs())
    return False


pytestmark = [
    pytest.mark.app,
    pytest.mark.skipif(not _has_postgres(), reason="PostgreSQL's server programs are not installed"),
]


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    database = {"engine": "postgresql", "seed": "psql -q -v ON_ERROR_STOP=1 -f seed.sql {database_url}"}
    made = await make_workspace(tmp_path, {"seed.sql": SEED}, {"database": database})
    try:
        yield made
    finally:
        await close_databases(made)


def queries(workspace: Workspace, **samples: tuple[str, Any]) -> Evidence:
    """As `trace_queries` would give it for these statements."""
    texts = {
        name: {"fingerprint": sql, "samples": [{"sql": sql, "params": params, "many": False}]}
        for name, (sql, params) in samples.items()
    }
    artifact = workspace.artifacts.put_json({"statements": texts, "queries": [1.0]})
    rows = [{"id": name, "endpoint": "GET /a", "site": "a.py:1 f", "calls": 1.0, "share": 0.5, "loop_share": 0.5,
             "sql": sql} for name, (sql, _) in samples.items()]  # fmt: skip
    measurement = Measurement(
        id="queries_per_request@a/base", metric="db.queries_per_request", unit="1", better="lower", workload="a",
        arm="base", commit=workspace.base_commit, value=1.0, count=1, method="mean:/queries", samples=artifact,
        instrument="test", environment="test",
    )  # fmt: skip
    return Evidence(
        id="queries@a/base", kind="queries", title="", digest="", artifact=artifact, measurements=(measurement,),
        facts=pack_rows("statement", rows),
    )  # fmt: skip


async def test_explains_with_traced_parameters_and_tries_an_index(workspace: Workspace) -> None:
    traced = queries(
        workspace,
        named=("SELECT * FROM books WHERE author_id = %(a)s ORDER BY written", {"a": 7}),
        numbered=(
            "SELECT title FROM books WHERE written > $1 AND author_id = $2",
            [{"datetime": "2025-01-09T00:00:00"}, 3],
        ),
        fine=("SELECT name FROM authors WHERE id = %s", [5]),
        writes=("UPDATE books SET title = 'x'", []),
        lost=("SELECT %(x)s", {"x": {"other": "Jsonb"}}),
    )
    evidence = await explain_queries(workspace, traced, arm_name="base")
    rows = {row["id"]: row for row in unpack_rows(evidence.facts, "plan")}
    assert set(rows) == {"named", "numbered", "fine", "lost"}
    assert rows["named"]["index"] == "CREATE INDEX ix_books_author_id_written ON books (author_id, written)"
    assert (rows["named"]["scanned"], rows["named"]["rows"], rows["named"]["index_used"]) == (20_000, 100, 1)
    assert rows["numbered"]["lead"] == "books(author_id)"
    assert "index" not in rows["fine"]
    assert "could not be recorded" in str(rows["lost"]["problem"])
    assert "Seq Scan books" in evidence.digest and "thrown away by" in evidence.digest
    assert "books: 20,000 rows; indexes: books_pkey (id)" in evidence.digest


async def test_a_trial_leaves_no_index(workspace: Workspace) -> None:
    data = await copy_data(workspace, "trial", workspace.folder)
    copy = PostgresCopy(data.url)
    try:
        before = copy.tables()
        assert before["books"].rows == 20_000
        copy.try_index("SELECT * FROM books WHERE author_id = 7", None, Candidate("books", ("author_id",)))
        assert copy.tables() == before
    finally:
        copy.close()
        await data.drop()


ASKING = """
import asyncio, json, os, sys
import psycopg
from flask import Flask
from sqlalchemy import create_engine, text

URL = os.environ["DATABASE_URL"]
app = Flask(__name__)


@app.route("/raw")
def raw():
    with psycopg.connect(URL) as connection:
        return {"rows": len(connection.execute("SELECT id FROM authors WHERE id < %s", (4,)).fetchall())}


@app.route("/alchemy")
def alchemy():
    with create_engine(URL.replace("postgresql:", "postgresql+psycopg:")).connect() as connection:
        return {"rows": len(connection.execute(text("SELECT id FROM authors WHERE id < :n"), {"n": 5}).all())}


@app.route("/async")
def awaited():
    async def ask():
        async with await psycopg.AsyncConnection.connect(URL) as connection:
            return await (await connection.execute("SELECT id FROM authors WHERE id = ANY(%s)", ([1, 2],))).fetchall()
    return {"rows": len(asyncio.run(ask()))}


client = app.test_client()
print(json.dumps([client.get(path).get_json() for path in ("/raw", "/alchemy", "/async")]))
"""


async def test_the_tracer_sees_each_statement_of_psycopg_once(workspace: Workspace, tmp_path: Path) -> None:
    data = await copy_data(workspace, "traced", workspace.folder)
    (tmp_path / "asking.py").write_text(ASKING)
    environment = {
        "PATH": os.defpath, "PYTHONPATH": str(INJECT), "PERFCREW_TRACE": str(tmp_path / "trace"),
        "DATABASE_URL": data.url,
    }  # fmt: skip
    try:
        done = await run([sys.executable, "asking.py"], cwd=tmp_path, environment=environment, timeout=60)
    finally:
        await data.drop()
    assert done.out.strip() == '[{"rows": 3}, {"rows": 4}, {"rows": 2}]', done.err
    trace = read_trace(tmp_path / "trace")
    seen = {
        line["path"]: [
            (trace.texts[item["id"]]["fingerprint"], item["rows"])
            for item in line["statements"]
            if "authors" in trace.texts[item["id"]]["fingerprint"]
        ]
        for line in trace.requests
    }
    compared = "SELECT id FROM authors WHERE id < ?"
    assert seen == {
        "/raw": [(compared, 3)],
        "/alchemy": [(compared, 4)],
        "/async": [("SELECT id FROM authors WHERE id = ANY(?)", 2)],
    }


async def test_models_read_only(workspace: Workspace) -> None:
    sql = "SELECT count(*) FROM books b JOIN authors a ON a.id = b.author_id WHERE a.name = ?"
    output = await explain_query.call({"sql": sql, "params": ["Author 3"]}, workspace)
    assert "Aggregate" in output.content and "authors: 200 rows" in output.content
    for refused in ("DELETE FROM books", "SELECT pg_sleep(1)", "SELECT nothing FROM books"):
        with pytest.raises(ToolError):
            await explain_query.call({"sql": refused}, workspace)


def test_a_plan_names_the_index_that_it_goes_by() -> None:
    """What is neither a bitmap nor index-only names its table and its index: a trial looks for the latter."""
    node = {"Node Type": "Index Scan", "Relation Name": "books", "Index Name": "ix_books_written", "Actual Rows": 3}
    assert render_postgres(node)[0].startswith("Index Scan books by ix_books_written: ")
