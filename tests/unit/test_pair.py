"""Two versions asked the same: what they answer differently, and what nobody can tell."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from tools.pair import Comparison, Pair
from tools.requests import Asked

Handler = Callable[[httpx.Request], Any]


def asked(path: str, method: str = "GET") -> Asked:
    return Asked(method, path, f"{method} {path}")


async def stream(content: bytes) -> AsyncIterator[bytes]:
    yield content


def client(handler: Handler, port: int) -> httpx.AsyncClient:
    async def answer(request: httpx.Request) -> httpx.Response:
        found = handler(request)
        found = await found if asyncio.iscoroutine(found) else found
        plain = found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)
        return httpx.Response(plain.status_code, headers=plain.headers, content=stream(plain.content))

    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=httpx.MockTransport(answer))


def pair(base: Handler, candidate: Handler) -> Pair:
    return Pair(client(base, 1111), client(candidate, 2222))


def differences(found: Comparison) -> list[str]:
    return [f"{item.name} {difference}" for item, difference in found.differences]


async def test_equal_versions_pass() -> None:
    both = pair(lambda request: {"path": request.url.path}, lambda request: {"path": request.url.path})
    found = await both.compare("all", [[asked("/a"), asked("/b")]])
    check = found.as_check()
    assert (check.passed, check.detail, found.requests) == (True, "2 requests answered alike", 2)


async def test_a_difference_fails_and_is_told() -> None:
    both = pair(lambda _: {"n": 1}, lambda _: {"n": 2})
    found = await both.compare("all", [[asked("/a"), asked("/b", "POST")]])
    check = found.as_check()
    assert not check.passed
    assert check.detail == "GET /a: /n: 1 became 2; POST /b: /n: 1 became 2"
    assert found.as_json()["differences"][0] == {
        "request": "GET /a", "where": "/n", "base": "1", "candidate": "2",
    }  # fmt: skip


def counting() -> Handler:
    numbers: Iterator[int] = itertools.count()
    return lambda request: {"n": next(numbers), "fixed": request.url.path}


async def test_what_differs_in_the_base_itself_is_no_difference() -> None:
    other = counting()
    other(httpx.Request("GET", "http://x/"))
    found = await pair(counting(), other).compare("all", [[asked("/a")]])
    assert found.as_check().passed
    assert "/n differs in the base from call to call" in found.as_check().detail


async def test_an_unstable_place_hides_no_other() -> None:
    numbers = itertools.count(100)
    found = await pair(counting(), lambda _: {"n": next(numbers), "fixed": "other"}).compare("all", [[asked("/a")]])
    assert differences(found) == ['GET /a /fixed: "/a" became "other"']


async def test_what_writes_is_not_asked_twice() -> None:
    seen: list[str] = []

    def note(request: httpx.Request) -> Any:
        seen.append(request.method)
        return {"n": len(seen)}

    await pair(note, lambda _: {"n": -1}).compare("all", [[asked("/a", "POST")]])
    assert seen == ["POST"]


async def test_a_version_that_does_not_answer_differs() -> None:
    def down(request: httpx.Request) -> Any:
        raise httpx.ConnectError("refused", request=request)

    found = await pair(lambda _: {}, down).compare("all", [[asked("/a")]])
    assert differences(found)[0] == "GET /a status: 200 became 0"
    assert (await pair(down, down).compare("all", [[asked("/a")]])).as_check().passed


async def test_each_sequence_begins_as_a_new_visitor() -> None:
    def cookies(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"had": "cookie" in request.headers}, headers={"set-cookie": "a=1"})

    both = pair(cookies, lambda _: httpx.Response(200, json={"had": False}, headers={"set-cookie": "a=2"}))
    found = await both.compare("all", [[asked("/1"), asked("/2", "POST")], [asked("/3")]])
    assert differences(found) == ["POST /2 /had: true became false"]


async def test_state_mixed_up_between_concurrent_requests_is_found() -> None:
    shared: dict[str, str] = {}

    async def mixed(request: httpx.Request) -> Any:
        shared["path"] = request.url.path
        await asyncio.sleep(0.005)
        return {"path": shared["path"]}

    paths = [asked(f"/{number}") for number in range(6)]
    right = pair(lambda request: {"path": request.url.path}, mixed)
    assert (await right.compare("alone", [paths])).as_check().passed
    found = await right.compare_at_once("at once", [paths])
    assert not found.as_check().passed
    # If the base mixes them up as well, nothing can be said.
    assert (await pair(mixed, mixed).compare_at_once("at once", [paths])).as_check().passed
    assert not (await right.compare_at_once("at once", [paths], last=True)).as_check().passed
    assert (await pair(mixed, mixed).compare_at_once("at once", [paths], last=True)).as_check().passed


@pytest.mark.parametrize(("last", "times"), [(False, 2), (True, 1)])
async def test_at_last_the_base_is_asked_at_once_only_where_the_candidate_differs(last: bool, times: int) -> None:
    heard: list[str] = []

    def base(request: httpx.Request) -> Any:
        heard.append(request.url.path)
        return {"path": request.url.path}

    paths = [asked(f"/{number}") for number in range(6)]
    alike = pair(base, lambda request: {"path": request.url.path})
    assert (await alike.compare_at_once("at once", [paths], last=last)).as_check().passed
    assert len(heard) == times * len(paths)


async def test_a_base_that_mixes_requests_up_itself_races() -> None:
    shared: dict[str, str] = {}

    async def mixed(request: httpx.Request) -> Any:
        shared["path"] = request.url.path
        await asyncio.sleep(0.005)
        return {"path": shared["path"]}

    found = await pair(mixed, mixed).compare_at_once("at once", [[asked("/1"), asked("/2")]])
    assert found.as_check().passed
    assert found.as_check().detail == (
        '2 requests answered alike; the base itself races at GET /1 /path: "/1" one time, "/2" another, '
        "so that this is not held against the candidate"
    )
    assert found.as_json()["racing"] == [{"request": "GET /1", "where": "/path", "base": ['"/1"', '"/2"']}]


async def test_a_field_that_moves_by_itself_is_no_race() -> None:
    found = await pair(counting(), lambda _: {"n": -1, "fixed": "/1"}).compare_at_once("at once", [[asked("/1")]])
    assert "/n differs in the base from call to call (list it as volatile)" in found.as_check().detail
    assert not found.racing


async def test_many_differences_are_counted() -> None:
    found = await pair(lambda _: list(range(9)), lambda _: [0] * 9).compare("all", [[asked("/a")]])
    assert found.as_check().detail.endswith("; and 4 more")
