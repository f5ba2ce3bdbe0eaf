"""Headers of two answers: what a client could act on."""

import pytest

from tools.answer_headers import compare_headers
from tools.seen import Seen


def told(base: dict[str, str], candidate: dict[str, str]) -> list[str]:
    media = {"content-type": "application/json"}
    pair = (Seen(200, {**media, **headers}, b"{}") for headers in (base, candidate))
    return [str(difference) for difference in compare_headers(*pair)]


@pytest.mark.parametrize(
    ("base", "candidate"),
    [
        ({"date": "1", "server": "a", "x-request-id": "1", "x-response-time": "4"}, {"date": "2"}),
        ({}, {"etag": '"1"', "vary": "accept-encoding", "content-encoding": "gzip", "x-cache": "hit"}),
        ({"etag": '"1"'}, {"etag": '"2"'}),
        ({"cache-control": "no-cache"}, {"cache-control": "no-store"}),
        ({"set-cookie": "s=1; Path=/; HttpOnly"}, {"set-cookie": "s=2; httponly; path=/"}),
        ({"set-cookie": "s=1; expires=Wed, 21 Oct 2026 07:28:00 GMT, t=1"}, {"set-cookie": "t=3, s=4"}),
    ],
)
def test_equal_enough(base: dict[str, str], candidate: dict[str, str]) -> None:
    assert told(base, candidate) == []


@pytest.mark.parametrize(
    ("base", "candidate", "line"),
    [
        ({"x-total-count": "9"}, {}, "header x-total-count: 9 became (absent)"),
        ({"link": "</2>"}, {"link": "</3>"}, "header link: </2> became </3>"),
        ({}, {"location": "/a"}, "header location: (absent) became /a"),
        ({"vary": "Cookie, Accept"}, {"vary": "accept"}, "header vary: cookie became (absent)"),
        ({"cache-control": "private"}, {}, "header cache-control: private became (absent)"),
        ({"etag": '"1"'}, {}, 'header etag: "1" became (absent)'),
        ({"set-cookie": "s=1; HttpOnly"}, {"set-cookie": "s=1"}, "header set-cookie: s httponly became s"),
        ({"access-control-allow-origin": "a"}, {"access-control-allow-origin": "*"},
         "header access-control-allow-origin: a became *"),
    ],
)  # fmt: skip
def test_what_a_client_would_miss(base: dict[str, str], candidate: dict[str, str], line: str) -> None:
    assert told(base, candidate) == [line]
