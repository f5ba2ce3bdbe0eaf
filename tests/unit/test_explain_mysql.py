"""Plans and index trials on a private MariaDB server, and MySQL's plans read without one."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from test_explain_postgres import queries
from test_mysql import needs_server, workspace  # noqa: F401  a fixture

from perfcrew.errors import ToolError
from perfcrew.records.facts import unpack_rows
from tools.copies import open_copy
from tools.database import copy_data
from tools.explain import explain_queries, explain_query
from tools.launch import INJECT
from tools.mysql_plan import mysql_facts, mysql_scans, render_mysql
from tools.plans import Candidate
from tools.process import run
from tools.traces import read_trace
from tools.workspace import Workspace


@pytest.mark.app
@needs_server
async def test_explains_with_traced_parameters_and_tries_an_index(workspace: Workspace) -> None:  # noqa: F811
    traced = queries(
        workspace,
        scanned=("SELECT title FROM books WHERE year = %(y)s", {"y": 1950}),
        joined=(
            "SELECT a.name FROM books b JOIN authors a ON a.id = b.author_id WHERE b.year > %s ORDER BY title LIMIT 3",
            [1990],
        ),
        fine=("SELECT name FROM authors WHERE id = %s", [5]),
    )
    evidence = await explain_queries(workspace, traced, arm_name="base")
    rows = {row["id"]: row for row in unpack_rows(evidence.facts, "plan")}
    assert rows["scanned"]["index"] == "CREATE INDEX ix_books_year ON books (year)"
    assert (rows["scanned"]["scanned"], rows["scanned"]["rows"], rows["scanned"]["index_used"]) == (5000, 50, 1)
    assert 5000 <= float(rows["scanned"]["read"] or 0) <= 5003, "one more to see the end, and the way to the first"
    assert (rows["fine"]["read"], rows["fine"]["rows"], rows["fine"]["indexes"]) == (1, 1, "PRIMARY")
    assert "index" not in rows["fine"]
    assert "books: ALL, reads 5,000 rows" in evidence.digest
    assert float(rows["joined"]["read"] or 0) > 5000


@pytest.mark.app
@needs_server
async def test_a_trial_leaves_no_index_and_models_read_only(workspace: Workspace) -> None:  # noqa: F811
    async with open_copy(workspace, "trial", workspace.folder) as copy:
        before = copy.tables()
        assert before["books"].foreign_keys[0].refers_to == "authors"
        wanted = Candidate("books", ("year", "order"), "mysql")
        assert wanted.ddl == "CREATE INDEX ix_books_year_order ON books (year, `order`)"
        copy.try_index("SELECT id FROM books WHERE year = 1950", None, Candidate("books", ("year",), "mysql"))
        assert copy.tables()["books"].indexes == before["books"].indexes
        assert copy.run_once("DELETE FROM books WHERE year = %s", [1950], writes=True) > 0
        assert copy.look("SELECT id FROM books WHERE year = 1950", None, before).rows == 50, "rolled back"
    sql = "SELECT count(*) FROM books WHERE year = ? AND title LIKE '%x'"
    output = await explain_query.call({"sql": sql, "params": [1950]}, workspace)
    assert "books: ALL" in output.content
    for refused in ("DELETE FROM books", "SELECT sleep(1)", "SELECT load_file('/etc/passwd')"):
        with pytest.raises(ToolError):
            await explain_query.call({"sql": refused}, workspace)


def plan(**table: Any) -> dict[str, Any]:
    node = {"table_name": "books", "access_type": "ALL", **table}
    return {"query_block": {"ordering_operation": {"using_filesort": True, "nested_loop": [{"table": node}]}}}


def test_what_mysql_only_guesses_is_labelled() -> None:
    guessed = plan(rows_examined_per_scan=4000, filtered="100.00")
    assert [(scan.table, scan.rows) for scan in mysql_scans(guessed)] == [("books", 4000)]
    lines = render_mysql(guessed, measured=False)
    assert lines[0].startswith("estimates only") and lines[-1] == "  books: ALL, reads 4,000 rows"
    facts = mysql_facts(guessed, 4001)
    assert (facts.read, facts.misjudged, facts.scans) == (4001, None, (("books", 4000),))


def test_mariadb_tells_waste_and_wrong_estimates() -> None:
    known = plan(rows=100, r_rows=4000, r_loops=2, r_filtered=1, attached_condition="books.year = 1950")
    (scan,) = mysql_scans(known)
    assert (scan.rows, scan.kept) == (8000, 80)
    assert mysql_facts(known, 8000).misjudged == ("books", 40.0)
    assert "keeps 80 by books.year = 1950 (estimated 100 a loop)" in render_mysql(known, measured=True)[-1]
    assert mysql_scans(plan(rows=4000, r_rows=4000, r_loops=1, r_filtered=90)) == []


ASKING = """
import json, os
import pymysql
from urllib.parse import urlsplit
from flask import Flask
from sqlalchemy import create_engine, text

URL = os.environ["DATABASE_URL"]
app = Flask(__name__)


@app.route("/raw")
def raw():
    parts = urlsplit(URL)
    connection = pymysql.connect(host=parts.hostname, port=parts.port, user=parts.username, password=parts.password,
                                 database=parts.path.strip("/"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM authors WHERE id < %s", (4,))
        return {"rows": len(cursor.fetchall())}


@app.route("/alchemy")
def alchemy():
    with create_engine(URL.replace("mysql:", "mysql+pymysql:")).connect() as connection:
        return {"rows": len(connection.execute(text("SELECT id FROM authors WHERE id < :n"), {"n": 5}).all())}


client = app.test_client()
print(json.dumps([client.get(path).get_json() for path in ("/raw", "/alchemy")]))
"""


@pytest.mark.app
@needs_server
async def test_the_tracer_sees_each_statement_of_pymysql_once(workspace: Workspace, tmp_path: Path) -> None:  # noqa: F811
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
    assert done.out.strip() == '[{"rows": 3}, {"rows": 4}]', done.err
    trace = read_trace(tmp_path / "trace")
    seen = {
        line["path"]: [
            item["rows"]
            for item in line["statements"]
            if trace.texts[item["id"]]["fingerprint"] == "SELECT id FROM authors WHERE id < ?"
        ]
        for line in trace.requests
    }
    assert seen == {"/raw": [3], "/alchemy": [4]}
