"""The planted Express shop on PostgreSQL: its faults are found by id, its healthy endpoints left alone."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from perfcrew.records.facts import unpack_rows
from tests.e2e.patches import Edit, Patch
from tests.e2e.planted import commit_patch, findings_of, look_at, opened, workload_of
from tools.behaviour import compare_behaviour
from tools.duel import run_duel
from tools.event_loop import measure_event_loop
from tools.node_heap import measure_heap
from tools.pool import measure_pool
from tools.protocol import QUICK
from tools.target_tests import run_tests
from tools.workspace import Workspace

pytestmark = [pytest.mark.app, pytest.mark.asyncio(loop_scope="module")]
LINES = "q:9b3b25"
"""The statement that asks for an order's lines."""
BATCH = Patch(
    title="Read the lines of all orders at once",
    body="Each order asked for its lines with a statement of its own.",
    kinds=("n_plus_one",),
    layer="database",
    edits=(
        Edit(
            "src/lines.js",
            "module.exports = { linesOf }",
            "/** The lines of several orders, by order. */\n"
            "async function linesByOrder (pool, orderIds) {\n"
            "  const { rows } = await pool.query(\n"
            "    'SELECT l.order_id, l.product_id, p.name, l.quantity, l.price_cents FROM order_lines l' +\n"
            "      ' JOIN products p ON p.id = l.product_id WHERE l.order_id = ANY ($1) ORDER BY l.id',\n"
            "    [orderIds]\n"
            "  )\n"
            "  const found = new Map(orderIds.map((id) => [id, []]))\n"
            "  for (const { order_id: id, ...line } of rows) found.get(id).push(line)\n"
            "  return found\n"
            "}\n\n"
            "module.exports = { linesByOrder, linesOf }",
        ),
        Edit("src/routes/customers.js", "const { linesOf }", "const { linesByOrder }"),
        Edit(
            "src/routes/customers.js",
            "    const orders = []\n",
            "    const byOrder = await linesByOrder(pool, rows.map((order) => order.id))\n    const orders = []\n",
        ),
        Edit("src/routes/customers.js", "await linesOf(pool, order.id)", "byOrder.get(order.id)"),
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workspace]:
    folder = tmp_path_factory.mktemp("orders")
    async with opened("orders", folder, tmp_path_factory.getbasetemp() / "home") as workspace:
        yield workspace


async def test_its_own_tests_pass_where_runs_have_them(shop: Workspace) -> None:
    evidence = await run_tests(shop, shop.base_commit, "base")
    assert evidence.facts["passed_all"] == 1, evidence.digest
    assert int(evidence.facts["passed"] or 0) >= 12


async def test_accounts_ask_again_for_each_order(shop: Workspace) -> None:
    evidence = await look_at(shop, "accounts")
    findings = findings_of(evidence.values())
    loop = findings[f"n_plus_one@{LINES}"]
    assert (loop.place.path, loop.place.symbol) == ("src/lines.js", "linesOf")
    assert loop.place.endpoint == "GET /api/customers/:id/orders"
    rows = {row["name"]: row["queries"] for row in unpack_rows(evidence["queries"].facts, "endpoint")}
    assert rows["POST /api/orders"] == 4
    assert float(rows["GET /api/customers/:id/orders"] or 0) > 7
    assert findings["missing_index@order_lines(order_id)"].place.path == "src/lines.js"


async def test_receipts_hold_the_event_loop(shop: Workspace) -> None:
    evidence = await look_at(shop, "receipts", cpu=True)
    held = findings_of([evidence["queries"]])["blocking_call@GET /api/orders/:id/receipt"]
    assert held.place.path == "src/receipts.js"
    assert findings_of([evidence["cpu"]])["cpu_hot_path@seal"].place.path == "src/receipts.js"
    loop = await measure_event_loop(shop, shop.base_commit, workload_of(shop, "receipts"), "base")
    worst = unpack_rows(loop.facts, "hold")[0]
    assert str(worst["site"]).startswith("src/receipts.js:")
    assert (worst["own"], worst["state"]) == (1, "computing")
    assert "blocking_call@seal" in findings_of([loop])


async def test_the_pool_is_watched(shop: Workspace) -> None:
    pool = await measure_pool(shop, shop.base_commit, workload_of(shop, "accounts"), "base")
    assert pool.facts["capacity"] == 8
    assert findings_of([pool]) == {}


async def test_the_trail_of_looks_stays_in_the_heap(shop: Workspace) -> None:
    heap = await measure_heap(shop, shop.base_commit, workload_of(shop, "accounts"), "base")
    grown = {str(row["site"]): row for row in unpack_rows(heap.facts, "grown")}
    # Three of four requests look at an account; each look keeps a buffer of 4 kB.
    assert 0.5 < float(grown["Buffer"]["objects"] or 0) <= 1, heap.digest
    assert float(grown["system / JSArrayBufferData"]["kb"] or 0) > 2


async def test_the_catalogue_is_large_and_plain(shop: Workspace) -> None:
    findings = findings_of((await look_at(shop, "catalogue")).values())
    assert {f"{kind}@GET /api/catalogue" for kind in ("large_payload", "no_compression")} <= set(findings)


async def test_browsing_is_left_alone(shop: Workspace) -> None:
    evidence = await look_at(shop, "browse", cpu=True)
    assert set(evidence) == {"queries", "payload", "explain", "cpu"}
    assert findings_of(evidence.values()) == {}
    assert evidence["queries"].facts["queries_per_request"] == 1


async def test_a_cure_answers_alike_and_its_queries_are_counted(shop: Workspace) -> None:
    cured = await commit_patch(shop, BATCH)
    checks, _ = await compare_behaviour(shop, shop.base_commit, cured, held_out=True, most=12)
    assert len(checks) > 4
    assert [check for check in checks if not check.passed] == []
    workload = workload_of(shop, "accounts")
    duel = await run_duel(shop, shop.base_commit, cured, workload, name="batch", protocol=QUICK, floors={})
    counted = {effect.metric: effect for effect in duel.effects}["db.queries_per_request"]
    assert counted.exact
    assert counted.outcome == "improved"
    assert counted.base > 7 > counted.candidate
