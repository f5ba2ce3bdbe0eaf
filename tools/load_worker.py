"""The load generator: a process of its own that sends rounds of HTTP requests and gives back every raw sample.

Started by `tools.generator` as `python -I -m tools.load_worker SOCKET`. It reads one JSON object a line from the
socket, each a round to drive, and answers with one line each; it ends when the socket is closed.

One thread and one poller serve all connections; what is sent when is `tools.load_models`' work, and a latency ends when
the kernel received the last segment of the answer (`tools.load_connection`). Greenlets (geventhttpclient) needed half
as much CPU time again, wait for whole milliseconds, and note an answer when its turn comes: 0.2 ms late on a quiet
machine, 0.4 to 3 ms late where something else runs on the generator's core. Bodies are not decompressed, so that bytes
are bytes on the wire (of the body). The garbage collector rests during a round.

A round goes on for its seconds, and in the closed model until each user has had one request after its first. Requests
that are under way then are waited for, so that none is lost for being slow, up to `drain_s`; what has no answer by then
is counted as cut. A request is marked `lead`, and its latency does not count, where it meets an idle server and opens
the connection: each user's first of a round, and the first of a timetable.
"""

import contextlib
import ctypes
import gc
import json
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from tools.load_connection import Connection, Exchange, Wires
from tools.load_models import SECOND, Closed, Model, Open, Samples
from tools.sequence import draw_requests

_SLICE = SECOND // 20
"""How often the longest lag is noted and overdue requests are looked for."""
_TIMER_SLACK = 29


class Round:
    """One round.

    Args:
        job: url, requests, params, users, think_s, rate (None: closed model), connections, seconds, seed, timeout_s,
            drain_s; stop: None, or over_ms, slow and failed: end the round once more requests than `slow` took longer
            than `over_ms`, or more than `failed` failed.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        parts = urlsplit(job["url"])
        self.timeout = int(job["timeout_s"] * SECOND)
        self.wires = Wires(parts.hostname or "127.0.0.1", parts.port or 80, parts.path.rstrip("/"), self)
        sequence = draw_requests(job["requests"], job["params"], job["seed"])
        self.lags: list[float] = []
        self.rate: float | None = job["rate"]
        gc.collect()
        gc.disable()
        self.began = time.perf_counter_ns()
        self.samples = Samples(self.began, job["stop"], from_due=job["rate"] is not None)
        kind = Closed if job["rate"] is None else Open
        self.model: Model = kind(self.wires, job, sequence, self.began)
        self.deadline = self.began + int(job["seconds"] * SECOND)
        self.give_up = self.deadline + int(job["drain_s"] * SECOND)

    def drive(self) -> dict[str, Any]:
        """Drive the round to its end and give its raw samples."""
        cpu = time.process_time()
        stopped = self._loop()
        cut = self.model.pending
        end = time.perf_counter_ns() if cut else max(self.samples.last, self.deadline)
        cpu = time.process_time() - cpu
        gc.enable()
        self.wires.close()
        return {
            "requests": self.samples.rows, "seconds": (end - self.began) / 1e9, "cut": cut,
            "failures": dict(self.samples.failures), "client_cpu_s": cpu, "connections": self.wires.opened,
            "sent_bytes": self.wires.sent_bytes, "received_bytes": self.wires.received_bytes, "lags_ms": self.lags,
            "arrivals": self.model.arrivals, "stopped": stopped, "began_s": self.began / 1e9, "rate": self.rate,
        }  # fmt: skip

    def ended(self, connection: Connection, exchange: Exchange) -> None:
        """Note an exchange that has ended and let its connection go on."""
        self.samples.add(exchange)
        self.model.free(connection, exchange)

    def _loop(self) -> bool:
        """Send and receive to the end; True where the round was stopped early."""
        wires, model = self.wires, self.model
        looked = self.began
        while not model.done:
            now = time.perf_counter_ns()
            model.send_due(now)
            due = model.next_due()
            for descriptor, events in wires.wait(min(due or now + _SLICE, now + _SLICE)):
                connection = wires.by_descriptor.get(descriptor)
                if connection is not None:
                    connection.handle(events)
                    model.send_due(time.perf_counter_ns())
            wires.tell_refused()
            now = time.perf_counter_ns()
            if now - looked >= _SLICE:
                looked = now
                self._look(now)
                if now > self.give_up or self.samples.hopeless(model, now):
                    return now <= self.give_up
        return False

    def _look(self, now: int) -> None:
        """Note the longest lag, and end requests that have waited too long."""
        self.lags.append(round(self.wires.longest_lag / 1e6, 3))
        self.wires.longest_lag = 0
        for connection in list(self.wires.by_descriptor.values()):
            if connection.exchange is not None and now - connection.exchange.sent > self.timeout:
                connection.fail("TimeoutError")


def main() -> None:
    """Serve rounds until the socket closes."""
    with contextlib.suppress(OSError, AttributeError):
        # Linux may else wake us 0.05 ms late, to save power.
        ctypes.CDLL(None).prctl(_TIMER_SLACK, 1, 0, 0, 0)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(sys.argv[1])
    stream = connection.makefile("rwb")
    for line in stream:
        stream.write(json.dumps(Round(json.loads(line)).drive()).encode() + b"\n")
        stream.flush()


if __name__ == "__main__":
    main()
