"""Requests that meet: what the base does differently by itself is its own race, and not the candidate's fault."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from small_server import Answer, Handler, serve

from perfcrew.records.evidence import Check
from perfcrew.records.target import HttpRequest, Probe, Settings, Target, Workload
from tools.hunt import Fresh, Hunt, hunt
from tools.pair import Comparison, Pair
from tools.requests import Asked, open_client
from tools.seen import Difference

LOADED = "same answers under load"
TARGET = Target(
    target=Settings(name="seats", start="server {port}"),
    workload=(Workload(name="read", request=(HttpRequest(path="/seats"),)),),
    probe=(Probe(name="book", request=(HttpRequest(path="/seats"), HttpRequest(method="POST", path="/book"))),),
)


def booking(taken: Callable[[], int]) -> Callable[[], Handler]:
    """A start of a server that accepts so many of the writes which come at once."""

    def start() -> Handler:
        left = taken()

        async def answer(method: str, path: str, body: bytes) -> Answer:
            nonlocal left
            if method != "POST":
                return 200, b"seats"
            left -= 1
            return (201 if left >= 0 else 409), b""

        return answer

    return start


@asynccontextmanager
async def started(*handlers: Handler, kind: type[Pair] = Pair) -> AsyncIterator[tuple[tuple[object, ...], Pair]]:
    async with AsyncExitStack() as stack:
        arms = [await stack.enter_async_context(serve(handler)) for handler in handlers]
        left, right = [await stack.enter_async_context(open_client(arm.url)) for arm in arms]
        yield tuple(arms), kind(left, right)


async def race(base: Callable[[], Handler], candidate: Callable[[], Handler]) -> Check:
    fresh: Fresh = lambda beside: started(base(), (candidate if beside else base)())  # noqa: E731
    plan = Hunt(TARGET, held_out=False, most=4, thorough=False)
    async with started(booking(lambda: 99)(), booking(lambda: 99)()) as (arms, pair):
        found = [each async for each in hunt(plan, pair, arms, fresh)]  # type: ignore[arg-type]
    last = found[-1]
    assert isinstance(last, Comparison)
    return last.as_check()


def in_turn(*numbers: int) -> Callable[[], int]:
    each: Iterator[int] = itertools.cycle(numbers)
    return lambda: next(each)


async def test_a_candidate_that_lets_more_writes_through_is_refused() -> None:
    check = await race(booking(lambda: 1), booking(lambda: 2))
    assert not check.passed
    assert check.detail == "POST /book: statuses: 1 × 201, 7 × 409 became 2 × 201, 6 × 409"


async def test_a_base_that_races_against_itself_is_named_with_both_outcomes() -> None:
    check = await race(booking(in_turn(1, 2)), booking(lambda: 3))
    assert check.passed
    assert "the base itself races at POST /book statuses: 1 × 201, 7 × 409 one time, 2 × 201, 6 × 409 " in check.detail
    assert check.detail.endswith("so that this is not held against the candidate")
    assert "volatile" not in check.detail


async def test_what_differed_once_and_never_again_is_no_race_of_the_base() -> None:
    check = await race(booking(lambda: 1), booking(in_turn(2, 1)))
    assert check.passed
    assert check.detail.endswith("statuses: 1 × 201, 7 × 409 became 2 × 201, 6 × 409 once, and not when tried again")
    assert "the base itself" not in check.detail


@pytest.mark.parametrize(("also_alone", "told"), [(False, "the base itself races"), (True, "list it as volatile")])
async def test_what_the_base_changes_under_load_only_is_a_race(also_alone: bool, told: str) -> None:
    read = Asked("GET", "/seats", "GET /seats")
    moved = [(read, Difference("/free", "5", "7"))]

    class Moving(Pair):
        async def compare(self, name: str, *_: object, **__: object) -> Comparison:
            return Comparison(name, 1, unstable=moved if also_alone or name == LOADED else [])

    plan = Hunt(TARGET.model_copy(update={"probe": ()}), held_out=False, most=4, thorough=True)
    async with started(booking(lambda: 0)(), booking(lambda: 0)(), kind=Moving) as (arms, pair):
        found = [each async for each in hunt(plan, pair, arms, started)]  # type: ignore[arg-type]
    (loaded,) = [each.as_check() for each in found if isinstance(each, Comparison) and each.name == LOADED]
    assert loaded.passed
    assert told in loaded.detail
