"""Rules that turn evidence into findings: they see what is sick and are silent about what is healthy."""

from typing import Any

import pytest

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import pack_rows, unpack_rows
from perfcrew.records.work import Place
from tools.detectors import detect, finding_id, measured_shares

STATEMENT = {
    "id": "q:aaaaaa", "endpoint": "GET /a", "site": "app/a.py:12 load", "via": "", "calls": 1.0, "max_calls": 1,
    "ms": 0.4, "rows": 1.0, "distinct": 1.0, "share": 0.01, "loop_share": 0.01, "n_plus_one": 0, "repeated": 0,
    "sql": "SELECT ?",
}  # fmt: skip
BLOCKED = {"endpoint": "GET /a", "site": "app/a.py:30 sleepy", "ms": 120.0, "of_ms": 200.0, "share": 0.6}
PLAN = {"id": "q:bbbbbb", "endpoint": "GET /a", "site": "app/a.py:12 load", "calls": 1.0, "share": 0.3, "ms": 20.0,
        "rows": 3, "scanned": 50_000, "table": "books", "lead": "books(author_id)", "index_used": 1, "after_ms": 0.1,
        "index": "CREATE INDEX ix_books_author_id ON books (author_id)", "sql": "SELECT ?"}  # fmt: skip
RESPONSE = {"endpoint": "GET /a", "path": "/a", "status": 200, "type": "application/json", "identity": 2_000,
            "wire": 2_000, "encoding": "identity", "gzip": 700, "validator": None, "revalidates": None}  # fmt: skip
HOT = {"path": "app/a.py", "name": "crunch", "line": 7, "cpu_share": 0.5, "cpu_total": 0.6, "time_share": 0.4,
       "ms": 30.0, "serial_share": 0.0, "wall_share": 0.5, "loop_share": 0.0, "loop_cpu_share": 0.0}  # fmt: skip


def evidence(kind: str, row: str = "", *rows: dict[str, Any], **facts: Any) -> Evidence:
    packed = {**facts, **(pack_rows(row, rows) if row else {})}
    return Evidence(id=f"{kind}@shop/base", kind=kind, title="", digest="", facts=packed)


def found(*items: Evidence) -> dict[str, float | None]:
    return {finding.id: finding.share for finding in detect(items)}


def test_rows_survive_packing() -> None:
    rows = [{"a": 1, "b": "x.y"}, {"a": None}]
    assert unpack_rows({**pack_rows("row", rows), "other": 3, "row.x": 1}, "row") == rows


HOLD = {"site": "app/a.py:30 sleepy", "own": 1, "ms": 900.0, "share": 0.4, "state": "computing", "work_share": 0.9,
        "stack": ""}  # fmt: skip
VITAL = {"metric": "page.lcp_ms", "short": "LCP", "value": 5200.0, "least": 5000.0, "most": 5400.0, "visits": 5,
         "rating": "poor", "core": 1, "retired": 0, "element": "img.hero", "url": None, "script": None,
         "parts": "load delay 3000 ms"}  # fmt: skip
IMAGE = {"url": "/hero.png", "element": "img.hero", "bytes": 900_000, "mime": "image/png", "reserved": 0,
         "old_format": 1, "too_large": 1, "lazy": 0, "natural": "4000×3000", "shown": "400×300"}  # fmt: skip

SICK: list[tuple[Evidence, dict[str, float | None]]] = [
    (
        evidence("queries", "statement", {**STATEMENT, "n_plus_one": 1, "calls": 50, "loop_share": 0.7}),
        {"n_plus_one@q:aaaaaa": 0.7},
    ),
    (
        evidence("queries", "statement", {**STATEMENT, "repeated": 1, "calls": 6, "loop_share": 0.2}),
        {"repeated_computation@q:aaaaaa": 0.2},
    ),
    (evidence("queries", "statement", {**STATEMENT, "ms": 80.0, "share": 0.5}), {"slow_query@q:aaaaaa": 0.5}),
    (evidence("queries", "blocked", BLOCKED, {**BLOCKED, "ms": 20, "share": 0.1}), {"blocking_call@GET /a": 0.7}),
    (evidence("explain", "plan", PLAN), {"missing_index@books(author_id)": 0.3}),
    (evidence("explain", "plan", {**PLAN, "after_ms": None}), {"missing_index@books(author_id)": 0.3}),
    (
        evidence("explain", "plan", PLAN, {**PLAN, "id": "q:cccccc", "share": 0.2}),
        {"missing_index@books(author_id)": 0.5},
    ),
    (
        evidence("payload", "response", {**RESPONSE, "identity": 500_000, "wire": 500_000, "gzip": 20_000}),
        {"large_payload@GET /a": None, "no_compression@GET /a": None},
    ),
    (
        evidence("payload", "response", {**RESPONSE, "identity": 500_000, "wire": 9_000, "encoding": "br"}),
        {"large_payload@GET /a": None},
    ),
    (
        evidence("payload", "response", {**RESPONSE, "identity": 40_000, "gzip": 39_000, "revalidates": 0}),
        {"cache_miss@GET /a": None},
    ),
    (evidence("memory", leak=1, growth_kb_per_request=20.0, rising_share=0.9), {"memory_leak@shop": None}),
    (evidence("cpu", "hot", HOT), {"cpu_hot_path@crunch": 0.4}),
    (evidence("cpu", "hot", {**HOT, "serial_share": 0.45}), {"serialisation@crunch": 0.4}),
    (evidence("cpu", serial_share=0.5, busy=0.8, cpu_ms=40.0), {"serialisation@application": 0.4}),
    (
        evidence("cpu", "hot", {**HOT, "cpu_share": 0.01, "loop_share": 0.5, "loop_cpu_share": 0.01}),
        {"blocking_call@crunch": 0.5},
    ),
    (evidence("cpu", pool_wait_share=0.4), {"pool_exhausted@application": 0.4}),
    (evidence("pool", pool_wait_share=0.4, full_share=0.9, capacity=5), {"pool_exhausted@application": 0.4}),
    (evidence("pool", open_share=0.3, opens_per_request=1.0), {"round_trips@database connections": 0.3}),
    (evidence("loop", "hold", HOLD, p95_ms=80.0, max_ms=200.0), {"blocking_call@sleepy": 0.4}),
    (evidence("vitals", "vital", VITAL), {"slow_paint@shop": None}),
    (evidence("vitals", "vital", {**VITAL, "short": "CLS", "value": 0.3}), {"layout_shift@shop": None}),
    (evidence("vitals", "vital", {**VITAL, "short": "INP", "value": 600.0}), {"slow_interaction@shop": None}),
    (evidence("page", "unused", {"url": "/a.js", "unused": 300_000}, unused_bytes=300_000), {"bundle_size@shop": None}),
    (evidence("page", "blocking", {"url": "/app.css", "bytes": 90_000}), {"blocked_rendering@shop": None}),
    (evidence("page", "image", IMAGE), {"heavy_image@shop": None}),
    (evidence("page", "duplicate", {"request": "GET /api/me", "count": 3}), {"round_trips@shop": None}),
    (
        evidence("bundle", "module", {"name": "moment", "bytes": 400_000}, plain=900_000, wire=200_000),
        {"bundle_size@shop": None},
    ),
]
HEALTHY = [
    evidence("queries", "statement", STATEMENT),
    evidence("queries", "statement", {**STATEMENT, "n_plus_one": 1, "loop_share": 0.001}),
    evidence("queries", "statement", {**STATEMENT, "ms": 15.0, "share": 0.6}),
    evidence("queries", "statement", {**STATEMENT, "ms": 300.0, "share": 0.05}),
    evidence("queries", "statement", {**STATEMENT, "calls": 10, "ms": 150.0, "share": 0.5}),
    evidence("queries", "blocked", {**BLOCKED, "ms": 20.0}),
    evidence("explain", "plan", {**PLAN, "index": None}),
    evidence("explain", "plan", {**PLAN, "after_ms": 19.0}),
    evidence("explain", "plan", {**PLAN, "index_used": 0}),
    evidence("explain", "plan", {**PLAN, "share": 0.001}),
    evidence("payload", "response", RESPONSE),
    evidence("payload", "response", {**RESPONSE, "identity": 40_000, "gzip": 39_000}),
    evidence("payload", "response", {**RESPONSE, "identity": 500_000, "gzip": 2_000, "status": 500}),
    evidence("payload", "response", {**RESPONSE, "identity": 40_000, "encoding": "gzip", "revalidates": 1}),
    evidence("memory", leak=0, growth_kb_per_request=0.1, rising_share=0.2),
    evidence("cpu", "hot", {**HOT, "ms": 0.5}),
    evidence("cpu", "hot", {**HOT, "cpu_share": 0.01}),
    evidence("cpu", "hot", {**HOT, "ms": 0.5, "loop_share": 0.5, "loop_cpu_share": 0.45}),
    evidence("cpu", serial_share=0.5, busy=0.3, cpu_ms=1.0),
    evidence("cpu", pool_wait_share=0.01),
    evidence("load", p95=100.0),
    evidence("pool", pool_wait_share=0.02, full_share=0.1, open_share=0.5, opens_per_request=0.01),
    evidence("loop", "hold", HOLD, p95_ms=10.0, max_ms=200.0),
    evidence("loop", "hold", {**HOLD, "share": 0.01}, {**HOLD, "own": 0}, p95_ms=80.0, max_ms=200.0),
    evidence("allocations", "stays", {"site": "app/a.py:9 keep", "kb": 18.0, "blocks": 1}, stays_kb_per_request=20.0),
    evidence("vitals", "vital", {**VITAL, "rating": "good"}, {**VITAL, "short": "FID", "retired": 1}),
    evidence("page", "unused", {"url": "/app.js", "unused": 9_000}, unused_bytes=9_000),
    evidence("page", "blocking", {"url": "/app.css", "bytes": 4_000}),
    evidence("page", "image", {**IMAGE, "bytes": 9_000}, {**IMAGE, "old_format": 0, "too_large": 0}),
    evidence("bundle", "module", {"name": "small", "bytes": 40_000}, plain=90_000, wire=20_000),
    evidence("unheard of", p95=100.0),
]


@pytest.mark.parametrize(("item", "expected"), SICK)
def test_sees_what_is_sick(item: Evidence, expected: dict[str, float | None]) -> None:
    assert found(item) == pytest.approx(expected)
    for finding in detect([item]):
        assert finding.evidence == (item.id,)
        assert finding.claim and finding.remedy and finding.prevention
        assert finding.source == "detector"


@pytest.mark.parametrize("item", HEALTHY)
def test_is_silent_about_what_is_healthy(item: Evidence) -> None:
    assert found(item) == {}


def test_the_largest_share_comes_first_and_each_finding_once() -> None:
    small = evidence("queries", "statement", {**STATEMENT, "n_plus_one": 1, "loop_share": 0.3})
    other = small.model_copy(update={"id": "queries@other/base"})
    large = evidence("explain", "plan", {**PLAN, "share": 0.6})
    findings = detect([small, other, large])
    assert [finding.kind for finding in findings] == ["missing_index", "n_plus_one"]
    assert findings[1].evidence == ("queries@shop/base", "queries@other/base")
    assert [finding.severity for finding in findings] == ["critical", "high"]


def test_a_finding_knows_its_place() -> None:
    row = {**STATEMENT, "n_plus_one": 1, "loop_share": 0.3}
    (finding,) = detect([evidence("queries", "statement", row)])
    assert finding.place == Place(path="app/a.py", line=12, symbol="load", endpoint="GET /a", fingerprint="q:aaaaaa")


def test_ids_name_the_most_telling_part() -> None:
    assert finding_id("other", Place(endpoint="GET /a", path="a.py")) == "other@GET /a"
    assert finding_id("other", Place(path="a.py", symbol="f")) == "other@f"
    assert finding_id("other", Place()) == "other@application"


def test_measured_shares_by_every_name() -> None:
    endpoint = {"name": "GET /a", "share": 0.8}
    shares = measured_shares([
        evidence("queries", "statement", {**STATEMENT, "loop_share": 0.3}), evidence("queries", "endpoint", endpoint),
        evidence("cpu", "hot", HOT),
    ])  # fmt: skip
    assert shares == {
        "q:aaaaaa": 0.3, "app/a.py:12": 0.3, "GET /a": 0.8, "crunch": 0.4, "app/a.py:7": 0.4,
    }  # fmt: skip


def test_a_leak_names_the_line_that_keeps() -> None:
    slope = evidence("memory", leak=1, growth_kb_per_request=20.0, growth_low=18.5, growth_high=21.5, rising_share=0.9)
    stays = {"site": "app/a.py:9 keep", "kb": 18.0, "blocks": 4}
    (finding,) = detect([slope, evidence("allocations", "stays", stays, stays_kb_per_request=20.0)])
    assert (finding.place.path, finding.place.line, finding.place.endpoint) == ("app/a.py", 9, "shop")
    assert "20.0 kB (18.5 to 21.5) a request" in finding.claim and "app/a.py:9 keep" in finding.claim
    assert finding.evidence == ("memory@shop/base", "allocations@shop/base")


def test_a_slow_query_with_a_missing_index_is_said_once() -> None:
    slow = evidence("queries", "statement", {**STATEMENT, "id": "q:bbbbbb", "ms": 80.0, "share": 0.5})
    assert found(slow, evidence("explain", "plan", PLAN)) == {"missing_index@books(author_id)": 0.3}
    assert set(found(slow, evidence("explain", "plan", {**PLAN, "id": "q:other"}))) == {
        "missing_index@books(author_id)", "slow_query@q:bbbbbb",
    }  # fmt: skip


def test_a_held_loop_names_a_line_only_where_one_line_holds_it() -> None:
    (single,) = detect([evidence("queries", "blocked", BLOCKED, {**BLOCKED, "site": "app/b.py:1 other", "ms": 20.0})])
    assert (single.place.path, single.place.line) == ("app/a.py", 30)
    spread = [{**BLOCKED, "site": f"app/b.py:{line} part", "ms": 40.0, "share": 0.2} for line in (1, 2, 3)]
    (finding,) = detect([evidence("queries", "blocked", *spread)])
    assert finding.place == Place(endpoint="GET /a")
    assert finding.covers == ("app/b.py:1", "app/b.py:2", "app/b.py:3")


def test_the_remedy_of_a_held_loop_is_that_of_its_cause() -> None:
    endpoint = {"name": "GET /a", "queries": 9.0, "db_ms": 90.0, "ms": 200.0, "share": 0.9, "db_share": 0.4}
    both = {**pack_rows("endpoint", [endpoint]), **pack_rows("blocked", [BLOCKED])}
    (waits,) = detect([evidence("queries", **both)])
    assert "synchronous and takes 90 ms" in waits.remedy
    (computes,) = detect([evidence("queries", "blocked", BLOCKED)])
    assert "worker process" in computes.remedy


def test_a_loop_held_where_a_query_or_a_hot_function_stands_is_said_once() -> None:
    late = {"p95_ms": 80.0, "max_ms": 200.0}
    query = evidence("queries", "statement", {**STATEMENT, "site": "app/a.py:30 sleepy"})
    assert found(query, evidence("loop", "hold", HOLD, **late)) == {}
    hot = evidence("cpu", "hot", {**HOT, "name": "sleepy"})
    assert set(found(hot, evidence("loop", "hold", HOLD, **late))) == {"cpu_hot_path@sleepy"}
    both = found(hot, evidence("loop", "hold", {**HOLD, "site": "app/b.py:1 wait", "state": "waiting"}, **late))
    assert set(both) == {"cpu_hot_path@sleepy", "blocking_call@wait"}


def test_neither_small_sites_nor_libraries_are_named_with_a_leak() -> None:
    slope = evidence("memory", leak=1, growth_kb_per_request=20.0, rising_share=0.9)
    small = {"site": "app/a.py:9 keep", "kb": 2.0, "blocks": 4}
    library = {"site": "< lib/cache.py:3", "kb": 15.0, "blocks": 4}
    (finding,) = detect([slope, evidence("allocations", "stays", library, small, stays_kb_per_request=20.0)])
    assert finding.place.path is None and finding.evidence == ("memory@shop/base",)
