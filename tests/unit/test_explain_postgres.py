"""Plans and index trials on a private PostgreSQL server: the copy is read, tried on, and left as it was."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace

from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.evidence import Evidence, Measurement
from tools.database import close_databases, copy_data
from tools.explain import explain_queries, explain_query
from tools.explain_postgres import PostgresCopy
from tools.facts import pack_rows, unpack_rows
from tools.plans import Candidate
from tools.postgres import find_programs
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


async def test_models_read_only(workspace: Workspace) -> None:
    sql = "SELECT count(*) FROM books b JOIN authors a ON a.id = b.author_id WHERE a.name = ?"
    output = await explain_query.call({"sql": sql, "params": ["Author 3"]}, workspace)
    assert "Aggregate" in output.content and "authors: 200 rows" in output.content
    for refused in ("DELETE FROM books", "SELECT pg_sleep(1)", "SELECT nothing FROM books"):
        with pytest.raises(ToolError):
            await explain_query.call({"sql": refused}, workspace)
