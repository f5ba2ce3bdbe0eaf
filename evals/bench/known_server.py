"""A server whose latencies are known: it draws them from a distribution, and its own clock records what it served.

Started as `python -I -m evals.bench.known_server PORT_FILE RECORD_FILE`; ends, and writes its record, on SIGTERM. One
thread, one poller. A request to `/KEY` is answered after a delay that depends on KEY alone: log-normal with a heavy
tail, median 8 ms. `/pause/MS` makes the server stand still for so long from then on: it reads nothing, as in a long
garbage collection, and takes up its work late. The record has a row an answer: when the kernel received the request
(SO_TIMESTAMPNS, so that a wait before it was read counts) and when it was answered, in ns of the monotonic clock, and
whether it was its connection's first.

What it has to do is small, so that it keeps its own timetable to about 0.1 ms at some hundred requests a second.
"""

import ctypes
import heapq
import json
import random
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path

_STAMP = getattr(socket, "SO_TIMESTAMPNS", 35)
_TIMESPEC = struct.Struct("qq")
_BODY = b"x" * 1000
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n" + _BODY
_MEDIAN_MS, _SIGMA = 8.0, 0.5
_SLOW_SHARE, _SLOW_MS = 0.02, 60.0


def delay_ms(key: str) -> float:
    """How long a request with this key takes: log-normal, and 2 in 100 take 60 ms more."""
    chance = random.Random(key)
    delay = _MEDIAN_MS * chance.lognormvariate(0, _SIGMA)
    return delay + (_SLOW_MS if chance.random() < _SLOW_SHARE else 0.0)


class Server:
    """Connections, what is due to be answered, and the record."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listening.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
        self.poller = select.epoll()
        self.poller.register(self.listening.fileno(), select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.fresh: set[int] = set()
        self.due: list[tuple[int, int, int, bool, socket.socket]] = []
        self.record: list[tuple[int, int, bool]] = []
        self.number = 0
        self.running = True

    def run(self) -> None:
        """Serve until told to end."""
        while self.running:
            wait = 0.05 if not self.due else max(self.due[0][0] - time.perf_counter_ns(), 0) / 1e9
            select.select([self.poller], [], [], min(wait, 0.05))
            for descriptor, _ in self.poller.poll(0):
                if descriptor == self.listening.fileno():
                    self._accept()
                else:
                    self._read(self.clients[descriptor])
                self._answer_due()
            self._answer_due()

    def _accept(self) -> None:
        client, _ = self.listening.accept()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
        self.clients[client.fileno()] = client
        self.fresh.add(client.fileno())
        self.poller.register(client.fileno(), select.EPOLLIN)

    def _read(self, client: socket.socket) -> None:
        try:
            head, told, _, _ = client.recvmsg(65536, 64)
        except OSError:
            head, told = b"", []
        if not head:
            del self.clients[client.fileno()]
            client.close()
            return
        now = time.perf_counter_ns()
        seconds, nanoseconds = _TIMESPEC.unpack(told[0][2])
        arrived = seconds * 1_000_000_000 + nanoseconds - time.time_ns() + now
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/pause/"):
            client.sendall(_ANSWER)
            time.sleep(float(path.rpartition("/")[2]) / 1000)
            return
        self.number += 1
        due = arrived + int(delay_ms(path) * 1e6)
        first = client.fileno() in self.fresh
        self.fresh.discard(client.fileno())
        heapq.heappush(self.due, (due, self.number, arrived, first, client))

    def _answer_due(self) -> None:
        while self.due and self.due[0][0] <= time.perf_counter_ns():
            _, _, arrived, first, client = heapq.heappop(self.due)
            if client.fileno() < 0:
                continue
            # Noted before the call: on loopback the other side may have the answer before it returns.
            self.record.append((arrived, time.perf_counter_ns(), first))
            client.sendall(_ANSWER)


def main() -> None:
    """Serve; tell the port in a file; write the record at the end."""
    ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)
    server = Server()

    def end(*_: object) -> None:
        server.running = False

    signal.signal(signal.SIGTERM, end)
    port_file, record_file = map(Path, sys.argv[1:3])
    port_file.with_suffix(".new").write_text(str(server.listening.getsockname()[1]))
    port_file.with_suffix(".new").replace(port_file)
    server.run()
    record_file.write_text(json.dumps(server.record))


if __name__ == "__main__":
    main()
