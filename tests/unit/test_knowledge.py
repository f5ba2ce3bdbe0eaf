"""The knowledge graph: built from a checkout, enriched by measurements, read by people and models."""

import sqlite3
from pathlib import Path

import pytest

from perfcrew.artifacts import Artifacts
from perfcrew.errors import ToolError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import pack_rows
from perfcrew.records.target import HttpRequest, Settings, Target, Workload
from tools.graph_merge import find_route
from tools.knowledge import build_graph, describe_paths, merge_measurements, open_graph, query_graph, show_path
from tools.workspace import Workspace

LIBRARY = Path(__file__).parents[1] / "apps" / "library"
ROUTE = "GET /api/branches/<int:branch_id>/overdue"
LIST = "library.loans.list_overdue"
COUNT_SQL = "SELECT count(*) AS count FROM loans WHERE member_id = ? AND returned_on IS NULL"
TASK = 'process 7:"python";serve (/env/lib/python3.11/site-packages/waitress/task.py:10)'
PROFILE = f"""\
{TASK};list_overdue (/arm/library/loans.py:LINE);fine_cents (/arm/library/fines.py:16);\
open_days (/arm/library/calendar.py:40) 60
{TASK};list_overdue (/arm/library/loans.py:LINE);count_open_loans (/arm/library/members.py:17) 20
{TASK};finalize_request (/env/lib/python3.11/site-packages/flask/app.py:880) 20
process 7:"python";main (/arm/library/__main__.py:19);\
poll (/env/lib/python3.11/site-packages/waitress/wasyncore.py:10) 50
"""


def line_of(path: str, text: str) -> int:
    lines = (LIBRARY / path).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    target = Target(
        target=Settings(name="library", start="python -m library serve --port {port}"),
        workload=(Workload(name="overdue", request=(HttpRequest(path="/api/branches/1/overdue"),)),),
    )
    return Workspace(
        run_id="run", folder=tmp_path / "run", home=tmp_path, target=target, base_commit="0" * 40,
        artifacts=Artifacts(tmp_path / "artifacts"), environment="e",
    )  # fmt: skip


def queries(workspace: Workspace, calls: float = 40.0, endpoint: str = ROUTE) -> Evidence:
    """What the tracer gives: rows in the facts, whole statements in the raw file."""
    site = f"library/members.py:{line_of('library/members.py', 'SELECT count(*)')} count_open_loans"
    via = f"library/loans.py:{line_of('library/loans.py', 'count_open_loans(connection, row')} list_overdue"
    rows = {
        "endpoint": [{"name": endpoint, "queries": 161.0, "db_ms": 40.0, "ms": 88.0, "share": 1.0, "db_share": 0.45}],
        "statement": [
            {
                "id": "q:abc123", "endpoint": endpoint, "site": site, "via": via, "calls": calls,
                "max_calls": 40, "ms": 30.0, "rows": 40.0, "distinct": 40.0,
                "share": 0.3, "loop_share": 0.35, "n_plus_one": 1, "repeated": 0,
                "sql": COUNT_SQL[:20],
            }
        ],
    }  # fmt: skip
    return Evidence(
        id="queries@overdue/base", kind="queries", title="t", digest="d",
        artifact=workspace.artifacts.put_json({"statements": {"q:abc123": {"fingerprint": COUNT_SQL, "samples": []}}}),
        facts={key: value for kind, entries in rows.items() for key, value in pack_rows(kind, entries).items()},
    )  # fmt: skip


def profile(workspace: Workspace) -> Evidence:
    text = PROFILE.replace("LINE", str(line_of("library/loans.py", "fine_cents(row")))
    raw = {"root": "/arm", "gil": text, "wall": text}
    return Evidence(
        id="cpu@overdue/base", kind="cpu", title="t", digest="d", artifact=workspace.artifacts.put_json(raw)
    )


async def test_build_finds_routes_functions_and_tables(workspace: Workspace) -> None:
    summary = await build_graph(workspace, LIBRARY)
    assert summary.counts["route"] == 6
    assert summary.counts["handles"] == 6
    assert summary.counts["table"] == 8
    assert summary.skipped == ()
    assert f"route {ROUTE}" in summary.digest
    assert "ratings; indexes: ratings(book_id, member_id)" in summary.digest


async def test_building_and_merging_again_changes_nothing(workspace: Workspace) -> None:
    first = await build_graph(workspace, LIBRARY)
    assert await build_graph(workspace, LIBRARY) == first
    evidence = [queries(workspace), profile(workspace)]
    merge_measurements(workspace, evidence)
    dump = _dump(workspace)
    merge_measurements(workspace, evidence)
    await build_graph(workspace, LIBRARY)
    merge_measurements(workspace, evidence)
    assert _dump(workspace) == dump


def _dump(workspace: Workspace) -> list[tuple[object, ...]]:
    with sqlite3.connect(workspace.folder / "knowledge.db") as connection:
        tables = ("nodes", "edges", "measures")
        return [row for table in tables for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]


async def test_traces_add_queries_with_their_functions_tables_and_counts(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    merge_measurements(workspace, [queries(workspace)])
    store = open_graph(workspace)
    query = store.node("query:q:abc123")
    assert query is not None
    assert query.detail == COUNT_SQL
    (issued,) = store.neighbours("query:q:abc123", "in", "issues")
    assert issued.source == "function:library.members.count_open_loans"
    assert issued.detail == f"N+1, 40 times a request of {ROUTE}"
    assert [edge.target for edge in store.neighbours("query:q:abc123", "out")] == ["table:loans"]
    assert store.measures()["query:q:abc123"] == {"time_share": 0.35}
    assert store.measures()[f"route:{ROUTE}"] == {"time_share": 1.0, "ms": 88.0, "queries": 161.0}


async def test_a_later_trace_replaces_the_counts(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    merge_measurements(workspace, [queries(workspace), queries(workspace, calls=1.0)])
    (issued,) = open_graph(workspace).neighbours("query:q:abc123", "in", "issues")
    assert issued.detail == f"N+1, once a request of {ROUTE}"


async def test_counts_of_several_routes_stand_side_by_side(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    other = queries(workspace, calls=2.0, endpoint="GET /api/books").model_copy(update={"id": "queries@books/base"})
    for _ in range(2):
        merge_measurements(workspace, [queries(workspace), other])
    (issued,) = open_graph(workspace).neighbours("query:q:abc123", "in", "issues")
    assert issued.detail == f"N+1, 2 times a request of GET /api/books; N+1, 40 times a request of {ROUTE}"


async def test_a_concrete_path_is_matched_to_its_route(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    store = open_graph(workspace)
    assert find_route(store, "GET /api/branches/3/overdue?limit=5") == f"route:{ROUTE}"
    assert find_route(store, "POST /api/branches/3/overdue") is None
    assert find_route(store, "GET /api/unknown") is None
    merge_measurements(workspace, [queries(workspace, endpoint="GET /api/unknown")])
    assert store.measures()["route:GET /api/unknown"]["queries"] == 161.0


async def test_profiles_give_shares_and_calls_that_the_code_hides(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    merge_measurements(workspace, [profile(workspace)])
    measures = open_graph(workspace).measures()
    assert measures[f"function:{LIST}"] == {"cpu_share": 0.8, "wall_share": 0.8}
    assert measures["function:library.calendar.open_days"] == {"cpu_share": 0.6, "self_share": 0.6, "wall_share": 0.6}
    assert measures["function:library.members.count_open_loans"]["self_share"] == 0.2
    assert "function:library.__main__.main" not in measures, "the server's own waiting is no work"


async def test_paths_show_shares_and_counts_along_the_way(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    merge_measurements(workspace, [queries(workspace), profile(workspace)])
    text = describe_paths(workspace, 1)
    head, *rest = text.splitlines()
    assert head.startswith(f"route {ROUTE} (library/loans.py:")
    assert head.endswith("[88 ms a request, 161 queries a request, 100% of the time]")
    hot = next(line for line in rest if "library.fines.fine_cents" in line)
    assert "[60% of CPU, 60% of wall time]" in hot
    query = next(line for line in rest if "q:abc123" in line)
    assert query.strip() == f"→ query q:abc123 on loans: {COUNT_SQL} [35% of the time] (N+1, 40 times a request)"
    assert "Other routes: GET /api/members/<int:member_id>" in text
    assert describe_paths(workspace, 1) == text


async def test_a_graph_without_anything_says_so(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    summary = await build_graph(workspace, tmp_path / "empty")
    assert summary.counts == {}
    assert summary.digest == "No routes, functions or tables were found."


async def test_query_graph_walks_both_ways(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    out = await query_graph.call({"start": "list_overdue", "relation": "calls", "depth": 1}, workspace)
    assert [line.strip().split(" (")[0] for line in out.content.splitlines()[1:]] == [
        "calls → library.books.authors_of",
        "calls → library.db.get_connection",
        "calls → library.db.today",
        "calls → library.fines.fine_cents",
        "calls → library.fines.show_euros",
        "calls → library.members.count_open_loans",
    ]
    readers = await query_graph.call({"start": "table:loans", "direction": "in", "relation": "reads"}, workspace)
    assert "library.members.count_open_loans" in readers.content
    assert "lend (" not in readers.content


async def test_query_graph_names_candidates(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    with pytest.raises(ToolError, match=r"'overdue' may be: .*give one of these ids"):
        await query_graph.call({"start": "overdue"}, workspace)
    with pytest.raises(ToolError, match=r"nothing like 'table:loanz' in the graph; close: table:loans"):
        await query_graph.call({"start": "table:loanz"}, workspace)
    with pytest.raises(ToolError, match="depth"):
        await query_graph.call({"start": "table:loans", "depth": 99}, workspace)


async def test_show_path_draws_one_route(workspace: Workspace) -> None:
    await build_graph(workspace, LIBRARY)
    shown = await show_path.call({"route": ROUTE}, workspace)
    assert shown.content.splitlines()[0].startswith(f"route {ROUTE}")
    assert (await show_path.call({"route": f"route:{ROUTE}"}, workspace)) == shown
    with pytest.raises(ToolError, match=r"there is no route 'GET /nowhere'; there are: .*GET /health"):
        await show_path.call({"route": "GET /nowhere"}, workspace)


async def test_recursion_ends(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(
        "def a():\n    b()\n\n\ndef b():\n    a()\n    run('SELECT 1 FROM t')\n\n\n@app.get('/x')\ndef x():\n    a()\n"
    )
    await build_graph(workspace, tmp_path / "app")
    shown = await show_path.call({"route": "GET /x"}, workspace)
    assert shown.content.count("shown above") == 1
    walked = await query_graph.call({"start": "table:t", "direction": "in", "depth": 5}, workspace)
    assert len(walked.content.splitlines()) < 10
