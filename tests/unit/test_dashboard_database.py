"""The database instruments on the bundled dashboard application, with SQLite and with PostgreSQL."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from target_repo import make_workspace
from test_explain_postgres import _has_postgres

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import number, text, unpack_rows
from perfcrew.stats import recompute
from tools.database import close_databases
from tools.detectors import detect
from tools.explain import explain_queries
from tools.index_trial import try_indexes
from tools.pool import measure_pool
from tools.queries import trace_queries
from tools.round_trips import ONE_WAY_MS, measure_round_trips
from tools.schema_advice import advise_schema
from tools.target import load_target
from tools.workspace import Workspace

CASE = Path(__file__).parents[2] / "evals" / "cases" / "dashboard"
ENGINES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.skipif(not _has_postgres(), reason="PostgreSQL is not installed")),
]
pytestmark = [pytest.mark.app, pytest.mark.timeout(600)]


def _described(engine: str) -> dict[str, object]:
    target, _ = load_target(CASE / "app", CASE / "perfcrew.toml")
    assert target.database is not None
    commands = {"start": target.target.start, "seed": target.database.seed, "migrate": target.database.migrate}
    own = {name: str(command).replace("{env}/bin/python", sys.executable) for name, command in commands.items()}
    return {
        "target": {"start": own["start"], "ready": "/health", "environment": target.target.environment},
        "database": {"engine": engine, "seed": own["seed"], "migrate": own["migrate"]},
        "workload": target.workload,
    }


@pytest.fixture(scope="module", params=ENGINES)
def workspace(request: pytest.FixtureRequest) -> Iterator[Workspace]:
    # The server's user must reach its data: pytest's own folders are for their owner only.
    folder = Path(tempfile.mkdtemp(prefix="perfcrew-"))
    folder.chmod(0o755)
    files = {
        path.relative_to(CASE / "app").as_posix(): path.read_text(encoding="utf-8")
        for path in (CASE / "app").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    made = asyncio.run(make_workspace(folder, files, _described(request.param), sandbox=False, quick=True))
    try:
        yield made
    finally:
        asyncio.run(close_databases(made))
        shutil.rmtree(folder, ignore_errors=True)


def check(workspace: Workspace, evidence: Evidence) -> None:
    """Every digest is short, and every figure can be computed again."""
    assert len(evidence.digest) < 8000
    for item in evidence.measurements:
        assert recompute(item.method, workspace.artifacts.get_json(item.samples)) == pytest.approx(item.value)


async def test_the_databases_part_in_the_dashboard_is_told(workspace: Workspace) -> None:
    assert workspace.target.database is not None
    served = workspace.target.database.engine == "postgresql"
    commit, (dashboard, browse) = workspace.base_commit, workspace.target.workload
    try:
        traced = await trace_queries(workspace, commit, dashboard, arm_name="base")
        plans = await explain_queries(workspace, traced, arm_name="base")
        others = await explain_queries(
            workspace, await trace_queries(workspace, commit, browse, arm_name="base"), arm_name="base"
        )
        tried = await try_indexes(workspace, commit, dashboard, "base")
        schema = await advise_schema(workspace, commit, dashboard, "base")
        pool = await measure_pool(workspace, commit, dashboard, "base")
        if served:
            far = await measure_round_trips(workspace, commit, dashboard, "base")
            check(workspace, far)
            (row,) = unpack_rows(far.facts, "far")
            assert text(row, "endpoint") == "GET /api/dashboard"
            # Each statement waits for the one before it, so what distance adds goes with their number. Of all passes
            # the quickest at each distance are compared: what else the machine does only ever adds.
            times = workspace.artifacts.get_json(far.measurements[0].samples)["times"]
            near, away = (min(sum(passed) / len(passed) for passed in times[name]) for name in ("near", "far"))
            assert away - near > 0.5 * number(traced.facts, "queries_per_request") * ONE_WAY_MS * 2
        else:
            with pytest.raises(InstrumentError, match="does not apply"):
                await measure_round_trips(workspace, commit, dashboard, "base")
    finally:
        await close_databases(workspace)
    for evidence in (traced, plans, others, tried, schema, pool):
        check(workspace, evidence)
    assert number(traced.facts, "queries_per_request") > 20
    found = {finding.id: finding for finding in detect([traced, plans, tried, schema])}
    assert any(name.startswith(("n_plus_one@", "repeated_computation@")) for name in found)
    index = found["missing_index@activities(user_id)"]
    assert set(index.evidence) == {"explain@dashboard/base", "index_trial@dashboard/base", "schema@dashboard/base"}
    assert others.id == "explain@browse/base"
    reads = {text(row, "endpoint"): row for row in unpack_rows(plans.facts, "reads")}
    row = reads["GET /api/dashboard"]
    assert number(row, "read") > 10 * number(row, "returned") > 0
    assert row["exact"] == int(served), "SQLite counts no rows: what is said of it is a lower bound"
    keys = {(row["table"], row["columns"]) for row in unpack_rows(schema.facts, "unindexed_key")}
    assert ("activities", "user_id") in keys and ("projects", "team_id") not in keys
    assert number(pool.facts, "capacity") == 40
