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

from tests.llm_endpoint import wires
from tests.llm_endpoint.faults import Sent, failure, spoil
from tests.llm_endpoint.view import PATHS, BadRequestError, RequestView, view
from tests.llm_endpoint.wires import Answer

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
        body = wires.body(seen, spoil({**answer, "api": seen.api}))
        delay = float(answer.get("seconds", 1)) if fault == "slow" else 0.0
        return Sent(200, body, cut=fault if fault in ("truncate", "reset") else "", delay=delay)

    def _note(self, number: int, api: str, body: dict[str, Any], status: int, fault: str | None) -> None:
        if self._log is None:
            return
        line = {"n": number, "api": api, "model": body.get("model"), "status": status, "fault": fault, "body": body}
        with self._lock, self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the end of the endpoint."""
        self._closing.wait(seconds)


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
            # A zero linger turns close into a reset; detached, as the server would end it politely first.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            os.close(self.connection.detach())

    def log_message(self, *args: Any) -> None:
        """Nothing goes to the terminal."""
