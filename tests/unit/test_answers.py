"""Two answers compared: what counts as equal, and how a difference is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.answer_headers import freshness
from tools.answers import Seen, compare_answers

JSON = {"content-type": "application/json"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def answer(value: Any, status: int = 200, **headers: str) -> Seen:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Seen(status, {**JSON, **{name.replace("_", "-"): text for name, text in headers.items()}}, body)


def told(base: Seen, candidate: Seen, **more: Any) -> list[str]:
    return [str(item) for item in compare_answers(base, candidate, **more)]


@given(VALUES)
def test_equal_is_equal_however_it_is_written(value: Any) -> None:
    compact = Seen(200, {"content-type": "application/json; charset=UTF-8"}, json.dumps(value, indent=1).encode())
    assert told(answer(value), compact) == []


@given(VALUES, VALUES)
def test_other_values_are_told(left: Any, right: Any) -> None:
    texts = [json.dumps(value, sort_keys=True).replace("-0.0", "0.0") for value in (left, right)]
    assert (told(answer(left), answer(right)) == []) == (texts[0] == texts[1])


@pytest.mark.parametrize(
    ("base", "candidate", "expected"),
    [
        ({"a": [1, 2]}, {"a": [1, 3]}, ["/a/1: 2 became 3"]),
        ({"a": 1}, {"a": 1.0}, ["/a: 1 became 1.0"]),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, ["/a: 0.30000000000000004 became 0.3"]),
        ({"a": None}, {}, ["/a: null became (absent)"]),
        ({}, {"a/b": "x"}, ['/a~1b: (absent) became "x"']),
        ([1, 2, 3], [3, 1, 2], ["(whole body): 3 items became the same items in another order"]),
        ([1, 2], [1], ["(whole body): 2 items became 1 items"]),
        ({"a": True}, {"a": 1}, ["/a: true became 1"]),
        ({"a": "2"}, {"a": 2}, ['/a: "2" became 2']),
    ],
)
def test_names_place_and_values(base: Any, candidate: Any, expected: list[str]) -> None:
    assert told(answer(base), answer(candidate)) == expected


def test_object_order_is_free_and_array_order_is_not() -> None:
    assert told(answer(b'{"a":1,"b":2}'), answer(b'{"b":2,"a":1}')) == []
    assert told(answer(b'[{"a":1},{"a":2}]'), answer(b'[{"a":2},{"a":1}]')) != []


def test_volatile_keys_are_left_out_at_any_depth() -> None:
    base, candidate = {"x": [{"at": 1, "n": 5}]}, {"x": [{"at": 2, "n": 6}]}
    assert told(answer(base), answer(candidate), volatile={"at"}) == ["/x/0/n: 5 became 6"]


def test_status_and_headers_count() -> None:
    assert told(answer({}, 200), answer({}, 500)) == ["status: 200 became 500"]
    assert told(answer({}, location="/a"), answer({}, location="/b")) == ["header location: /a became /b"]
    html = Seen(200, {"content-type": "text/html"}, b"{}")
    assert told(answer({}), html) == ["header content-type: application/json became text/html"]
    assert told(answer({}, etag="1", date="x"), answer({}, etag="2", date="y", content_encoding="gzip")) == []


def test_the_arms_own_address_does_not_count() -> None:
    own = ("127.0.0.1:8001", "127.0.0.1:9002")
    base = answer({"next": "http://127.0.0.1:8001/b"}, location="http://127.0.0.1:8001/a")
    candidate = answer({"next": "http://127.0.0.1:9002/b"}, location="http://127.0.0.1:9002/a")
    assert told(base, candidate, own=own) == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 0), ("max-age=60", 60), ("public, s-maxage=300, max-age=60", 300), ("no-cache, max-age=60", 0),
     ("no-store", 0), ('max-age="5"', 5)],
)  # fmt: skip
def test_freshness(header: str, seconds: int) -> None:
    assert freshness(answer({}, cache_control=header)) == seconds


def test_an_answer_that_clients_may_keep_is_a_difference() -> None:
    kept = answer({}, cache_control="max-age=30")
    assert told(answer({}), kept) == ["header cache-control: may be kept 0 s became may be kept 30 s"]
    assert told(kept, answer({})) == []
    style, longer = ({"content-type": "text/css", **more} for more in ({}, {"cache-control": "max-age=3600"}))
    assert told(Seen(200, style, b"a"), Seen(200, longer, b"a")) == []


def test_text_names_its_lines() -> None:
    plain = {"content-type": "text/plain"}
    base, candidate = Seen(200, plain, b"<p>\n<b>one</b>\nend"), Seen(200, plain, b"<p>\n<b>two</b>\nend")
    assert told(base, candidate) == ['body, line 2: "<b>one</b>" became "<b>two</b>"']
    assert told(base, Seen(200, plain, b"<p>\n<b>one</b>\nend\nmore")) == ['body, line 4: (absent) became "more"']
    assert told(base, Seen(200, plain, base.body + b"\n")) == ["body, line ends: 18 bytes became 19 bytes"]


def test_bytes_name_their_first_difference() -> None:
    image = {"content-type": "image/png"}
    assert told(Seen(200, image, b"\x00ab"), Seen(200, image, b"\x00ac")) == ["body, byte 2: 3 bytes became 3 bytes"]


def test_json_that_is_none_is_compared_as_text() -> None:
    assert told(answer(b"{oops"), answer(b"{ooops")) != []
