"""The endpoint itself."""

import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.llm_endpoint import streams, wires
from tests.llm_endpoint.faults import Sent, failure, spoil
from tests.llm_endpoint.view import PATHS, BadRequestError, RequestView, view
from tests.llm_endpoint.wires import Answer

CUTS = ("truncate", "reset", "stream_error", "drip")
Script = Callable[[RequestView], Answer]


class ScriptedEndpoint:
    """A loopback model service; a context manager.

    Args:
        script: gives the answer to each request; requests may come in parallel. One that raises turns into a 400.
        port: 0 takes a free one.
        log: a file that gets one JSON line for each request: number, api, model, status, fault, body.
    """

    def __init__(self, script: Script, port: int = 0, log: Path | None = None) -> None:
        self.requests: list[RequestView] = []
        """Every request that could be read, in the order of arrival."""
        self.refused: list[str] = []
        """Why requests were answered with a 400."""
        self.headers: list[dict[str, str]] = []
        self._script = script
        self._log = log
        self._count = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.endpoint = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def base_url(self) -> str:
        """The address, without `/v1`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port."""
        return int(self._server.server_address[1])

    @property
    def count(self) -> int:
        """How many requests came, refused ones included."""
        return self._count

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of `requests`."""
        return [request.body for request in self.requests]

    def __enter__(self) -> "ScriptedEndpoint":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, raw: bytes, headers: dict[str, str]) -> tuple[int, Sent]:
        """The number of a request and what is sent for it."""
        with self._lock:
            self._count += 1
            number = self._count
            self.headers.append(headers)
        api = PATHS.get(path)
        if api is None:
            return number, Sent(404, f"no such path: {path}")
        body = json.loads(raw)
        answer: Answer = {}
        try:
            seen = view(number, api, body)
            with self._lock:
                self.requests.append(seen)
            answer = self._script(seen)
            sent = self._sent(seen, answer, headers)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with request or script, the client has to hear it
            with self._lock:
                self.refused.append(f"{type(error).__name__}: {error}")
            kind = "invalid_request_error" if isinstance(error, BadRequestError) else "script_error"
            sent = Sent(400, wires.error(api, 400, kind, f"{type(error).__name__}: {error}"))
        self._note(number, api, body, sent.status, answer.get("fault"))
        return number, sent

    def _sent(self, seen: RequestView, answer: Answer, headers: dict[str, str]) -> Sent:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if (sent := failure(seen, answer, key)) is not None:
            return sent
        fault = answer.get("fault", "")
        body = wires.body(seen, spoil({**answer, "api": seen.api, "stream": seen.body.get("stream", False)}))
        delay = float(answer.get("seconds", 1)) if fault == "slow" else 0.0
        cut = fault if fault in CUTS else ""
        if not seen.body.get("stream"):
            return Sent(200, body, cut=cut, delay=delay)
        counted = bool((seen.body.get("stream_options") or {}).get("include_usage"))
        return Sent(200, streams.events(seen.api, body, counted=counted), cut=cut, delay=delay, api=seen.api)

    def _note(self, number: int, api: str, body: dict[str, Any], status: int, fault: str | None) -> None:
        if self._log is None:
            return
        line = {"n": number, "api": api, "model": body.get("model"), "status": status, "fault": fault, "body": body}
        with self._lock, self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def wait(self, seconds: float) -> bool:
        """Wait, but not beyond the end of the endpoint; whether it has come."""
        return self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    endpoint: ScriptedEndpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        number, sent = self.server.endpoint.answer(self.path, raw, headers)
        if sent.delay:
            self.server.endpoint.wait(sent.delay)
        if isinstance(sent.body, list) or sent.cut == "drip":
            self._stream(number, sent)
            return
        page = isinstance(sent.body, str)
        content = sent.body.encode() if isinstance(sent.body, str) else json.dumps(sent.body).encode()
        half = content[: len(content) // 2]
        self.send_response(sent.status)
        self.send_header("content-type", "text/html" if page else "application/json")
        self.send_header("content-length", str(len(half if sent.cut == "truncate" else content)))
        for name in ("request-id", "x-request-id"):
            self.send_header(name, wires.request_id(number))
        for name, value in sent.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(half if sent.cut else content)
        self.wfile.flush()
        if sent.cut == "reset":
            self._reset()

    def _stream(self, number: int, sent: Sent) -> None:
        """Events, or spaces before a body that never comes, in chunks."""
        streamed = isinstance(sent.body, list)
        self.send_response(sent.status)
        self.send_header("content-type", "text/event-stream; charset=utf-8" if streamed else "application/json")
        self.send_header("transfer-encoding", "chunked")
        for name in ("request-id", "x-request-id"):
            self.send_header(name, wires.request_id(number))
        self.end_headers()
        while sent.cut == "drip" and not self.server.endpoint.wait(0.01):
            self._chunk(b": still there\n\n" if streamed else b" ")
        events = list(sent.body) if isinstance(sent.body, list) else []
        if sent.cut:
            events = events[: max(1, len(events) // 2)]
        if sent.cut == "stream_error":
            events.append(streams.broken(sent.api))
        for event in events:
            self._chunk(streams.encode(event))
        if sent.cut == "reset":
            self._reset()
        else:
            self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def _reset(self) -> None:
        # A zero linger turns close into a reset; detached, as the server would end it politely first.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        os.close(self.connection.detach())

    def log_message(self, *args: Any) -> None:
        """Nothing goes to the terminal."""
