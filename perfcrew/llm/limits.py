"""Patience with model services: bounded, jittered retries that honour what the service asks for, few calls at once."""

import asyncio
from collections.abc import Awaitable, Callable

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    wait_random_exponential,
)

from perfcrew.errors import BudgetExhausted, LLMError, ServiceDown
from perfcrew.llm.base import LLM, Listener, Reply, Request
from perfcrew.llm.budget import Budget
from perfcrew.records.events import Event

__all__ = ["Budget", "Limited"]

LONGEST_WAIT_S = 60.0
"""Upper bound of the jittered waits."""
LONGEST_REQUESTED_WAIT_S = 300.0
"""A service that asks for a longer wait is down, as far as this run is concerned: it stops, resumable."""


class Limited:
    """A model with retries and a bound on calls at once. The adapters below it never retry on their own.

    It counts nothing: replies are charged to the budget where they are read, as many come from a journal. It only
    refuses to call when the budget is overdrawn.

    Args:
        llm: who answers.
        budget: refuses calls when overdrawn.
        attempts: most tries of one request.
        patience: seconds after which no further try begins.
        concurrency: most calls at once; waits between tries don't count.
        watch: told of each retry.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        llm: LLM,
        budget: Budget | None = None,
        *,
        attempts: int = 8,
        patience: float = 1800.0,
        concurrency: int = 4,
        watch: Callable[[Event], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._llm = llm
        self._budget = budget
        self._attempts = attempts
        self._patience = patience
        self._slots = asyncio.Semaphore(concurrency)
        self._watch = watch
        self._sleep = sleep

    async def complete(self, request: Request, listener: Listener | None = None) -> Reply:
        """Answer a request.

        Raises:
            LLMError: the service refused it for good.
            ServiceDown: it failed on every try, or asks for a longer wait than we have patience for.
            BudgetExhausted: the budget is overdrawn.
        """
        if self._budget and (why := self._budget.overdrawn()):
            raise BudgetExhausted(why)
        enough = stop_any(stop_after_attempt(self._attempts), stop_before_delay(self._patience))
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, LLMError) and error.retryable),
            stop=lambda state: _told_to_go(state) or enough(state),
            wait=_wait,
            before_sleep=lambda state: self._tell(request, state, listener),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return await retrying(self._ask, request, listener)
        except LLMError as error:
            if not error.retryable:
                raise
            tries = retrying.statistics["attempt_number"]
            told = f"{request.model} does not answer after {tries} {'try' if tries == 1 else 'tries'}"
            raise ServiceDown(
                f"{told}; the last failure: {error}", retry_after=error.retry_after, request_id=error.request_id
            ) from error

    async def _ask(self, request: Request, listener: Listener | None) -> Reply:
        async with self._slots:
            return await (self._llm.complete(request, listener) if listener else self._llm.complete(request))

    def _tell(self, request: Request, state: RetryCallState, listener: Listener | None) -> None:
        if listener is not None:
            listener.start_over()
        if self._watch is None or state.outcome is None:
            return
        wait = state.upcoming_sleep
        tries = f"try {state.attempt_number} of {self._attempts}"
        text = f"{request.model}, {tries}: {state.outcome.exception()}; again in {wait:.1f} s"
        self._watch(Event(kind="warning", text=text, figures={"attempt": float(state.attempt_number), "wait_s": wait}))


_jitter = wait_random_exponential(multiplier=1.0, max=LONGEST_WAIT_S)


def _asked(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after or 0.0) if isinstance(error, LLMError) else 0.0


def _wait(state: RetryCallState) -> float:
    # The jitter comes on top of what the service asks for: many clients are told the same number.
    return _asked(state) + _jitter(state)


def _told_to_go(state: RetryCallState) -> bool:
    return _asked(state) > LONGEST_REQUESTED_WAIT_S
