"""A workload of perfcrew's as a locustfile, for load from several hosts. `tools.locust_load` sends it to the workers.

The job (requests, parameters, users or rate) comes with each start of a test, among Locust's own options. Of several
workers each draws a sequence of its own from the seed, and each sends its share of a timetable.
"""

import random
import time
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.monkey
from gevent.event import AsyncResult
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError
from locust import User, events, task

from tools.locust_samples import SAMPLES
from tools.sequence import Sent, draw_requests

_BLOCK = 65536
_PAUSE_AFTER_ERROR_S = 0.05
_COARSE_S = 0.003
_sleep = gevent.monkey.get_original("time", "sleep")


class Failed(Exception):
    """An answer that was not as expected."""


class Answer:
    """What the request event wants of a response."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class Plan:
    """What this worker sends in a test, shared by its users."""

    def __init__(self, environment: Any) -> None:
        self.job = job = environment.parsed_options.perfcrew_job
        self.index = max(int(getattr(environment.runner, "worker_index", 0)), 0)
        self.workers = max(int(job["workers"]), 1)
        self.sequence = draw_requests(job["requests"], job["params"], job["seed"] * 1000 + self.index)
        self.began = time.perf_counter()
        self.idle: list[AsyncResult] = []
        self.queue: deque[float] = deque()
        SAMPLES.connections, SAMPLES.arrivals = 0, 0
        self.timetable = gevent.spawn(self._arrive) if job["rate"] else None

    @property
    def over(self) -> bool:
        """Whether the test's time is up."""
        return bool(time.perf_counter() - self.began >= self.job["seconds"])

    def _arrive(self) -> None:
        """Give each arrival of this worker's share to an idle user, or let it wait for one."""
        number = self.index
        while (offset := number / self.job["rate"]) < self.job["seconds"]:
            _wait_until(self.began + offset)
            SAMPLES.arrivals = (SAMPLES.arrivals or 0) + 1
            if self.idle:
                self.idle.pop().set(self.began + offset)
            else:
                self.queue.append(self.began + offset)
            number += self.workers
        for waiting in self.idle:
            waiting.set(None)
        self.idle.clear()

    def next_arrival(self) -> tuple[float, float] | None:
        """Wait for something to send: when it was due, and since when it could be sent; None at the end."""
        if self.queue:
            return self.queue.popleft(), time.perf_counter()
        if self.timetable is None or self.timetable.ready():
            return None
        turn = AsyncResult()
        self.idle.append(turn)
        due: float | None = turn.get()
        return None if due is None else (due, due)


def _wait_until(due: float) -> None:
    """Sleep, the last of it in a thread: gevent's own timers have whole milliseconds."""
    gevent.sleep(max(due - time.perf_counter() - _COARSE_S, 0))
    left = due - time.perf_counter()
    if left > 0:
        gevent.get_hub().threadpool.apply(_sleep, (left,))


_plans: list[Plan] = []


def _on_start(**_: Any) -> None:
    _plans.clear()


events.test_start.add_listener(_on_start)  # type: ignore[no-untyped-call]


class PerfcrewUser(User):
    """A user with a connection of its own."""

    def on_start(self) -> None:
        """Join the plan of this test; the first user makes it."""
        if not _plans:
            _plans.append(Plan(self.environment))
        self.plan = _plans[0]
        self.chance = random.Random()
        parts = urlsplit(self.host or self.environment.host)
        self.prefix = parts.path.rstrip("/")
        timeout = self.plan.job["timeout_s"]
        self.opened = False
        self.client = HTTPClient(
            parts.hostname or "127.0.0.1", parts.port or 80, concurrency=1, block_size=_BLOCK,
            connection_timeout=timeout, network_timeout=timeout,
        )  # fmt: skip

    def on_stop(self) -> None:
        """Close the connection."""
        self.client.close()

    @task
    def run_plan(self) -> None:
        """The whole test: one task, so that stopping waits for what is under way."""
        if self.plan.job["rate"]:
            while (arrival := self.plan.next_arrival()) is not None:
                self._send(*arrival)
        else:
            self._ask_and_think()
        while True:
            gevent.sleep(1)
            if self._state != "running":
                return

    def _ask_and_think(self) -> None:
        think = self.plan.job["think_s"]
        gevent.sleep(think * self.chance.random())
        while not self.plan.over:
            SAMPLES.arrivals = (SAMPLES.arrivals or 0) + 1
            now = time.perf_counter()
            answered = self._send(now, now)
            if think or not answered:
                gevent.sleep(think * (0.5 + self.chance.random()) if answered else _PAUSE_AFTER_ERROR_S)

    def _send(self, due: float, free: float) -> bool:
        request: Sent = next(self.plan.sequence)
        status = size = 0
        failure: Exception | None = None
        opened, self.opened = not self.opened, True
        SAMPLES.connections = (SAMPLES.connections or 0) + opened
        sent = time.perf_counter()
        try:
            response = self.client.request(
                request.method, self.prefix + request.path, body=request.body, headers=request.headers
            )
            size = len(response.read())
            status = response.status_code
        except (OSError, HTTPParseError) as error:
            failure, self.opened = error, False
        ended = time.perf_counter()
        if failure is None and status not in request.expect:
            failure = Failed(f"status {status}")
        told = (request.index, round((sent - free) * 1000, 4), round((free - due) * 1000, 4), opened)
        self.environment.events.request.fire(
            request_type=request.method, name=str(request.index), response_time=(ended - due) * 1000,
            response_length=size, exception=failure, context={"perfcrew": told}, response=Answer(status),
        )  # fmt: skip
        return status != 0
