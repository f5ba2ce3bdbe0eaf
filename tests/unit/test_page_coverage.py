"""How much code ran, from nested spans; how requests of a page become a log."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.page_coverage import merge_spans, used_length
from tools.page_network import NetworkLog, find_duplicates, show_address


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([((0, 100), True)], 100),
        ([((0, 100), False)], 0),
        ([((0, 100), True), ((20, 50), False)], 70),
        ([((0, 100), True), ((20, 50), False), ((30, 40), True)], 80),
        ([((0, 100), True), ((0, 40), False), ((40, 100), False)], 0),
        ([((0, 10), True), ((10, 20), False), ((20, 20), True)], 10),
    ],
)
def test_the_innermost_span_holds(spans: list[tuple[tuple[int, int], bool]], expected: int) -> None:
    assert used_length(spans) == used_length(reversed(spans)) == expected


@given(spans=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted).map(tuple), max_size=20))
def test_merged_spans_hold_the_same_places(spans: list[tuple[int, int]]) -> None:
    merged = merge_spans(spans)
    inside = {at for start, end in spans for at in range(start, end)}
    assert sum(end - start for start, end in merged) == len(inside)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(merged))


class FakeSession:
    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}

    def on(self, name: str, heard: Any) -> None:
        self.heard[name] = heard


def asked(number: str, url: str, at: float, **more: Any) -> dict[str, Any]:
    return {"requestId": number, "request": {"url": url, "method": "GET"}, "timestamp": at, "wallTime": 1000.0 + at,
            "type": "Script", "initiator": {"type": "parser", "url": "http://127.0.0.1:1/"}, **more}  # fmt: skip


def answered(status: int, **headers: str) -> dict[str, Any]:
    return {"status": status, "headers": headers, "protocol": "http/1.1", "mimeType": "text/plain", "connectionId": 7,
            "connectionReused": False, "encodedDataLength": 120}  # fmt: skip


def make_log() -> NetworkLog:
    log, session = NetworkLog(), FakeSession()
    log.attach(session)
    say = session.heard
    say["Network.requestWillBeSent"](asked("1", "http://127.0.0.1:1/old", 1.0))
    say["Network.requestWillBeSent"](
        asked("1", "http://127.0.0.1:1/new", 1.5, redirectResponse=answered(302, Location="/new"))
    )
    say["Network.responseReceived"]({"requestId": "1", "response": answered(200, **{"Content-Encoding": "br"})})
    for length in (4000, 500):
        say["Network.dataReceived"]({"requestId": "1", "timestamp": 1.9, "dataLength": length})
    say["Network.loadingFinished"]({"requestId": "1", "timestamp": 2.0, "encodedDataLength": 900})
    for number, at in (("2", 2.1), ("3", 2.2)):
        say["Network.requestWillBeSent"](asked(number, "http://127.0.0.1:1/api?a=1", at))
        say["Network.responseReceived"]({"requestId": number, "response": answered(200)})
        say["Network.loadingFinished"]({"requestId": number, "timestamp": at + 1, "encodedDataLength": 50})
    say["Network.requestWillBeSent"](asked("4", "https://cdn.example/font.woff2", 2.3))
    say["Network.loadingFailed"]({"requestId": "4", "timestamp": 2.4, "errorText": "net::ERR_NAME_NOT_RESOLVED"})
    say["Network.requestWillBeSent"](asked("5", "data:image/png;base64,AA", 2.5))
    say["Network.requestWillBeSent"](asked("6", "http://127.0.0.1:1/slow", 2.6))
    return log


def test_redirects_answers_and_failures_are_logged() -> None:
    log = make_log()
    old, new, *_, font, slow = log.requests
    assert old["redirected_to"] == "http://127.0.0.1:1/new" and old["status"] == 302 and old["bytes"] == 120
    assert new["headers"] == {"content-encoding": "br"} and new["bytes"] == 900
    assert new["decoded"] == 4500 and old["decoded"] == 0
    assert font["failed"] == "net::ERR_NAME_NOT_RESOLVED" and slow["end"] is None
    assert len(log.requests) == 6 and log.under_way() == 1
    assert log.total_bytes() == 120 + 900 + 50 + 50


def test_spans_are_told_since_navigation() -> None:
    first = make_log().spans(origin_ms=1_001_000.0)[0]
    assert first == pytest.approx([0.0, 500.0])


def test_equal_requests_are_duplicates() -> None:
    assert find_duplicates(make_log().requests) == [("GET /api?a=1", 2)]


def test_addresses_of_the_arm_have_no_port() -> None:
    assert show_address("http://127.0.0.1:4711/a?b=1") == "/a?b=1"
    assert show_address("https://cdn.example/x.js") == "https://cdn.example/x.js"
