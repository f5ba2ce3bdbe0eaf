"""Trace lines read and summed up."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.requests import Asked
from tools.traces import Trace, loop_times, match_requests, read_trace, sum_up, to_rows


def statement(name: str, at: float, ms: float = 1.0, params: str = "p", site: str = "a.py:1 f") -> dict[str, Any]:
    return {"id": name, "at": at, "ms": ms, "rows": 2, "params": params, "site": site, "via": ""}


def request(path: str = "/a", number: int = 0, **more: Any) -> dict[str, Any]:
    line = {
        "kind": "request", "number": number, "method": "GET", "path": path, "query": "", "route": None, "status": 200,
        "ms": 100.0, "bytes": 10, "dropped": 0, "background": 0, "ended": float(number), "statements": [],
    }  # fmt: skip
    return {**line, **more}


def asked(path: str, **more: Any) -> Asked:
    return Asked("GET", path, f"GET {path.partition('?')[0]}", **more)


def test_reads_all_processes_in_order_and_skips_torn_lines(tmp_path: Path) -> None:
    text = {"kind": "statement", "id": "q:1", "fingerprint": "SELECT ?", "sql": "SELECT 1", "params": [], "many": False}
    late, early = request("/late", 0, ended=2.0), request("/early", 0, ended=1.0)
    blocked = {"kind": "blocked", "number": 0, "site": "a.py:3 f", "ms": 60.0}
    (tmp_path / "1.jsonl").write_text("\n".join(map(json.dumps, (text, late, blocked))) + '\n{"kind": "requ')
    (tmp_path / "2.jsonl").write_text(json.dumps(early) + "\n" + json.dumps({**blocked, "number": 7}))
    trace = read_trace(tmp_path)
    assert [line["path"] for line in trace.requests] == ["/early", "/late"]
    assert [line["blocked"] for line in trace.requests] == [[], [{"site": "a.py:3 f", "ms": 60.0}]]
    assert trace.texts["q:1"]["samples"] == [{"sql": "SELECT 1", "params": [], "many": False}]


def test_matching_leaves_out_warm_up_and_readiness_probes() -> None:
    lines = [{**request("/a", number), "blocked": []} for number in range(5)]
    lines += [{**request("/b c", number, query="x=%41"), "blocked": []} for number in range(5, 7)]
    pairs = match_requests([asked("/a"), asked("/b%20c?x=A")], lines, passes=1)
    assert [line["number"] for _, line in pairs] == [4, 6]
    pairs = match_requests([asked("/a")], lines, passes=2)
    assert [line["number"] for _, line in pairs] == [3, 4]


def test_a_loop_costs_its_calls_and_the_usual_gap_after_each() -> None:
    # Five calls of 1 ms, 10 ms apart, another of 2 ms among them: gaps of 4, 3, 9, 9 and 9 ms, lower quartile 4.
    calls = [statement("q:loop", at) for at in (0, 10, 20, 30, 40)]
    times = loop_times(sorted([*calls, statement("q:other", 5, 2.0)], key=lambda line: line["at"]))
    assert times == {("q:loop", "a.py:1 f"): 5 + 5 * 4, ("q:other", "a.py:1 f"): 2.0}


def test_other_work_in_a_loop_is_not_charged_to_its_statements() -> None:
    # Each turn sends two statements 0.5 ms apart, then computes for 50 ms.
    pairs = [(turn * 53.0, turn * 53.0 + 1.5) for turn in range(8)]
    lines = [statement(name, at) for pair in pairs for name, at in zip(("q:a", "q:b"), pair, strict=True)]
    assert loop_times(lines)["q:a", "a.py:1 f"] == pytest.approx(8 * 1.5)


def test_few_calls_are_no_loop() -> None:
    assert loop_times([statement("q:1", 0), statement("q:1", 90)]) == {("q:1", "a.py:1 f"): 2.0}


def test_sums_up_by_endpoint_and_tells_n_plus_one_from_repetition() -> None:
    loop = [statement("q:n", at, params=str(at)) for at in range(10)]
    again = [statement("q:same", at + 0.5) for at in range(6)]
    heavy = {**request(route="/a/{id}", statements=[*loop, *again]), "blocked": [{"site": "a.py:9 g", "ms": 60.0}]}
    light = {**request("/b", ms=25.0, statements=[statement("q:one", 0)]), "blocked": []}
    endpoints = sum_up([(asked("/a"), heavy), (asked("/b", weight=4, template=1), light)])
    assert [(item.name, item.queries, item.share) for item in endpoints] == [
        ("GET /a/{id}", 16, 0.5),
        ("GET /b", 1, 0.5),
    ]
    groups = {group.id: group for endpoint in endpoints for group in endpoint.groups}
    assert groups["q:n"].n_plus_one and not groups["q:n"].repeated
    assert groups["q:same"].repeated and not groups["q:same"].n_plus_one
    assert not groups["q:one"].n_plus_one and not groups["q:one"].repeated
    rows = to_rows(endpoints, {"q:n": {"fingerprint": "SELECT ?"}})
    assert rows["blocked"] == [
        {"endpoint": "GET /a/{id}", "site": "a.py:9 g", "ms": 60.0, "of_ms": 100.0, "share": 0.3}
    ]
    assert next(row for row in rows["statement"] if row["id"] == "q:n")["sql"] == "SELECT ?"


def test_an_empty_folder_is_an_empty_trace(tmp_path: Path) -> None:
    assert read_trace(tmp_path) == Trace()


def test_a_statement_that_asks_the_same_in_every_request_is_told_from_one_that_does_not() -> None:
    rates, book = "rates", "book"
    sent = [[statement(rates, 0), statement(book, 1, params=str(number))] for number in range(3)]
    lines = [
        {**request(f"/a/{number}", number, statements=statements), "blocked": []}
        for number, statements in enumerate(sent)
    ]
    pairs = [(Asked("GET", line["path"], "GET /a/{n}"), line) for line in lines]
    rows = {row["id"]: row["same_for"] for row in to_rows(sum_up(pairs), {})["statement"]}
    assert rows == {rates: 3, book: 0}
    without = [*pairs, (Asked("GET", "/a/9", "GET /a/{n}"), {**request("/a/9", 9), "blocked": []})]
    rows = {row["id"]: row["same_for"] for row in to_rows(sum_up(without), {})["statement"]}
    assert rows == {rates: 0, book: 0}, "one request that does not ask it needs no cache for it"
