"""What perfcrew adds to a locustfile: raw samples of every request, from Locust's request event.

Locust's own statistics round response times, to two digits above 100 ms, so that percentiles of them are too coarse to
compare versions. This file is loaded as one more locustfile, on other hosts as well, where nothing of perfcrew is
installed; so it imports nothing of it. What it noted is sent when a test stops, in messages that msgpack can carry.

A row is as in `perfcrew.load_stats`. Its start counts from the start of the test on this worker. A task that passes
`context={"perfcrew": (index, late_ms, queued_ms, opened)}` says more about its request than Locust knows.
"""

import os
import time
from collections import Counter
from typing import Any

import gevent
from locust import events
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

MESSAGE, HELLO = "perfcrew_samples", "perfcrew_hello"
OWNER = ""
"""Which measurement the files on a worker belong to; filled in where they are sent along."""
_CHUNK = 20_000
_SLICE_S = 0.05
_LONGEST = 80


class Samples:
    """Raw samples of one test on this worker."""

    def __init__(self) -> None:
        self.clear("")

    def clear(self, job: str) -> None:
        """Begin a test; nothing is sent for one without a name."""
        self.job = job
        self.began = time.perf_counter()
        self.rows: list[list[Any]] = []
        self.names: dict[str, int] = {}
        self.failures: Counter[str] = Counter()
        self.lags: list[float] = []
        self.cpu = time.process_time()
        self.connections: int | None = None
        """Connections opened; only who opens them knows. The same for requests that were due."""
        self.arrivals: int | None = None
        self.received = 0

    def note(
        self, request_type: str, name: str, response_time: float, response_length: int, *,
        exception: Any = None, context: Any = None, response: Any = None, **_: Any,
    ) -> None:  # fmt: skip
        """Note a request, as Locust's request event tells of it."""
        index, late, queued, opened = (context or {}).get("perfcrew") or (None, 0.0, 0.0, False)
        if index is None:
            index = self.names.setdefault(f"{request_type} {name}", len(self.names))
        latency = float(response_time or 0)
        status = int(getattr(response, "status_code", 0) or 0) or (0 if exception else 200)
        if exception:
            self.failures[_kind(exception, status)] += 1
        size = int(response_length or 0)
        self.received += size
        start = time.perf_counter() - self.began - latency / 1000
        row = [round(start, 6), round(latency, 4), status, size, index, not exception, False, late, queued, opened]
        self.rows.append(row)

    def watch(self) -> None:
        """Note how late the event loop wakes us, until the test stops."""
        while True:
            due = time.perf_counter() + _SLICE_S
            gevent.sleep(_SLICE_S)
            self.lags.append(round(max(time.perf_counter() - due, 0) * 1000, 3))

    def messages(self) -> list[dict[str, Any]]:
        """All that was noted; the last message says so and holds the totals."""
        starts = range(0, max(len(self.rows), 1), _CHUNK)
        names = list(self.names)
        parts: list[dict[str, Any]] = [
            {"job": self.job, "names": names, "requests": self.rows[start : start + _CHUNK]} for start in starts
        ]
        parts[-1]["totals"] = {
            "failures": dict(self.failures), "lags_ms": self.lags,
            "client_cpu_s": time.process_time() - self.cpu, "connections": self.connections,
            "arrivals": self.arrivals, "received_bytes": self.received,
        }  # fmt: skip
        return parts


def _kind(exception: Any, status: int) -> str:
    if status >= 400:
        return f"status {status}"
    told = f": {exception}" if type(exception).__name__ == "CatchResponseError" else ""
    return f"{type(exception).__name__}{told}"[:_LONGEST]


SAMPLES = Samples()
_watching: list[gevent.Greenlet] = []


def _on_request(**seen: Any) -> None:
    SAMPLES.note(**seen)


def _on_start(environment: Any, **_: Any) -> None:
    SAMPLES.clear(environment.parsed_options.perfcrew_job["id"])
    _watching.append(gevent.spawn(SAMPLES.watch))


def _on_stop(environment: Any, **_: Any) -> None:
    gevent.killall(_watching)
    _watching.clear()
    # A worker that quits stops once more, without a test.
    if isinstance(environment.runner, MasterRunner) or not SAMPLES.job:
        return
    # A worker sleeps that long after each test, though its users have stopped by now.
    environment.stop_timeout = 0.0
    for part in SAMPLES.messages():
        environment.runner.send_message(MESSAGE, part)
    SAMPLES.clear("")


def _on_init(runner: Any, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        runner.register_message(HELLO, _answer)


def _answer(environment: Any, msg: Any, **_: Any) -> None:
    """Say whose files these are; a worker of an earlier measurement, which missed its end, makes room instead."""
    runner = environment.runner
    if msg.data["owner"] == OWNER:
        runner.send_message(HELLO, {"owner": OWNER})
        return
    runner.client.send(Message("quit", None, runner.client_id))  # type: ignore[no-untyped-call]
    gevent.sleep(_SLICE_S)
    os._exit(0)


events.init.add_listener(_on_init)  # type: ignore[no-untyped-call]
events.request.add_listener(_on_request)  # type: ignore[no-untyped-call]
events.test_start.add_listener(_on_start)  # type: ignore[no-untyped-call]
events.test_stop.add_listener(_on_stop)  # type: ignore[no-untyped-call]
