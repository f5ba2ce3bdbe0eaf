"""Who sends when: users who wait for their answers (closed model), or a timetable that waits for nobody (open model).

Closed: each user has a connection of its own, sends, waits for the answer, thinks, and sends again. A latency runs from
the moment before the request is written. A stalled server stalls its users too, so that few requests see the stall.

Open: request k is due at `k / rate` seconds, whatever became of those before it, and its latency runs from then on; so
every request that a stall delays shows it. It takes an idle connection, opens one while there are fewer than
`connections`, or waits for one; the wait is part of the latency, and is noted as `queued_ms`.
"""

import heapq
import itertools
import math
import random
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Protocol

from tools.load_connection import Connection, Exchange, Wires
from tools.sequence import Sent

SECOND = 1_000_000_000
_PAUSE_AFTER_ERROR = SECOND // 20


class Model(Protocol):
    """What decides when requests are sent."""

    arrivals: int
    """Requests that were due so far."""

    @property
    def done(self) -> bool:
        """Nothing is due any more, and nothing under way."""
        ...

    @property
    def pending(self) -> int:
        """Requests that were due and have no answer yet."""
        ...

    def next_due(self) -> int | None:
        """When something is to be sent next, None while that depends on an answer."""
        ...

    def send_due(self, now: int) -> None:
        """Send what is due."""
        ...

    def over(self, now: int, limit: int) -> int:
        """How many of those without an answer have waited longer than a limit."""
        ...

    def free(self, connection: Connection, exchange: Exchange) -> None:
        """An exchange has ended; its connection is free."""
        ...


class User:
    """A user of the closed model."""

    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self.connection = connection
        self.chance = chance
        self.sent = 0


class Closed:
    """Users who wait for their answers and think."""

    def __init__(self, wires: Wires, job: dict[str, Any], sequence: Iterator[Sent], began: int) -> None:
        self._sequence = sequence
        self._think = job["think_s"] * SECOND
        self._deadline = began + int(job["seconds"] * SECOND)
        self.arrivals = 0
        self._under_way: dict[Connection, Exchange] = {}
        thinking = random.Random(job["seed"] + 1)
        users = [User(Connection(wires), random.Random(thinking.random())) for _ in range(job["users"])]
        self._ticket = itertools.count()
        self._waiting = [(began + int(self._think * user.chance.random()), next(self._ticket), user) for user in users]
        heapq.heapify(self._waiting)

    @property
    def done(self) -> bool:
        """Every user has stopped."""
        return not self._waiting and not self._under_way

    @property
    def pending(self) -> int:
        """Requests under way."""
        return len(self._under_way)

    def next_due(self) -> int | None:
        """When the next user has thought enough."""
        return self._waiting[0][0] if self._waiting else None

    def send_due(self, now: int) -> None:
        """Let users send who have thought enough."""
        while self._waiting and self._waiting[0][0] <= now:
            due, _, user = heapq.heappop(self._waiting)
            self._send(user, due)

    def _send(self, user: User, due: int) -> None:
        exchange = Exchange(next(self._sequence), due, lead=user.sent == 0, user=user)
        user.sent += 1
        self.arrivals += 1
        self._under_way[user.connection] = exchange
        user.connection.start(exchange)

    def over(self, now: int, limit: int) -> int:
        """How many wait longer than a limit."""
        return sum(now - exchange.sent > limit for exchange in self._under_way.values())

    def free(self, connection: Connection, exchange: Exchange) -> None:
        """The user thinks and sends again, or has finished."""
        self._under_way.pop(connection, None)
        user: User = exchange.user
        if user.sent >= 2 and time.perf_counter_ns() >= self._deadline:
            connection.drop()
            return
        think = self._think * (0.5 + user.chance.random()) if exchange.status else _PAUSE_AFTER_ERROR
        due = exchange.ended + int(think)
        if think:
            heapq.heappush(self._waiting, (due, next(self._ticket), user))
        else:
            self._send(user, due)


class Open:
    """A timetable of constant arrivals, over a bounded number of connections."""

    def __init__(self, wires: Wires, job: dict[str, Any], sequence: Iterator[Sent], began: int) -> None:
        self._wires = wires
        self._sequence = sequence
        self._began = began
        self._rate = job["rate"]
        self._most = job["connections"]
        self.planned = count_arrivals(job["rate"], job["seconds"])
        self.arrivals = 0
        self._idle: list[Connection] = []
        self._queue: deque[Exchange] = deque()
        self._under_way: dict[Connection, Exchange] = {}

    @property
    def done(self) -> bool:
        """The timetable is at its end, and everything was answered."""
        return self.arrivals >= self.planned and not self.pending

    @property
    def pending(self) -> int:
        """Requests under way or waiting for a connection."""
        return len(self._under_way) + len(self._queue)

    def next_due(self) -> int | None:
        """When the next request is due."""
        return self._began + due_ns(self.arrivals, self._rate) if self.arrivals < self.planned else None

    def send_due(self, now: int) -> None:
        """Send what the timetable says, as far as there are connections."""
        while (due := self.next_due()) is not None and due <= now:
            exchange = Exchange(next(self._sequence), due, lead=self.arrivals == 0 and self.planned > 1)
            self.arrivals += 1
            if self._idle:
                self._start(self._idle.pop(), exchange)
            elif len(self._under_way) < self._most:
                self._start(Connection(self._wires), exchange)
            else:
                self._queue.append(exchange)

    def _start(self, connection: Connection, exchange: Exchange) -> None:
        self._under_way[connection] = exchange
        connection.start(exchange)

    def over(self, now: int, limit: int) -> int:
        """How many wait longer than a limit since they were due."""
        waiting = itertools.chain(self._under_way.values(), self._queue)
        return sum(now - exchange.due > limit for exchange in waiting)

    def free(self, connection: Connection, exchange: Exchange) -> None:
        """The connection takes the next of the queue, or rests."""
        self._under_way.pop(connection, None)
        if self._queue:
            waiting = self._queue.popleft()
            waiting.free = exchange.ended
            self._start(connection, waiting)
        elif connection.socket is not None:
            self._idle.append(connection)


def count_arrivals(rate: float, seconds: float) -> int:
    """How many requests are due within so many seconds, from 0 on; at least one."""
    return max(1, math.ceil(rate * seconds - 1e-9))


def due_ns(number: int, rate: float) -> int:
    """When a request is due, in ns after the beginning: constant arrivals, without a rounding error that adds up."""
    return round(number * SECOND / rate)


class Samples:
    """The raw samples of a round, and whether they leave a goal in reach."""

    def __init__(self, began: int, stop: dict[str, Any] | None, *, from_due: bool) -> None:
        self.began = began
        self.last = began
        self.rows: list[list[Any]] = []
        self.failures: Counter[str] = Counter()
        self._from_due = from_due
        self._stop = stop
        self.slow = 0

    def add(self, exchange: Exchange) -> None:
        """Note what came of a request."""
        start = exchange.due if self._from_due else exchange.sent
        self.last = max(self.last, exchange.ended)
        if not exchange.failure and exchange.status not in exchange.request.expect:
            exchange.failure = f"status {exchange.status}"
        if exchange.failure:
            self.failures[exchange.failure] += 1
        latency_ms = (exchange.ended - start) / 1e6
        if self._stop is not None and latency_ms > self._stop["over_ms"]:
            self.slow += 1
        self.rows.append(
            [
                round((start - self.began) / 1e9, 6), round(latency_ms, 4), exchange.status, exchange.size,
                exchange.request.index, not exchange.failure, exchange.lead,
                round(max(exchange.sent - exchange.free, 0) / 1e6, 4),
                round((exchange.free - exchange.due) / 1e6, 4), exchange.opened,
            ]
        )  # fmt: skip

    def hopeless(self, model: Model, now: int) -> bool:
        """Whether so many requests were too slow or failed that a goal can't be met any more."""
        stop = self._stop
        if stop is None:
            return False
        waiting = model.over(now, int(stop["over_ms"] * 1e6)) if stop["over_ms"] != math.inf else 0
        return bool(self.slow + waiting > stop["slow"] or sum(self.failures.values()) > stop["failed"])
