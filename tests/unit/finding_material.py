"""Synthetic evidence for every kind of finding: what shows it, and what comes close and does not."""

from typing import Any

from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import pack_rows
from perfcrew.records.metrics import METRICS
from perfcrew.records.work import FindingKind

Case = tuple[tuple[Evidence, ...], dict[str, float | None]]
"""Evidence, and the findings that it must give, by id with their shares."""


def evidence(kind: str, row: str = "", *rows: dict[str, Any], **facts: Any) -> Evidence:
    packed = {**facts, **(pack_rows(row, rows) if row else {})}
    return Evidence(id=f"{kind}@shop/base", kind=kind, title="", digest="", facts=packed)


def doubtful(item: Evidence) -> Evidence:
    """The same from an instrument whose load generator was the bottleneck."""
    known = METRICS["http.p95_ms"]
    figure = Measurement(
        id=f"p95@{item.id}", metric=known.name, unit=known.unit, better=known.better, workload="shop", arm="base",
        commit="c", value=1.0, count=1, method="percentile:95", instrument="t", environment="here",
        samples=ArtifactRef(sha256="0" * 64, suffix=".json", size=1), doubt="the load generator was the bottleneck",
    )  # fmt: skip
    return item.model_copy(update={"measurements": (figure,)})


STATEMENT = {
    "id": "q:aaaaaa", "endpoint": "GET /a", "site": "app/a.py:12 load", "via": "", "calls": 1.0, "max_calls": 1,
    "ms": 0.4, "rows": 1.0, "distinct": 1.0, "share": 0.01, "loop_share": 0.01, "n_plus_one": 0, "repeated": 0,
    "sql": "SELECT name FROM books WHERE id = ?", "same_for": 0,
}  # fmt: skip
RATES = {**STATEMENT, "sql": "SELECT code, rate FROM currencies", "same_for": 4, "loop_share": 0.2}
BLOCKED = {"endpoint": "GET /a", "site": "app/a.py:30 sleepy", "ms": 120.0, "of_ms": 200.0, "share": 0.6}
PLAN = {"id": "q:bbbbbb", "endpoint": "GET /a", "site": "app/a.py:12 load", "calls": 1.0, "share": 0.3, "ms": 20.0,
        "rows": 3, "scanned": 50_000, "table": "books", "lead": "books(author_id)", "index_used": 1, "after_ms": 0.1,
        "index": "CREATE INDEX ix_books_author_id ON books (author_id)", "sql": "SELECT ?",
        "spills": None}  # fmt: skip
TRIAL = {"table": "books", "index": "CREATE INDEX ix ON books (author_id)", "lead": "books(author_id)", "read_ms": 20.0,
         "read_after_ms": 1.0, "saved_ms": 19.0, "spread_ms": 0.5, "saved_share": 0.95, "write_ms": 1.0,
         "write_added_ms": 0.1, "write_spread_ms": 0.01, "written": "the workload's own writes, a request",
         "bytes": 1000, "share": 0.4, "site": "app/a.py:12 load", "endpoint": "GET /a",
         "queries": "q:bbbbbb"}  # fmt: skip
COSTLY = {**TRIAL, "write_added_ms": 25.0}
KEY = {"table": "lines", "columns": "book_id", "refers_to": "books", "rows": 40_000}
RESPONSE = {"endpoint": "GET /a", "path": "/a", "status": 200, "type": "application/json", "identity": 2_000,
            "wire": 2_000, "encoding": "identity", "gzip": 700, "validator": None, "revalidates": None,
            "round_trips": 1, "reused": 1, "http": "HTTP/1.1"}  # fmt: skip
HOT = {"path": "app/a.py", "name": "crunch", "line": 7, "cpu_share": 0.5, "cpu_total": 0.6, "time_share": 0.4,
       "ms": 30.0, "serial_share": 0.0, "wall_share": 0.5, "loop_share": 0.0, "loop_cpu_share": 0.0}  # fmt: skip
HOLD = {"site": "app/a.py:30 sleepy", "own": 1, "ms": 900.0, "share": 0.4, "state": "computing", "work_share": 0.9,
        "stack": ""}  # fmt: skip
LATE = {"p95_ms": 80.0, "max_ms": 200.0}
FAR = {"endpoint": "GET /a", "near_ms": 20.0, "far_ms": 45.0, "added_ms": 25.0, "round_trips": 22.0}
STAYS = {"site": "app/a.py:9 keep", "kb": 18.0, "blocks": 1}
SLOPE = evidence("memory", leak=1, growth_kb_per_request=20.0, growth_low=18.5, growth_high=21.5, rising_share=0.9)
VITAL = {"metric": "page.lcp_ms", "short": "LCP", "value": 5200.0, "least": 5000.0, "most": 5400.0, "visits": 5,
         "rating": "poor", "core": 1, "retired": 0, "element": "img.hero", "url": None, "script": None,
         "parts": "load delay 3000 ms"}  # fmt: skip
TBT = {**VITAL, "short": "TBT", "value": 900.0, "core": 0, "element": None}
IMAGE = {"url": "/hero.png", "element": "img.hero", "bytes": 900_000, "mime": "image/png", "reserved": 1,
         "old_format": 1, "too_large": 1, "lazy": 0, "natural": "4000×3000", "shown": "400×300"}  # fmt: skip
RESOURCE = {"url": "/app.js", "type": "Script", "status": 200, "bytes": 90_000, "encoding": "br", "http": "h2",
            "cache_control": "max-age=600", "validator": 1, "by": None}  # fmt: skip
FILE = {"url": "/app.js", "plain": 90_000, "wire": 90_300, "gzip": 20_000, "br": 18_000, "zstd": 20_000, "map": 0}
AUDIT = {"id": "unused-javascript", "title": "Reduce unused JavaScript", "score": 0.0, "shown": None, "saves_ms": 450.0,
         "saves_bytes": 90_000.0, "about": "/app.js"}  # fmt: skip
OVERSIZE = {**RESPONSE, "identity": 500_000, "wire": 9_000, "encoding": "br"}
PLAIN = {**RESPONSE, "identity": 60_000, "wire": 60_000, "gzip": 9_000}


def heap(**more: Any) -> Evidence:
    """A Node heap that keeps four kilobytes and one Visit of each request."""
    facts: dict[str, Any] = {"grown_kb_per_request": 5.0, "requests": 300, **more}
    grown = [{"site": "(code)", "kb": 1.0, "objects": 3.0}, {"site": "Visit", "kb": 3.5, "objects": 1.0}]
    stays = [{"site": "node:internal/streams:5 read", "kb": 1.2, "objects": None, "own": 0},
             {"site": "src/trail.js:10 note", "kb": 0.3, "objects": None, "own": 1}]  # fmt: skip
    return evidence("heap", **{**pack_rows("grown", grown), **pack_rows("stays", stays), **facts})


SICK: dict[FindingKind, list[Case]] = {
    "n_plus_one": [(
        (evidence("queries", "statement", {**STATEMENT, "n_plus_one": 1, "calls": 50, "loop_share": 0.7}),),
        {"n_plus_one@q:aaaaaa": 0.7},
    )],
    "repeated_computation": [(
        (evidence("queries", "statement", {**STATEMENT, "repeated": 1, "calls": 6, "loop_share": 0.2}),),
        {"repeated_computation@q:aaaaaa": 0.2},
    )],
    "slow_query": [
        ((evidence("queries", "statement", {**STATEMENT, "ms": 80.0, "share": 0.5}),), {"slow_query@q:aaaaaa": 0.5}),
        ((evidence("explain", "plan", {**PLAN, "index": None, "spills": "Sort (9,000 kB)"}),),
         {"slow_query@q:bbbbbb": 0.3}),
    ],
    "missing_index": [
        ((evidence("explain", "plan", PLAN),), {"missing_index@books(author_id)": 0.3}),
        ((evidence("explain", "plan", {**PLAN, "after_ms": None}),), {"missing_index@books(author_id)": 0.3}),
        ((evidence("explain", "plan", PLAN, {**PLAN, "id": "q:cccccc", "share": 0.2}),),
         {"missing_index@books(author_id)": 0.5}),
        ((evidence("index_trial", "trial", TRIAL),), {"missing_index@books(author_id)": 0.38}),
        ((evidence("schema", "unindexed_key", KEY),), {"missing_index@lines(book_id)": None}),
    ],
    "duplicate_index": [(
        (evidence("schema", "duplicate", {"table": "t", "index": "ix", "columns": "a", "covered_by": "ix_a_b"}),),
        {"duplicate_index@ix": None},
    )],
    "unused_index": [(
        (evidence("schema", "unused", {"table": "t", "index": "ix", "columns": "a"}),), {"unused_index@ix": None},
    )],
    "pool_exhausted": [
        ((evidence("cpu", pool_wait_share=0.4),), {"pool_exhausted@application": 0.4}),
        ((evidence("pool", pool_wait_share=0.4, full_share=0.9, capacity=5),), {"pool_exhausted@application": 0.4}),
    ],
    "blocking_call": [
        ((evidence("queries", "blocked", BLOCKED, {**BLOCKED, "ms": 20, "share": 0.1}),),
         {"blocking_call@GET /a": 0.7}),
        ((evidence("cpu", "hot", {**HOT, "cpu_share": 0.01, "loop_share": 0.5, "loop_cpu_share": 0.01}),),
         {"blocking_call@crunch": 0.5}),
        ((evidence("loop", "hold", HOLD, **LATE),), {"blocking_call@sleepy": 0.4}),
        ((evidence("loop", "hold", {**HOLD, "share": 0.01}, held_share=0.8, **LATE),), {"blocking_call@shop": 0.8}),
        ((evidence("vitals", "vital", TBT),), {"blocking_call@shop": None}),
    ],
    "cpu_hot_path": [
        ((evidence("cpu", "hot", HOT, samples=200),), {"cpu_hot_path@crunch": 0.4}),
        ((evidence("cpu", "hot", {**HOT, "path": "src/a.js"}, samples=900, runtime="node"),),
         {"cpu_hot_path@crunch": 0.4}),
    ],
    "serialisation": [
        ((evidence("cpu", "hot", {**HOT, "serial_share": 0.45}, samples=200),), {"serialisation@crunch": 0.4}),
        ((evidence("cpu", serial_share=0.5, busy=0.8, cpu_ms=40.0),), {"serialisation@application": 0.4}),
    ],
    "memory_leak": [
        ((SLOPE,), {"memory_leak@shop": None}),
        ((SLOPE, evidence("allocations", "stays", STAYS, stays_kb_per_request=20.0)), {"memory_leak@shop": None}),
        ((SLOPE, heap()), {"memory_leak@shop": None}),
        ((evidence("memory", leak=None), heap()), {"memory_leak@shop": None}),
    ],
    "memory_peak": [(
        (evidence("allocations", "peak", {"endpoint": "GET /a", "kb": 48_000.0, "site": "app/a.py:3 load"}),),
        {"memory_peak@GET /a": None},
    )],
    "large_payload": [((evidence("payload", "response", OVERSIZE),), {"large_payload@GET /a": None})],
    "no_compression": [
        ((evidence("payload", "response", PLAIN),), {"no_compression@GET /a": None}),
        ((evidence("page", "resource", {**RESOURCE, "encoding": "identity"}),), {"no_compression@shop": None}),
        ((evidence("bundle", "file", FILE),), {"no_compression@shop": None}),
    ],
    "cache_miss": [
        ((evidence("payload", "response", {**RESPONSE, "identity": 40_000, "gzip": 39_000, "revalidates": 0}),),
         {"cache_miss@GET /a": None}),
        ((evidence("queries", "statement", RATES),), {"cache_miss@q:aaaaaa": 0.2}),
        ((evidence("page", "resource", {**RESOURCE, "cache_control": None, "validator": 0}),),
         {"cache_miss@shop": None}),
        ((evidence("page", "resource", {**RESOURCE, "cache_control": "no-store"}),), {"cache_miss@shop": None}),
    ],
    "round_trips": [
        ((evidence("pool", open_share=0.3, opens_per_request=1.0),), {"round_trips@database connections": 0.3}),
        ((evidence("page", "duplicate", {"request": "GET /api/me", "count": 3}),), {"round_trips@shop": None}),
        ((evidence("page", redirects=1),), {"round_trips@shop": None}),
        ((evidence("payload", "response", {**RESPONSE, "round_trips": 2}),), {"round_trips@GET /a": None}),
        ((evidence("payload", "response", {**RESPONSE, "reused": 0}),), {"round_trips@connections": None}),
        ((evidence("round_trips", "far", FAR, rtt_ms=1.1),), {"round_trips@GET /a": None}),
    ],
    "low_capacity": [(
        (evidence("capacity", capacity_rps=60.0, wanted_rps=200.0, broken_rps=63.0, generator_bound=0),),
        {"low_capacity@shop": None},
    )],
    "slow_paint": [
        ((evidence("vitals", "vital", VITAL),), {"slow_paint@shop": None}),
        ((evidence("vitals", "vital", {**VITAL, "short": "FCP", "core": 0}),), {"slow_paint@shop": None}),
        ((evidence("vitals", "vital", {**VITAL, "short": "TTFB", "core": 0}),), {"slow_paint@shop": None}),
    ],
    "layout_shift": [
        ((evidence("vitals", "vital", {**VITAL, "short": "CLS", "value": 0.3}),), {"layout_shift@shop": None}),
        ((evidence("page", "image", {**IMAGE, "reserved": 0, "bytes": 9_000}),), {"layout_shift@shop": None}),
    ],
    "slow_interaction": [(
        (evidence("vitals", "vital", {**VITAL, "short": "INP", "value": 600.0}),), {"slow_interaction@shop": None},
    )],
    "blocked_rendering": [(
        (evidence("page", "blocking", {"url": "/app.css", "bytes": 90_000}),), {"blocked_rendering@shop": None},
    )],
    "heavy_image": [((evidence("page", "image", IMAGE),), {"heavy_image@shop": None})],
    "bundle_size": [
        ((evidence("page", "unused", {"url": "/a.js", "unused": 300_000}, unused_bytes=300_000),),
         {"bundle_size@shop": None}),
        ((evidence("bundle", "module", {"name": "moment", "bytes": 400_000}, plain=900_000, wire=200_000),),
         {"bundle_size@shop": None}),
        ((evidence("lighthouse", "audit", AUDIT),), {"bundle_size@shop": None}),
    ],
    "other": [((evidence("lighthouse", "audit", {**AUDIT, "id": "not-heard-of-yet"}),), {"other@shop": None})],
}  # fmt: skip
HEALTHY: dict[FindingKind, list[tuple[Evidence, ...]]] = {
    "n_plus_one": [
        (evidence("queries", "statement", STATEMENT),),
        (evidence("queries", "statement", {**STATEMENT, "n_plus_one": 1, "loop_share": 0.001}),),
    ],
    "repeated_computation": [(evidence("queries", "statement", {**STATEMENT, "repeated": 1, "loop_share": 0.01}),)],
    "slow_query": [
        (evidence("queries", "statement", {**STATEMENT, "ms": 15.0, "share": 0.6}),),
        (evidence("queries", "statement", {**STATEMENT, "ms": 300.0, "share": 0.05}),),
        (evidence("queries", "statement", {**STATEMENT, "calls": 10, "ms": 150.0, "share": 0.5}),),
        (evidence("explain", "plan", {**PLAN, "index": None, "spills": "Sort (9,000 kB)", "share": 0.001}),),
    ],
    "missing_index": [
        (evidence("explain", "plan", {**PLAN, "index": None}),),
        (evidence("explain", "plan", {**PLAN, "after_ms": 19.0}),),
        (evidence("explain", "plan", {**PLAN, "index_used": 0}),),
        (evidence("explain", "plan", {**PLAN, "share": 0.001}),),
        (evidence("index_trial", "trial", {**TRIAL, "saved_share": 0.1, "saved_ms": 2.0}),),
        (evidence("index_trial", "trial", {**TRIAL, "spread_ms": 12.0}),),
        (evidence("index_trial", "trial", COSTLY),),
        (evidence("explain", "plan", PLAN), evidence("index_trial", "trial", COSTLY)),
        (evidence("schema", "unindexed_key", {**KEY, "rows": 500}),),
    ],
    "duplicate_index": [(evidence("schema"),)],
    "unused_index": [(evidence("schema", "used", {"table": "t", "index": "ix", "columns": "a"}),)],
    "pool_exhausted": [
        (evidence("cpu", pool_wait_share=0.01),), (evidence("pool", pool_wait_share=0.02, full_share=0.1),),
    ],
    "blocking_call": [
        (evidence("queries", "blocked", {**BLOCKED, "ms": 20.0}),),
        (evidence("cpu", "hot", {**HOT, "ms": 0.5, "loop_share": 0.5, "loop_cpu_share": 0.45}),),
        (evidence("loop", "hold", HOLD, p95_ms=10.0, max_ms=200.0),),
        (evidence("loop", "hold", {**HOLD, "stack": "load (app/a.py:30) > execute (sqlalchemy/engine.py:9)"}, **LATE),),
        (evidence("loop", "hold", {**HOLD, "share": 0.01}, {**HOLD, "own": 0}, held_share=0.1, **LATE),),
        (evidence("vitals", "vital", {**TBT, "rating": "good"}),),
    ],
    "cpu_hot_path": [
        (evidence("cpu", "hot", {**HOT, "ms": 0.5}, samples=200),),
        (evidence("cpu", "hot", {**HOT, "cpu_share": 0.01}, samples=200),),
        (evidence("cpu", "hot", {**HOT, "cpu_share": 0.04}, samples=60),),
    ],
    "serialisation": [(evidence("cpu", serial_share=0.5, busy=0.3, cpu_ms=1.0),)],
    "memory_leak": [
        (evidence("memory", leak=0, growth_kb_per_request=0.1, rising_share=0.2),),
        (evidence("memory", leak=None, growth_kb_per_request=2.0, rising_share=0.9),),
        (evidence("allocations", "stays", STAYS, stays_kb_per_request=20.0),),
        (evidence("memory", leak=0), heap()),
        (heap(grown_kb_per_request=1.5),),
        (heap(requests=20),),
        (SLOPE, heap(grown_kb_per_request=1.2)),
    ],
    "memory_peak": [(evidence("allocations", "peak", {"endpoint": "GET /a", "kb": 2_800.0, "site": "x"}),)],
    "large_payload": [
        (evidence("payload", "response", RESPONSE),), (evidence("payload", "response", {**OVERSIZE, "status": 500}),),
    ],
    "no_compression": [
        (evidence("payload", "response", {**PLAIN, "gzip": 59_000}),),
        (evidence("payload", "response", {**PLAIN, "encoding": "gzip"}),),
        (evidence("page", "resource", RESOURCE, {**RESOURCE, "encoding": "identity", "bytes": 900}),),
        (evidence("page", "resource", {**RESOURCE, "encoding": "identity", "url": "https://cdn.example/x.js"}),),
        (evidence("bundle", "file", {**FILE, "wire": 20_000}),),
    ],
    "cache_miss": [
        (evidence("payload", "response", {**RESPONSE, "identity": 40_000, "encoding": "gzip", "revalidates": 1}),),
        (evidence("queries", "statement", {**RATES, "same_for": 1}),),
        (evidence("queries", "statement", {**RATES, "loop_share": 0.01}),),
        (evidence("queries", "statement", {**RATES, "sql": "SELECT name FROM users WHERE token = ?"}),),
        (evidence("queries", "statement", RATES, {**STATEMENT, "sql": "UPDATE currencies SET rate = ?"}),),
        (evidence("page", "resource", RESOURCE, {**RESOURCE, "cache_control": None}),),
    ],
    "round_trips": [
        (evidence("pool", open_share=0.5, opens_per_request=0.01),),
        (evidence("page", "duplicate", {"request": "GET /api/me", "count": 1}, redirects=0),),
        (evidence("round_trips", "far", {**FAR, "round_trips": 3.0}, {**FAR, "added_ms": 2.0}, rtt_ms=1.1),),
    ],
    "low_capacity": [
        (evidence("capacity", capacity_rps=60.0, wanted_rps=None, broken_rps=63.0, generator_bound=0),),
        (evidence("capacity", capacity_rps=260.0, wanted_rps=200.0, broken_rps=270.0, generator_bound=0),),
        (evidence("capacity", capacity_rps=60.0, wanted_rps=200.0, broken_rps=63.0, generator_bound=1),),
        (evidence("capacity", capacity_rps=60.0, wanted_rps=200.0, broken_rps=None, generator_bound=0),),
    ],
    "slow_paint": [
        (evidence("vitals", "vital", {**VITAL, "rating": "good"}, {**VITAL, "short": "TTI", "retired": 1}),),
    ],
    "layout_shift": [
        (evidence("vitals", "vital", {**VITAL, "short": "CLS", "rating": "good"}),),
        (evidence("page", "image", {**IMAGE, "bytes": 9_000}),),
    ],
    "slow_interaction": [(evidence("vitals", "vital", {**VITAL, "short": "FID", "retired": 1}),)],
    "blocked_rendering": [(evidence("page", "blocking", {"url": "/app.css", "bytes": 4_000}),)],
    "heavy_image": [
        (evidence("page", "image", {**IMAGE, "bytes": 9_000}, {**IMAGE, "old_format": 0, "too_large": 0}),),
    ],
    "bundle_size": [
        (evidence("page", "unused", {"url": "/app.js", "unused": 9_000}, unused_bytes=9_000),),
        (evidence("bundle", "module", {"name": "small", "bytes": 40_000}, plain=90_000, wire=20_000),),
        (evidence("lighthouse", "audit", {**AUDIT, "saves_ms": 20.0, "saves_bytes": 3_000.0}),),
    ],
    "other": [(evidence("load", p95=100.0),), (evidence("unheard of", p95=100.0),)],
}  # fmt: skip
