"""Retries, waits and bounds, without waiting."""

import asyncio

import pytest

from perfcrew.errors import BudgetExhausted, LLMError, ServiceDown
from perfcrew.llm.base import Message, Reply, Request, Text
from perfcrew.llm.budget import Budget
from perfcrew.llm.connect import connect
from perfcrew.llm.limits import LONGEST_REQUESTED_WAIT_S, LONGEST_WAIT_S, Limited
from perfcrew.records.events import Event
from tests.llm_endpoint import ScriptedEndpoint

MODEL = "anthropic/claude-test"
REQUEST = Request(model=MODEL, system="", messages=(Message(role="user", blocks=(Text(text="go"),)),))
ANSWER = Reply(model=MODEL, blocks=(Text(text="ok"),), stop="end")


class Scripted:
    """Raises these errors in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return ANSWER


class Waits:
    """Takes the place of sleeping and remembers how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def busy(retry_after: float | None = None) -> LLMError:
    return LLMError("anthropic: HTTP 529 overloaded", retryable=True, retry_after=retry_after, request_id="req_7")


async def test_an_answer_needs_no_patience() -> None:
    waits = Waits()
    assert await Limited(Scripted(), sleep=waits).complete(REQUEST) == ANSWER
    assert waits.seconds == []


async def test_what_may_pass_is_tried_again_and_told() -> None:
    llm, waits, told = Scripted(busy(), busy()), Waits(), list[Event]()
    assert await Limited(llm, sleep=waits, watch=told.append).complete(REQUEST) == ANSWER
    assert llm.calls == 3
    assert [event.kind for event in told] == ["warning", "warning"]
    assert "try 1 of 8: anthropic: HTTP 529 overloaded; again in" in told[0].text
    assert [event.figures["wait_s"] for event in told] == waits.seconds


async def test_what_will_not_pass_is_not_tried_again() -> None:
    error = LLMError("anthropic: HTTP 400 wrong", request_id="req_1")
    llm = Scripted(error)
    with pytest.raises(LLMError) as caught:
        await Limited(llm, sleep=Waits()).complete(REQUEST)
    assert caught.value is error
    assert llm.calls == 1


async def test_a_mistake_of_our_own_is_not_tried_again() -> None:
    llm = Scripted(ValueError("ours"))
    with pytest.raises(ValueError, match="ours"):
        await Limited(llm, sleep=Waits()).complete(REQUEST)
    assert llm.calls == 1


async def test_a_service_that_stays_down() -> None:
    llm, waits = Scripted(*[busy() for _ in range(9)]), Waits()
    with pytest.raises(ServiceDown) as caught:
        await Limited(llm, attempts=5, sleep=waits).complete(REQUEST)
    assert llm.calls == 5
    assert len(waits.seconds) == 4
    told = "anthropic/claude-test does not answer after 5 tries; the last failure: anthropic: HTTP 529 overloaded"
    assert str(caught.value) == told
    assert caught.value.request_id == "req_7"
    assert not caught.value.retryable


async def test_the_service_is_given_the_time_it_asks_for() -> None:
    waits = Waits()
    await Limited(Scripted(busy(12.0), busy(LONGEST_REQUESTED_WAIT_S)), sleep=waits).complete(REQUEST)
    first, second = waits.seconds
    assert 12 <= first <= 12 + LONGEST_WAIT_S
    assert LONGEST_REQUESTED_WAIT_S <= second <= LONGEST_REQUESTED_WAIT_S + LONGEST_WAIT_S


async def test_but_not_all_day() -> None:
    llm = Scripted(busy(LONGEST_REQUESTED_WAIT_S + 1))
    with pytest.raises(ServiceDown, match="after 1 try") as caught:
        await Limited(llm, sleep=Waits()).complete(REQUEST)
    assert caught.value.retry_after == LONGEST_REQUESTED_WAIT_S + 1


async def test_waits_grow_with_jitter_up_to_a_bound() -> None:
    runs = []
    for _ in range(40):
        waits = Waits()
        await Limited(Scripted(*[busy() for _ in range(9)]), attempts=10, sleep=waits).complete(REQUEST)
        runs.append(waits.seconds)
    columns = list(zip(*runs, strict=True))
    assert all(0 <= second <= min(2.0**index, LONGEST_WAIT_S) for index, c in enumerate(columns) for second in c)
    assert len(set(columns[5])) > 30, "no two clients come back at once"
    assert max(columns[8]) > max(columns[2])


async def test_patience_ends() -> None:
    llm = Scripted(*[busy(50) for _ in range(9)])
    with pytest.raises(ServiceDown, match="after 1 try"):
        await Limited(llm, patience=40, sleep=Waits()).complete(REQUEST)


async def test_few_calls_at_once() -> None:
    running, most = 0, 0
    free = asyncio.Event()

    class Counting:
        async def complete(self, request: Request) -> Reply:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await free.wait()
            running -= 1
            return ANSWER

    limited = Limited(Counting(), concurrency=3)
    tasks = [asyncio.create_task(limited.complete(REQUEST)) for _ in range(10)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert running == 3
    free.set()
    assert await asyncio.gather(*tasks) == [ANSWER] * 10
    assert most == 3


async def test_who_waits_between_tries_holds_up_nobody() -> None:
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()

    limited = Limited(Scripted(busy()), concurrency=1, sleep=sleep)
    waiting = asyncio.create_task(limited.complete(REQUEST))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(limited.complete(REQUEST), 60) == ANSWER
    assert not waiting.done()
    gate.set()
    assert await waiting == ANSWER


async def test_cancelling_is_not_a_failure_of_the_service() -> None:
    class Hanging:
        async def complete(self, request: Request) -> Reply:
            await asyncio.Event().wait()
            raise AssertionError

    task = asyncio.create_task(Limited(Hanging()).complete(REQUEST))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_overdrawn_budget_refuses() -> None:
    budget, llm = Budget(turns=4), Scripted()
    limited = Limited(llm, budget)
    for _ in range(6):
        budget.charge(await limited.complete(REQUEST))
    assert budget.exceeded()
    with pytest.raises(BudgetExhausted, match="6 of 4 turns used"):
        await limited.complete(REQUEST)
    assert llm.calls == 6


@pytest.mark.parametrize("model", ["anthropic/x", "openai/x", "openai-chat/x"])
@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "overloaded", "html", "reset", "truncate"])
async def test_every_passing_fault_passes(model: str, fault: str) -> None:
    text = "an answer " * 50
    with ScriptedEndpoint(lambda seen: {"text": text, **({"fault": fault} if seen.number < 3 else {})}) as endpoint:
        llm = connect(model, anthropic_base_url=endpoint.base_url, openai_base_url=endpoint.base_url)
        waits = Waits()
        reply = await Limited(llm, sleep=waits).complete(REQUEST.model_copy(update={"model": model}))
        await llm.aclose()  # type: ignore[attr-defined]
        assert reply.text == text
        assert endpoint.count == 3
        if fault == "rate_limit":
            assert all(seconds >= 1 for seconds in waits.seconds)
