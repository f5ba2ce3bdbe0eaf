"""The load generator: a process of its own that sends rounds of HTTP requests and gives back every raw sample.

Started by `tools.generator` as `python -I -m tools.load_worker SOCKET`. It reads one JSON object a line from the
socket, each a round to drive, and answers with one line each; it ends when the socket is closed.

Users are greenlets, each with a connection of its own that is kept alive (geventhttpclient, which is what Locust's
FastHttpUser is built upon, without Locust's rounding and bookkeeping, to a third of its CPU time). A latency runs from
before the request is written until the last byte of the body is read; bodies are not decompressed, so that bytes are
bytes on the wire (of the body). The garbage collector rests during a round.

A round goes on for its seconds, and until each user has had one request after its first. Requests that are under way
then are waited for, so that none is lost for being slow, up to `drain_s`; what has no answer by then is counted as cut.
Each user's first request of a round is marked `lead`: it meets an idle server and opens the connection.
"""

import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError

from tools.sequence import Sent, draw_requests

_BLOCK = 65536
_PAUSE_AFTER_ERROR_S = 0.05


class Round:
    """One round: its users and what they saw.

    Args:
        job: url, requests, params, users, think_s, seconds, seed, timeout_s, drain_s.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        parts = urlsplit(job["url"])
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.prefix = parts.path.rstrip("/")
        self.sequence: Iterator[Sent] = draw_requests(job["requests"], job["params"], job["seed"])
        self.rows: list[list[Any]] = []
        self.failures: Counter[str] = Counter()
        self.under_way = 0
        self.began = self.ended = 0.0

    def drive(self) -> dict[str, Any]:
        """Drive the round to its end and give its raw samples."""
        thinking = random.Random(self.job["seed"] + 1)
        pauses = [random.Random(thinking.random()) for _ in range(self.job["users"])]
        gc.collect()
        gc.disable()
        cpu = time.process_time()
        self.began = self.ended = time.perf_counter()
        users = [gevent.spawn(self._use, pause) for pause in pauses]
        gevent.joinall(users, timeout=self.job["seconds"] + self.job["drain_s"])
        cut = self.under_way
        gevent.killall(users)
        seconds = (time.perf_counter() if cut else self.ended) - self.began
        cpu = time.process_time() - cpu
        gc.enable()
        return {
            "requests": self.rows, "seconds": seconds, "cut": cut, "failures": dict(self.failures), "client_cpu_s": cpu,
        }  # fmt: skip

    def _use(self, pause: random.Random) -> None:
        think = self.job["think_s"]
        client = HTTPClient(
            self.host, self.port, concurrency=1, block_size=_BLOCK,
            connection_timeout=self.job["timeout_s"], network_timeout=self.job["timeout_s"],
        )  # fmt: skip
        try:
            gevent.sleep(think * pause.random())
            deadline = self.began + self.job["seconds"]
            sent = 0
            while sent < 2 or time.perf_counter() < deadline:
                answered = self._send(client, next(self.sequence), lead=sent == 0)
                sent += 1
                if think or not answered:
                    gevent.sleep(think * (0.5 + pause.random()) if answered else _PAUSE_AFTER_ERROR_S)
        finally:
            client.close()

    def _send(self, client: HTTPClient, request: Sent, *, lead: bool) -> bool:
        """Send one request and note what came of it; False where there was no answer at all."""
        status = size = 0
        failure = ""
        path = self.prefix + request.path
        self.under_way += 1
        start = time.perf_counter()
        try:
            response = client.request(request.method, path, body=request.body, headers=request.headers)
            size = len(response.read())
            status = response.status_code
        except (OSError, HTTPParseError) as error:
            failure = type(error).__name__
        end = time.perf_counter()
        self.under_way -= 1
        self.ended = max(self.ended, end)
        if not failure and status not in request.expect:
            failure = f"status {status}"
        if failure:
            self.failures[failure] += 1
        latency_ms = round((end - start) * 1000, 4)
        self.rows.append([round(start - self.began, 6), latency_ms, status, size, request.index, not failure, lead])
        return status != 0


def main() -> None:
    """Serve rounds until the socket closes."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(sys.argv[1])
    stream = connection.makefile("rwb")
    for line in stream:
        stream.write(json.dumps(Round(json.loads(line)).drive()).encode() + b"\n")
        stream.flush()


if __name__ == "__main__":
    main()
