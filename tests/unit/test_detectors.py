"""Rules that turn evidence into findings: they see what is sick and are silent about what is healthy."""

from typing import get_args

import pytest
from finding_material import (
    BLOCKED,
    FAR,
    HEALTHY,
    HOLD,
    HOT,
    IMAGE,
    LATE,
    PLAN,
    RATES,
    SICK,
    SLOPE,
    STATEMENT,
    STAYS,
    TRIAL,
    VITAL,
    Case,
    doubtful,
    evidence,
    heap,
)  # fmt: skip

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import pack_rows, unpack_rows
from perfcrew.records.work import FindingKind, Place
from tools.detectors import detect, finding_id, measured_shares
from tools.findings import UNSHARED, same_endpoint
from tools.remedies import PREVENTION, REMEDY

KINDS: tuple[FindingKind, ...] = get_args(FindingKind)
POSITIVES = [(kind, case) for kind, cases in SICK.items() for case in cases]
NEGATIVES = [items for cases in HEALTHY.values() for items in cases]


def found(*items: Evidence) -> dict[str, float | None]:
    return {finding.id: finding.share for finding in detect(items)}


def test_rows_survive_packing() -> None:
    rows = [{"a": 1, "b": "x.y"}, {"a": None}]
    assert unpack_rows({**pack_rows("row", rows), "other": 3, "row.x": 1}, "row") == rows


def test_every_kind_has_a_case_that_shows_it_and_one_that_does_not() -> None:
    assert set(KINDS) == SICK.keys() == HEALTHY.keys() == REMEDY.keys() == PREVENTION.keys()
    assert all(SICK.values()) and all(HEALTHY.values())


@pytest.mark.parametrize(("kind", "case"), POSITIVES)
def test_sees_what_is_sick(kind: FindingKind, case: Case) -> None:
    items, expected = case
    assert found(*items) == pytest.approx(expected)
    known = {item.id for item in items}
    for finding in detect(items):
        assert finding.kind == kind and finding.source == "detector"
        assert finding.evidence and known >= set(finding.evidence)
        assert finding.claim and finding.remedy and finding.prevention
        assert (finding.share is None) == bool(finding.unshared)


@pytest.mark.parametrize("items", NEGATIVES)
def test_is_silent_about_what_is_healthy(items: tuple[Evidence, ...]) -> None:
    assert found(*items) == {}


@pytest.mark.parametrize(("kind", "case"), POSITIVES)
def test_nothing_rests_on_a_doubtful_figure(kind: FindingKind, case: Case) -> None:
    assert found(*map(doubtful, case[0])) == {}, kind
    assert measured_shares(map(doubtful, case[0])) == {}


def test_the_gravest_comes_first_and_of_equals_the_largest_share() -> None:
    large = evidence("explain", "plan", {**PLAN, "share": 0.6})
    loops = evidence("queries", "statement", {**STATEMENT, "n_plus_one": 1, "loop_share": 0.21},
                     {**STATEMENT, "id": "q:zzzzzz", "n_plus_one": 1, "loop_share": 0.3})  # fmt: skip
    small = evidence("cpu", "hot", {**HOT, "time_share": 0.03}, samples=200)
    ranked = [(item.severity, item.share) for item in detect([small, evidence("vitals", "vital", VITAL), loops, large])]
    assert ranked == [("critical", 0.6), ("high", 0.3), ("high", 0.21), ("high", None), ("low", 0.03)]


def test_each_finding_comes_once() -> None:
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
        evidence("cpu", "hot", HOT, samples=200),
    ])  # fmt: skip
    assert shares == {
        "q:aaaaaa": 0.3, "app/a.py:12": 0.3, "GET /a": 0.8, "crunch": 0.4, "app/a.py:7": 0.4,
    }  # fmt: skip


def test_a_leak_names_the_line_that_keeps() -> None:
    (finding,) = detect([SLOPE, evidence("allocations", "stays", STAYS, stays_kb_per_request=20.0)])
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
    query = evidence("queries", "statement", {**STATEMENT, "site": "app/a.py:30 sleepy"})
    assert found(query, evidence("loop", "hold", HOLD, **LATE)) == {}
    hot = evidence("cpu", "hot", {**HOT, "name": "sleepy"}, samples=200)
    assert set(found(hot, evidence("loop", "hold", HOLD, **LATE))) == {"cpu_hot_path@sleepy"}
    both = found(hot, evidence("loop", "hold", {**HOLD, "site": "app/b.py:1 wait", "state": "waiting"}, **LATE))
    assert set(both) == {"cpu_hot_path@sleepy", "blocking_call@wait"}


def test_neither_small_sites_nor_libraries_are_named_with_a_leak() -> None:
    slope = evidence("memory", leak=1, growth_kb_per_request=20.0, rising_share=0.9)
    small = {"site": "app/a.py:9 keep", "kb": 2.0, "blocks": 4}
    library = {"site": "< lib/cache.py:3", "kb": 15.0, "blocks": 4}
    (finding,) = detect([slope, evidence("allocations", "stays", library, small, stays_kb_per_request=20.0)])
    assert finding.place.path is None and finding.evidence == ("memory@shop/base",)


def test_a_leak_in_node_is_what_the_collected_heap_keeps() -> None:
    (finding,) = detect([SLOPE, heap()])
    assert finding.evidence == ("memory@shop/base", "heap@shop/base")
    assert (finding.place.path, finding.place.line, finding.severity) == ("src/trail.js", 10, "medium")
    assert "the heap keeps 4.0 kB of each request after collection: Visit (1.0 objects, 3.5 kB)" in finding.claim
    assert "20.0 kB" in finding.claim


def test_a_loop_of_queries_says_what_it_costs_at_a_distance() -> None:
    row = {**STATEMENT, "endpoint": "GET /a/<int:number>", "n_plus_one": 1, "loop_share": 0.3}
    far = evidence("round_trips", "far", {**FAR, "endpoint": "GET /a/{number}"}, rtt_ms=1.1)
    (finding,) = detect([evidence("queries", "statement", row), far])
    assert finding.evidence == ("queries@shop/base", "round_trips@shop/base")
    assert finding.claim.endswith("; with the database 1.1 ms away the endpoint takes 45.0 ms in place of 20.0 ms")
    assert not same_endpoint("GET /a/:number", "GET /b/{number}") and same_endpoint("GET /a/:id/", "GET /a/{number}")


def test_an_index_that_was_tried_names_itself_as_the_remedy() -> None:
    worse = {**TRIAL, "index": "CREATE INDEX worse ON books (author_id, x)", "saved_ms": 9.0, "saved_share": 0.45}
    (finding,) = detect([evidence("explain", "plan", PLAN), evidence("index_trial", "trial", worse, TRIAL)])
    assert finding.remedy.startswith("CREATE INDEX ix ON books (author_id), by a migration")
    assert finding.evidence == ("index_trial@shop/base", "explain@shop/base")


def test_a_hot_line_that_holds_the_loop_is_told_once() -> None:
    hot = evidence("cpu", "hot", {**HOT, "name": "sleepy", "line": 30}, samples=200)
    (finding,) = detect([evidence("queries", "blocked", BLOCKED), hot])
    assert finding.id == "blocking_call@GET /a" and finding.evidence == ("queries@shop/base", "cpu@shop/base")
    elsewhere = evidence("cpu", "hot", HOT, samples=200)
    assert len(detect([evidence("queries", "blocked", BLOCKED), elsewhere])) == 2


def test_functions_without_a_name_are_told_apart() -> None:
    nameless = [{**HOT, "path": f"src/{file}.js", "name": f"(anonymous:{line})"} for file, line in (("a", 6), ("c", 6))]
    hot = evidence("cpu", "hot", *nameless, samples=200)
    late = evidence("loop", "hold", {**HOLD, "site": "src/b.js:3 (anonymous)"}, **LATE)
    assert set(found(hot, late)) == {
        "cpu_hot_path@src/a.js (anonymous:6)", "cpu_hot_path@src/c.js (anonymous:6)", "blocking_call@src/b.js:3",
    }  # fmt: skip
    assert set(measured_shares([hot])) == {"src/a.js:7", "src/c.js:7"}


def test_one_cause_of_a_query_s_time_is_named() -> None:
    loop = {**RATES, "repeated": 1, "calls": 4}
    assert set(found(evidence("queries", "statement", loop))) == {"repeated_computation@q:aaaaaa"}
    late = evidence("loop", "hold", {**HOLD, "share": 0.01}, held_share=0.8, **LATE)
    assert set(found(late, evidence("queries", "blocked", BLOCKED))) == {"blocking_call@GET /a"}


def test_two_instruments_on_one_matter_make_one_finding() -> None:
    shift = evidence("vitals", "vital", {**VITAL, "short": "CLS", "value": 0.3})
    (finding,) = detect([evidence("page", "image", {**IMAGE, "reserved": 0, "bytes": 9_000}), shift])
    assert finding.severity == "high" and len(finding.evidence) == 2


def test_remedies_speak_the_language_of_the_program() -> None:
    (node,) = detect([evidence("queries", "blocked", {**BLOCKED, "site": "src/receipts.js:9 seal"})])
    assert "worker_threads" in node.remedy and "`def`" not in node.remedy
    (late,) = detect([evidence("loop", "hold", {**HOLD, "site": "src/receipts.ts:9 seal"}, **LATE)])
    assert "worker_threads" in late.remedy


def test_why_there_is_no_share_is_known_for_every_instrument_that_gives_none() -> None:
    silent = {item.kind for _, (items, _) in POSITIVES for item in items for finding in detect([item])
              if finding.share is None}  # fmt: skip
    assert silent <= UNSHARED.keys()
