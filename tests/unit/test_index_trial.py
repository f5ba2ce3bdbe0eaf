"""An index is tried on what the workload reads and on what it writes; nothing is kept of it."""

import asyncio
import sys

import pytest
from target_repo import make_workspace
from test_explain_mysql import workspace as mysql_workspace  # noqa: F401  a fixture
from test_explain_postgres import _has_postgres
from test_explain_postgres import workspace as postgres_workspace  # noqa: F401  a fixture
from test_mysql import needs_server

from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import number, pack_rows, unpack_rows
from perfcrew.records.target import HttpRequest, Workload
from perfcrew.records.work import Finding
from tools.detectors import detect
from tools.git import worktree_of
from tools.index_figures import Trial, render_trial, to_row
from tools.index_trial import Statement, _try, copy_rows, touching, try_index, try_indexes, wanted_indexes
from tools.plans import Candidate, Table
from tools.queries import recall_queries, trace_queries
from tools.schema_advice import advise_schema
from tools.workspace import Workspace

APP = """
import os, sqlite3
from flask import Flask, request

app = Flask(__name__)


def connect():
    return sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))


@app.get("/ready")
def ready():
    return "yes"


@app.get("/loans")
def loans():
    member = int(request.args["member"])
    query = "SELECT id, title FROM loans WHERE member_id = ? ORDER BY due"
    return {"loans": connect().execute(query, (member,)).fetchall()}


@app.get("/titled")
def titled():
    query = "SELECT id FROM loans WHERE title = ?"
    return {"loans": connect().execute(query, ("Title 7",)).fetchall()}


@app.post("/loans")
def lend():
    with connect() as connection:
        connection.execute("INSERT INTO loans (member_id, title, due) VALUES (?, ?, ?)", (3, "New", "2025-01-01"))
    return "lent"


if __name__ == "__main__":
    import sys
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
"""
SEED = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///"))
db.executescript('''
CREATE TABLE members (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE loans (id INTEGER PRIMARY KEY, member_id INTEGER NOT NULL REFERENCES members (id), title TEXT, due TEXT,
                    shelf INTEGER);
CREATE INDEX ix_title ON loans (title);
CREATE INDEX ix_title_due ON loans (title, due);
CREATE INDEX ix_shelf ON loans (shelf);
''')
db.executemany("INSERT INTO members VALUES (?, ?)", [(n, "Member") for n in range(200)])
rows = [(n % 200, f"Title {n % 500}", f"2025-{n % 12:02}", n % 9) for n in range(30000)]
db.executemany("INSERT INTO loans (member_id, title, due, shelf) VALUES (?, ?, ?, ?)", rows)
db.commit()
"""
READING = Workload(
    name="desk",
    request=(
        HttpRequest(path="/loans?member={member}", weight=3),
        HttpRequest(method="POST", path="/loans"),
        HttpRequest(path="/titled"),
    ),
    params={"member": (3, 5)},
)
TARGET = {
    "target": {
        "start": f"{sys.executable} lending.py {{port}}", "ready": "/ready",
        "environment": {"DATABASE_URL": "{database_url}", "PYTHONDONTWRITEBYTECODE": "1"},
    },
    "database": {"engine": "sqlite", "file": "loans.db", "seed": f"{sys.executable} seed.py {{database_url}}"},
    "workload": (READING,),
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("lending")
    return asyncio.run(make_workspace(folder, {"lending.py": APP, "seed.py": SEED}, TARGET, sandbox=False))


@pytest.mark.app
async def test_the_workloads_own_reads_and_writes_decide(workspace: Workspace) -> None:
    evidence = await try_indexes(workspace, workspace.base_commit, READING, "base")
    (row,) = unpack_rows(evidence.facts, "trial")
    assert row["index"] == "CREATE INDEX ix_loans_member_id_due ON loans (member_id, due)"
    assert row["lead"] == "loans(member_id)"
    # A scan of 30,000 rows against a search for 150 of them: no machine is noisy enough to hide that.
    assert number(row, "read_after_ms") < number(row, "read_ms") / 2
    assert number(row, "saved_ms") > 0 and row["spread_ms"] is not None
    assert row["written"] == "the workload's own writes, a request"
    assert number(row, "write_ms") > 0 and row["write_added_ms"] is not None
    assert number(row, "build_ms") > 0
    assert "a request, saves" in evidence.digest and "price: " in evidence.digest
    assert not list((workspace.data / "arms").glob("with*"))


@pytest.mark.app
async def test_what_was_traced_is_not_traced_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await trace_queries(workspace, workspace.base_commit, READING, arm_name="base")
    assert await recall_queries(workspace, workspace.base_commit, READING, "base") == first
    held = await trace_queries(workspace, workspace.base_commit, READING, arm_name="base", held_out=True)
    assert await recall_queries(workspace, workspace.base_commit, READING, "base") == first != held
    (workspace.artifacts.path(first.artifact)).unlink()  # type: ignore[arg-type]
    again = await recall_queries(workspace, workspace.base_commit, READING, "base")
    assert again.artifact is not None and workspace.artifacts.path(again.artifact).exists()


@pytest.mark.app
async def test_models_may_try_any_columns(workspace: Workspace) -> None:
    output = await try_index.call({"table": "loans", "columns": ["member_id"]}, workspace)
    assert "CREATE INDEX ix_loans_member_id ON loans (member_id): built in" in output.content
    refused = {
        "there is no table loan; there is: loans, members": {"table": "loan", "columns": ["id"]},
        "loans has no column member": {"table": "loans", "columns": ["member"]},
        "begins with these columns already: .*ix_title": {"table": "loans", "columns": ["title"]},
    }
    for message, arguments in refused.items():
        with pytest.raises(ToolError, match=message):
            await try_index.call(arguments, workspace)


@pytest.mark.app
async def test_indexes_that_help_nobody_are_named(workspace: Workspace) -> None:
    evidence = await advise_schema(workspace, workspace.base_commit, READING, "base")
    (duplicate,) = unpack_rows(evidence.facts, "duplicate")
    assert (duplicate["index"], duplicate["covered_by"]) == ("ix_title", "ix_title_due")
    (unused,) = unpack_rows(evidence.facts, "unused")
    assert (unused["table"], unused["index"]) == ("loans", "ix_shelf")
    (key,) = unpack_rows(evidence.facts, "unindexed_key")
    assert (key["table"], key["columns"], key["refers_to"]) == ("loans", "member_id", "members")


@pytest.mark.app
async def test_without_a_wanted_index_there_is_nothing_to_try(workspace: Workspace) -> None:
    titled = Workload(name="titled", request=(HttpRequest(path="/titled"),))
    with pytest.raises(InstrumentError, match="wants an index"):
        await try_indexes(workspace, workspace.base_commit, titled, "base")


STATEMENTS = [
    Statement("q:1", "SELECT id FROM books WHERE author_id = %s", [3], 2.0, False),
    Statement("q:2", "UPDATE books SET author_id = %s WHERE id = %s", [4, 5], 1.0, True),
    Statement("q:3", "SELECT name FROM authors", [], 1.0, False),
    Statement("q:4", "SELECT nothing FROM books", [], 1.0, False),
]


async def _tried(workspace: Workspace, engine: str, columns: tuple[str, ...]) -> None:
    folder = await worktree_of(workspace, workspace.base_commit)
    trial = await _try(workspace, folder, Candidate("books", columns, engine), STATEMENTS)
    row = to_row(trial)
    assert (trial.statements, [text[:3] for text in trial.skipped]) == (1, ["q:4"])
    assert row["written"] == "the workload's own writes, a request" and row["write_added_ms"] is not None
    assert number(row, "bytes") > 1000
    alone = await _try(workspace, folder, Candidate("books", columns, engine), STATEMENTS[:1])
    assert str(to_row(alone)["written"]).startswith("100 copied rows")
    with pytest.raises(InstrumentError, match="the trial broke off"):
        await _try(workspace, folder, Candidate("books", ("nowhere",), engine), STATEMENTS)


@pytest.mark.app
@pytest.mark.skipif(not _has_postgres(), reason="PostgreSQL's server programs are not installed")
async def test_on_postgresql(postgres_workspace: Workspace) -> None:  # noqa: F811
    await _tried(postgres_workspace, "postgresql", ("author_id",))


@pytest.mark.app
@needs_server
async def test_on_mariadb(mysql_workspace: Workspace) -> None:  # noqa: F811
    await _tried(mysql_workspace, "mysql", ("author_id", "title"))


def test_candidates_that_begin_a_longer_one_are_left_to_it() -> None:
    plans = [
        {"index": "x", "table": "loans", "columns": "member_id", "share": 0.5},
        {"index": "x", "table": "loans", "columns": "member_id,due", "share": 0.1},
        {"index": "x", "table": "books", "columns": "isbn", "share": 0.2},
        {"table": "books", "share": 0.9},
    ]
    assert [found.columns for found in wanted_indexes(plans, "sqlite")] == [("isbn",), ("member_id", "due")]


def test_statements_of_other_tables_are_left_out() -> None:
    assert [each.id for each in touching(STATEMENTS, "AUTHORS")] == ["q:3"]
    assert touching(STATEMENTS, "book") == []


def test_rows_are_copied_only_where_the_key_is_made_anew() -> None:
    (copied,) = copy_rows(Table("books", 9, ("id", "order"), {"primary key": ("id",)}), "sqlite")
    assert copied.sql == 'INSERT INTO books ("order") SELECT "order" FROM books LIMIT 100'
    assert copy_rows(Table("members", 9, ("a", "b"), {"primary key": ("a", "b")}), "sqlite") == []


def test_what_is_not_known_is_said() -> None:
    trial = Trial(Candidate("books", ("isbn",)), reads={"without": [3.0, 5.0, 4.0], "with": [1.0, 1.0, 2.0]})
    row = to_row(trial)
    assert (row["saved_ms"], row["spread_ms"], row["read_ms"]) == (2.0, 0.0, 4.0)
    assert row["write_added_ms"] is None and row["bytes"] is None
    assert "its price for writes is not known" in render_trial(trial, "desk")


TRIED = {
    "lead": "loans(member_id)", "table": "loans", "index": "CREATE INDEX x", "read_ms": 4.0, "read_after_ms": 0.1,
    "saved_ms": 3.9, "spread_ms": 0.2, "saved_share": 0.975, "write_ms": 0.1, "write_added_ms": 0.01,
    "write_spread_ms": 0.01, "written": "the workload's own writes, a request", "share": 0.4,
    "site": "app/a.py:12 load", "endpoint": "GET /a", "queries": "q:1,q:2",
}  # fmt: skip


def told(kind: str, row: str, **facts: object) -> list[Finding]:
    packed = pack_rows(row, [facts])  # type: ignore[list-item]
    return list(detect([Evidence(id=f"{kind}@desk/base", kind=kind, title="", digest="", facts=packed)]))


def test_a_trial_stands_behind_the_finding_of_its_plan() -> None:
    (finding,) = told("index_trial", "trial", **TRIED)
    assert (finding.id, finding.covers) == ("missing_index@loans(member_id)", ("q:1", "q:2", "app/a.py:12"))
    assert finding.share == pytest.approx(0.39)
    assert "adds 0.010 ms to the workload's own writes" in finding.claim
    for nothing in ({"spread_ms": 3.0}, {"saved_share": 0.1}, {"share": 0.01}):
        assert told("index_trial", "trial", **{**TRIED, **nothing}) == []


def test_idle_indexes_are_findings_of_their_own() -> None:
    (double,) = told("schema", "duplicate", table="loans", index="ix_a", columns="a", covered_by="ix_ab")
    (idle,) = told("schema", "unused", table="loans", index="ix_c", columns="c")
    assert (double.id, idle.id) == ("duplicate_index@ix_a", "unused_index@ix_c")
    assert told("schema", "unindexed_key", table="loans", columns="a", refers_to="members", rows=9) == []
