"""One kept-alive HTTP connection of the load generator, and the clock that times its answers.

Responses are parsed by httptools (llhttp). An answer is stamped by the kernel where it can be (SO_TIMESTAMPNS): the
time at which its last segment arrived at this machine, not the time at which this process got round to reading it. A
generator that has a dozen answers to read, or that waits for its core, so does not add its own delay to a latency.
Where there is no such stamp, or it lies outside the exchange because somebody set the clock, the time of reading
counts.
"""

import errno
import os
import select
import socket
import struct
import time
from typing import Any, Protocol

import httptools

from tools.sequence import Sent

_STAMP = getattr(socket, "SO_TIMESTAMPNS", 35)
_TIMESPEC = struct.Struct("qq")
_BUFFER = 262_144
_CLOCK_NS = 250_000_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may be sent again when a kept-alive connection turns out to be closed (RFC 9110, 9.2.2)."""


class Exchange:
    """One request and what came of it. Times are of `time.perf_counter_ns`."""

    __slots__ = ("due", "ended", "failure", "free", "lead", "opened", "request", "sent", "size", "status", "user")

    def __init__(self, request: Sent, due: int, *, lead: bool, user: Any = None) -> None:
        self.request = request
        self.due = due
        self.free = due
        """When it could be sent at the earliest: later than due where every connection was busy."""
        self.sent = self.ended = self.status = self.size = 0
        self.failure = ""
        self.lead = lead
        self.opened = False
        self.user = user


class Owner(Protocol):
    """Who hears of exchanges that have ended."""

    def ended(self, connection: "Connection", exchange: Exchange) -> None:
        """An exchange has ended, answered or not; its connection is free."""
        ...


class Wires:
    """What all connections of a round share: where they lead, the poller, the clock, the counters."""

    def __init__(self, host: str, port: int, prefix: str, owner: Owner) -> None:
        self.address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.host = f"{f'[{host}]' if ':' in host else host}:{port}"
        self.prefix = prefix
        self.owner = owner
        self.epoll = select.epoll()
        self.by_descriptor: dict[int, Connection] = {}
        self.opened = self.sent_bytes = self.received_bytes = 0
        self.longest_lag = 0
        self.refused: list[tuple[Connection, OSError]] = []
        """Connections that failed at once; told later, so that a queue of requests does not fail within one another."""
        self.buffer = memoryview(bytearray(_BUFFER))
        self._offset = self._read_at = 0

    def at(self, stamp: int, now: int) -> int:
        """A stamp of the kernel, which is wall time, on our clock."""
        if now - self._read_at > _CLOCK_NS:
            self._offset, self._read_at = time.time_ns() - time.perf_counter_ns(), now
        return stamp - self._offset

    def payload(self, request: Sent) -> bytes:
        """A request as it is sent."""
        return b"%s %s%s HTTP/1.1\r\n%s%s" % (
            request.method.encode(), self.prefix.encode(), request.path.encode(),
            b"" if request.names_host else b"Host: " + self.host.encode() + b"\r\n", request.rest,
        )  # fmt: skip

    def wait(self, until: int) -> list[tuple[int, int]]:
        """Descriptors that are ready, at `until` at the latest. To about 0.1 ms, where epoll's own timeout has 1 ms."""
        left = until - time.perf_counter_ns()
        if left > 0:
            select.select([self.epoll], [], [], left / 1e9)
        return self.epoll.poll(0)

    def tell_refused(self) -> None:
        """End the exchanges whose connections failed at once."""
        refused, self.refused = self.refused, []
        for connection, error in refused:
            connection.fail(type(error).__name__)

    def close(self) -> None:
        """Close everything."""
        for connection in list(self.by_descriptor.values()):
            connection.drop()
        self.epoll.close()


class Connection:
    """A connection; it carries one exchange at a time."""

    def __init__(self, wires: Wires) -> None:
        self.wires = wires
        self.exchange: Exchange | None = None
        self.socket: socket.socket | None = None
        self._rest = b""
        self._answering = self._sized = self._complete = self._keep = False
        self._parser: Any = None

    def start(self, exchange: Exchange) -> None:
        """Send a request, on a fresh connection if there is none."""
        self.exchange = exchange
        self._begin_answer()
        self._rest = self.wires.payload(exchange.request)
        exchange.sent = time.perf_counter_ns()
        if self.socket is None:
            exchange.opened = True
            self._open()
        else:
            self._flush()

    def handle(self, events: int) -> None:
        """Go on after the poller said that there is something to do."""
        at_first = self.socket
        if self._rest and events & ~select.EPOLLIN:
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if self.socket else 0
            if error:
                self._break(OSError(error, os.strerror(error)))
                return
            self._flush()
        if self.socket is not None and self.socket is at_first and events & ~select.EPOLLOUT:
            self._read()

    def fail(self, failure: str) -> None:
        """End the exchange without an answer."""
        exchange, self.exchange = self.exchange, None
        self.drop()
        if exchange is not None:
            exchange.ended, exchange.failure = time.perf_counter_ns(), failure
            exchange.status = 0
            self.wires.owner.ended(self, exchange)

    def drop(self) -> None:
        """Close the socket."""
        if self.socket is not None:
            self.wires.by_descriptor.pop(self.socket.fileno(), None)
            self.socket.close()
            self.socket = None
        self._rest = b""

    # --- what httptools calls ---

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: ARG002  httptools passes both
        """Whether the end of the answer can be told from its head."""
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._sized = True

    def on_headers_complete(self) -> None:
        """The answer to HEAD ends here, whatever length it names."""
        assert self.exchange is not None
        self.exchange.status = self._parser.get_status_code()
        if self.exchange.request.method == "HEAD" and self.exchange.status >= 200:
            self._complete = True

    def on_body(self, body: bytes) -> None:
        """Part of a body."""
        assert self.exchange is not None
        self.exchange.size += len(body)

    def on_message_complete(self) -> None:
        """The end; of an interim answer (1xx) nothing ends."""
        assert self.exchange is not None
        if self.exchange.status >= 200:
            self._complete = True
            self._keep = self._parser.should_keep_alive()

    # --- inside ---

    def _begin_answer(self) -> None:
        self._answering = self._sized = self._complete = self._keep = False
        self._parser = httptools.HttpResponseParser(self)

    def _open(self) -> None:
        family, kind, protocol, _, address = self.wires.address
        self.wires.opened += 1
        self.socket = socket.socket(family, kind, protocol)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
        except OSError:
            pass  # no stamps on this system: the time of reading counts
        error = self.socket.connect_ex(address)
        self.wires.by_descriptor[self.socket.fileno()] = self
        self.wires.epoll.register(self.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        if error not in (0, errno.EINPROGRESS):
            self.wires.refused.append((self, OSError(error, os.strerror(error))))

    def _flush(self) -> None:
        assert self.socket is not None
        try:
            sent = self.socket.send(self._rest)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._break(error)
            return
        was_waiting = self.exchange is not None and self.exchange.opened
        self.wires.sent_bytes += sent
        self._rest = self._rest[sent:]
        if self._rest or was_waiting:
            wanted = select.EPOLLIN | (select.EPOLLOUT if self._rest else 0)
            self.wires.epoll.modify(self.socket.fileno(), wanted)

    def _read(self) -> None:
        assert self.socket is not None
        try:
            size, told, _, _ = self.socket.recvmsg_into([self.wires.buffer], 64)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error)
            return
        if size == 0:
            self._end_of_stream()
            return
        self.wires.received_bytes += size
        if self.exchange is None:
            self.drop()  # what nobody asked for
            return
        self._answering = True
        try:
            self._parser.feed_data(self.wires.buffer[:size])
        except httptools.HttpParserError as error:
            if not self._complete:
                self.fail(type(error).__name__)
                return
            self._keep = False
        if self._complete:
            self._finish(told)

    def _finish(self, told: list[tuple[int, int, bytes]]) -> None:
        exchange, self.exchange = self.exchange, None
        assert exchange is not None
        now = time.perf_counter_ns()
        exchange.ended = now
        if told and len(told[0][2]) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(told[0][2])
            stamped = self.wires.at(seconds * 1_000_000_000 + nanoseconds, now)
            if exchange.sent <= stamped <= now:
                exchange.ended = stamped
        self.wires.longest_lag = max(self.wires.longest_lag, now - exchange.ended)
        if not self._keep:
            self.drop()
        self.wires.owner.ended(self, exchange)

    def _end_of_stream(self) -> None:
        """The other side closed: the end of an answer without a length, or a failure."""
        exchange = self.exchange
        if exchange is None:
            self.drop()
        elif self._answering and exchange.status >= 200 and not self._sized:
            self._keep = False
            self._finish([])
        else:
            self._break(ConnectionResetError("closed by the server"))

    def _break(self, error: OSError) -> None:
        """An error of the connection. One that was kept alive may just have been closed: its request goes out again."""
        exchange = self.exchange
        if exchange is None:
            self.drop()
        elif not exchange.opened and not self._answering and exchange.request.method in _SAFE:
            self.drop()
            sent = exchange.sent
            self.start(exchange)
            exchange.sent = sent
        else:
            self.fail(type(error).__name__)
