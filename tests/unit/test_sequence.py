from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from perfcrew.records.target import HttpRequest
from tools.sequence import draw_requests, fill_request


def dumped(**fields: object) -> dict[str, object]:
    return HttpRequest.model_validate({"path": "/", **fields}).model_dump(mode="json", by_alias=True)


def test_placeholders_are_filled_and_encoded() -> None:
    request = dumped(
        method="POST", path="/u/{user}?q={word}&raw={other}", headers={"X-User": "u{user}"},
        json={"id": "{user}", "text": "hello {word}", "list": ["{user}", 3], "{word}": None},
    )  # fmt: skip
    sent = fill_request(request, {"user": 7, "word": "a b/ü"}, index=2)
    assert sent.path == "/u/7?q=a%20b%2F%C3%BC&raw={other}"
    assert sent.body == '{"id":7,"text":"hello a b/ü","list":[7,3],"{word}":null}'.encode().replace(
        "ü".encode(), b"\\u00fc"
    )
    assert sent.headers == {"Accept-Encoding": "gzip", "X-User": "u7", "Content-Type": "application/json"}
    assert (sent.method, sent.index, sent.expect) == ("POST", 2, {200})


def test_a_request_may_ask_for_no_encoding() -> None:
    sent = fill_request(dumped(headers={"Accept-Encoding": "identity"}), {})
    assert sent.headers == {"Accept-Encoding": "identity"}
    assert sent.body == b""


@given(st.integers(0, 2**32))
def test_equal_seeds_give_equal_sequences(seed: int) -> None:
    requests = [dumped(path="/a/{n}"), dumped(path="/b/{n}", weight=3)]
    params = {"n": tuple(range(10))}
    one, two = (list(islice(draw_requests(requests, params, seed), 30)) for _ in range(2))
    assert one == two


def test_weights_and_parameters_are_all_used() -> None:
    requests = [dumped(path="/a/{n}"), dumped(path="/b/{n}", weight=3)]
    drawn = list(islice(draw_requests(requests, {"n": (1, 2, 3)}, 5), 4000))
    share = Counter(sent.index for sent in drawn)[1] / len(drawn)
    assert 0.72 < share < 0.78
    assert {sent.path for sent in drawn} == {f"/{name}/{n}" for name in "ab" for n in (1, 2, 3)}


def test_other_seeds_give_other_sequences() -> None:
    params = {"n": tuple(range(100))}
    one, two = (list(islice(draw_requests([dumped(path="/{n}")], params, seed), 20)) for seed in (1, 2))
    assert one != two
