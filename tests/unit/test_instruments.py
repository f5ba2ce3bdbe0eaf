"""The instruments on a running FastAPI application with known faults: each fault is seen where it is."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace
from tiny_apps import SEED, SHELF

from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, unpack_rows
from perfcrew.records.target import HttpRequest, Workload
from perfcrew.stats import recompute
from tools.arm import start_arm
from tools.cpu import profile_cpu
from tools.detectors import detect
from tools.explain import explain_queries, explain_query
from tools.load import LoadWorker
from tools.payload import inspect_responses
from tools.queries import count_queries, trace_queries
from tools.target import load_target
from tools.workspace import Workspace

pytestmark = pytest.mark.app

TARGET = {
    "target": {
        "start": f"{sys.executable} -m uvicorn shelf:app --host 127.0.0.1 --port {{port}} --no-access-log",
        "ready": "/api/kept",
        "environment": {"DATABASE_URL": "{database_url}", "PYTHONDONTWRITEBYTECODE": "1"},
    },
    "database": {"engine": "sqlite", "file": "shelf.db", "seed": f"{sys.executable} seed.py"},
}
PATHS = (
    "/api/authors?limit={limit}",
    "/api/authors/{author}",
    "/api/counted",
    "/api/pooled",
    "/api/listed",
    "/sub/{author}",
)
SHOP = Workload(
    name="shop",
    request=(
        *(HttpRequest(path=path) for path in PATHS),
        HttpRequest(method="POST", path="/api/kept", json_body={"by": 1}, weight=2),
    ),
    params={"limit": (6, 8), "author": (1, 2, 3)},
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("shelf")
    files = {"shelf.py": SHELF, "seed.py": SEED}
    return asyncio.run(make_workspace(folder, files, TARGET, sandbox=False))


@pytest.fixture(scope="module")
def traced(workspace: Workspace) -> Evidence:
    return asyncio.run(trace_queries(workspace, workspace.base_commit, SHOP, arm_name="base"))


def row_of(evidence: Evidence, kind: str, **wanted: str) -> Row:
    rows = [row for row in unpack_rows(evidence.facts, kind) if wanted.items() <= row.items()]
    assert len(rows) == 1, rows
    return rows[0]


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(SHELF.splitlines(), 1) if text in line)


def test_endpoints_carry_their_route_templates(traced: Evidence) -> None:
    names = {row["name"]: row["queries"] for row in unpack_rows(traced.facts, "endpoint")}
    assert names == {
        "GET /api/authors": 8.0, "GET /api/authors/{author_id}": 1.0, "GET /api/counted": 1.0,
        "GET /api/pooled": 3.0, "GET /api/listed": 0.0, "GET /sub/{word}": 0.0, "POST /api/kept": 0.0,
    }  # fmt: skip


def test_the_loop_is_an_n_plus_one_at_its_line(traced: Evidence) -> None:
    finding = next(item for item in detect([traced]) if item.kind == "n_plus_one")
    assert (finding.place.path, finding.place.line) == ("shelf.py", line_of("len(author.books)"))
    assert (finding.place.symbol, finding.place.endpoint) == ("list_authors", "GET /api/authors")
    row = row_of(traced, "statement", id=str(finding.place.fingerprint))
    assert (row["calls"], row["max_calls"], row["distinct"], row["rows"]) == (7.0, 8, 7.0, 7.0 * 60)
    assert 0 < float(row["share"] or 0) < float(row["loop_share"] or 0) < 1


def test_async_statements_and_pooled_threads_are_seen(traced: Evidence) -> None:
    row = row_of(traced, "statement", endpoint="GET /api/counted")
    line = line_of("SELECT count(*)")
    assert (row["site"], row["rows"]) == (f"shelf.py:{line} count_books", 1.0)
    pooled = row_of(traced, "statement", endpoint="GET /api/pooled")
    assert (pooled["calls"], pooled["distinct"]) == (3.0, 3.0)
    assert str(pooled["site"]).endswith(" look_up")


async def test_what_sleeps_on_the_loop_is_named(workspace: Workspace) -> None:
    asleep = Workload(name="asleep", request=(HttpRequest(path="/api/asleep"),))
    evidence = await trace_queries(workspace, workspace.base_commit, asleep, arm_name="base")
    (finding,) = detect([evidence])
    assert finding.id == "blocking_call@GET /api/asleep"
    assert finding.place.line == line_of("time.sleep")


def test_figures_can_be_computed_again(workspace: Workspace, traced: Evidence) -> None:
    assert {item.id for item in traced.measurements} == {
        "queries_per_request@shop/base",
        "bytes_per_response@shop/base",
    }
    for measurement in traced.measurements:
        raw = workspace.artifacts.get_json(measurement.samples)
        assert recompute(measurement.method, raw) == pytest.approx(measurement.value)
    # Six templates of weight 1 and one of weight 2: each counts by its weight, however many parameters it has.
    queries = next(item for item in traced.measurements if item.metric == "db.queries_per_request")
    assert queries.value == pytest.approx((8 + 1 + 1 + 3) / 8)


def test_the_digest_is_short_and_has_the_ids(traced: Evidence) -> None:
    assert len(traced.digest) < 8000
    assert "N+1" in traced.digest
    assert all(str(row["id"]) in traced.digest for row in unpack_rows(traced.facts, "statement"))


async def test_counts_are_exact(workspace: Workspace) -> None:
    one = Workload(name="one", request=(HttpRequest(path="/api/authors?limit=6"),))
    counts = await count_queries(workspace, workspace.base_commit, one)
    assert set(counts["db.queries_per_request"]) == {7.0}
    again = await count_queries(workspace, workspace.base_commit, one)
    assert counts == again


async def test_statuses_that_were_not_expected_are_told(workspace: Workspace) -> None:
    lost = Workload(name="lost", request=(HttpRequest(path="/nowhere"),))
    evidence = await trace_queries(workspace, workspace.base_commit, lost, arm_name="base")
    assert "! GET /nowhere answered 404" in evidence.digest


async def test_missing_index_is_found_and_tried_on_a_copy(workspace: Workspace, traced: Evidence) -> None:
    pristine = (workspace.data / "pristine" / "shelf.db").read_bytes()
    evidence = await explain_queries(workspace, traced, arm_name="base")
    row = next(row for row in unpack_rows(evidence.facts, "plan") if row.get("table") == "books")
    assert row["index"] == "CREATE INDEX ix_books_author_id ON books (author_id)"
    assert (row["scanned"], row["index_used"]) == (3000, 1)
    assert float(row["after_ms"] or 0) < float(row["ms"] or 0)
    assert "books: 3,000 rows" in evidence.digest and "SCAN books" in evidence.digest
    others = [row for row in unpack_rows(evidence.facts, "plan") if row.get("table") != "books"]
    assert others and not any(row.get("index") for row in others)
    assert (workspace.data / "pristine" / "shelf.db").read_bytes() == pristine
    assert not list((workspace.data / "arms").glob("explain*"))


async def test_models_can_explain_reading_queries_only(workspace: Workspace) -> None:
    sql = "SELECT title FROM books WHERE author_id = :author ORDER BY title"
    output = await explain_query.call({"sql": sql, "params": {"author": 3}}, workspace)
    assert "60 rows" in output.content and "SCAN books" in output.content
    assert "CREATE INDEX ix_books_author_id_title ON books (author_id, title)" in output.content
    for refused in ("DELETE FROM books", "SELECT 1; SELECT 2", "SELECT nothing FROM nowhere"):
        with pytest.raises(ToolError):
            await explain_query.call({"sql": refused}, workspace)


async def test_a_target_without_database_has_nothing_to_explain(workspace: Workspace, traced: Evidence) -> None:
    bare = traced.model_copy(update={"facts": {}})
    with pytest.raises(InstrumentError, match="nothing to explain"):
        await explain_queries(workspace, bare, arm_name="base")


async def test_responses_are_seen_as_they_come(workspace: Workspace) -> None:
    async with start_arm(workspace, workspace.base_commit, "base") as arm:
        evidence = await inspect_responses(workspace, arm, SHOP)
    row = row_of(evidence, "response", endpoint="GET /api/listed")
    assert (row["status"], row["type"], row["encoding"], row["validator"]) == (
        200,
        "application/json",
        "identity",
        None,
    )
    assert row["identity"] == row["wire"] == 3000 * len('"a title that repeats itself",') + 1
    assert int(row["gzip"] or 0) < 2000
    assert [item.id for item in detect([evidence])] == ["no_compression@GET /api/listed"]


async def test_the_profile_names_what_burns_and_what_sleeps(workspace: Workspace) -> None:
    paths = ("/api/crunched", "/api/asleep")
    busy = Workload(name="busy", users=3, request=tuple(HttpRequest(path=path) for path in paths))
    async with (
        LoadWorker.start(workspace) as worker,
        start_arm(workspace, workspace.base_commit, "base") as arm,
    ):
        evidence = await profile_cpu(workspace, arm, busy, seconds=2, worker=worker)
    findings = {item.id: item for item in detect([evidence])}
    assert findings["cpu_hot_path@burn"].place.path == "shelf.py"
    assert "blocking_call@sleep_on_the_loop" in findings
    assert row_of(evidence, "hot", name="burn")["path"] == "shelf.py"
    assert "shelf.py" in evidence.digest and str(workspace.folder) not in evidence.digest
    raw: dict[str, Any] = workspace.artifacts.get_json(evidence.artifact)  # type: ignore[arg-type]
    assert "burn" in raw["gil"]


async def test_a_runtime_without_python_is_refused(workspace: Workspace) -> None:
    class Arm:
        def pids(self) -> list[int]:
            return [1_999_999]

    with pytest.raises(InstrumentError, match="no Python process"):
        await profile_cpu(workspace, Arm(), SHOP, seconds=1, worker=None)  # type: ignore[arg-type]


async def test_all_are_silent_about_a_healthy_application(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "apps" / "healthy"
    target, _ = load_target(folder, None)
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.glob("healthy/*.py")}
    assert target.database is not None and target.database.seed is not None
    described = {
        "target": {"start": target.target.start.replace("{env}/bin/python", sys.executable), "ready": "/health"},
        "database": {
            **target.database.model_dump(),
            "seed": target.database.seed.replace("{env}/bin/python", sys.executable),
        },
        "workload": target.workload,
    }
    healthy = await make_workspace(tmp_path, files, described, sandbox=False)
    commit, workload = healthy.base_commit, healthy.target.primary
    traced = await trace_queries(healthy, commit, workload, arm_name="base")
    evidence = [traced, await explain_queries(healthy, traced, arm_name="base")]
    async with LoadWorker.start(healthy) as worker, start_arm(healthy, commit, "base") as arm:
        evidence.append(await inspect_responses(healthy, arm, workload))
        evidence.append(await profile_cpu(healthy, arm, workload, seconds=1, worker=worker))
    assert traced.facts["queries_per_request"] == 1.0
    assert len(evidence) == 4
    assert detect(evidence) == ()


def test_nothing_is_left_behind(workspace: Workspace) -> None:
    assert not list(workspace.folder.glob("trace-*"))
    assert not list(Path(workspace.folder / "profiles").glob("*.raw"))
