"""Responses under each encoding, with redirects, validators and connections that are not kept."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import brotli
import pytest
from small_server import SmallArm
from target_repo import make_workspace

from perfcrew.errors import InstrumentError
from perfcrew.records.facts import unpack_rows
from perfcrew.records.target import HttpRequest, Workload
from tools.payload import inspect_responses, pack

BODY = b'{"name": "tea", "value": 12}' * 400
SEEN: list[tuple[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        offered = self.headers.get("Accept-Encoding", "")
        SEEN.append((self.path, offered))
        if self.path == "/old":
            self.send(302, b"", Location="/older")
        elif self.path == "/older":
            self.send(301, b"", Location="/plain?a=1")
        elif self.path.startswith("/packed"):
            if self.headers.get("If-None-Match") == '"1"':
                self.send(304, b"", ETag='"1"')
            elif "br" in offered:
                self.send(200, brotli.compress(BODY, quality=5), ETag='"1"', Content_Encoding="br")
            elif "gzip" in offered:
                self.send(200, gzip.compress(BODY), ETag='"1"', Content_Encoding="gzip")
            else:
                self.send(200, BODY, ETag='"1"')
        elif self.path == "/closing":
            self.send(200, BODY, Connection="close")
        elif self.path == "/elsewhere":
            self.send(302, b"", Location="http://example.invalid/")
        else:
            self.send(200, BODY)

    def do_POST(self) -> None:
        SEEN.append((self.path, self.headers.get("Accept-Encoding", "")))
        self.send(201, b"{}")

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def arm() -> Iterator[SmallArm]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    SEEN.clear()
    yield SmallArm(url=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


async def inspect(folder: Path, arm: Any, *requests: HttpRequest) -> tuple[dict[str, dict[str, Any]], str]:
    workspace = await make_workspace(folder, {"a": ""}, {})
    evidence = await inspect_responses(workspace, arm, Workload(name="shop", request=requests))
    return {str(row["endpoint"]): dict(row) for row in unpack_rows(evidence.facts, "response")}, evidence.digest


async def test_each_encoding_is_offered_alone(tmp_path: Path, arm: SmallArm) -> None:
    rows, digest = await inspect(tmp_path, arm, HttpRequest(path="/packed"), HttpRequest(path="/plain"))
    packed, plain = rows["GET /packed"], rows["GET /plain"]
    assert packed["encoding"] == "br" and packed["encodings"] == "gzip br" and packed["wire"] < 500
    assert packed["identity"] == len(BODY) and packed["revalidates"] == 1 and packed["validator"] == "ETag"
    assert plain["encoding"] == "identity" and plain["encodings"] == "" and plain["wire"] == len(BODY)
    assert plain["revalidates"] is None and plain["http"] == "HTTP/1.1"
    assert {plain[name] < 500 for name in ("gzip", "br", "zstd")} == {True}
    assert "zstd" in digest and len(digest) < 1000


async def test_redirects_count_as_round_trips(tmp_path: Path, arm: SmallArm) -> None:
    rows, digest = await inspect(tmp_path, arm, HttpRequest(path="/old"), HttpRequest(path="/plain"))
    assert rows["GET /old"]["round_trips"] == 3 and rows["GET /old"]["status"] == 200
    assert rows["GET /plain"]["round_trips"] == 1
    assert "2 redirects before it" in digest


async def test_redirects_to_elsewhere_are_not_followed(tmp_path: Path, arm: SmallArm) -> None:
    rows, _ = await inspect(tmp_path, arm, HttpRequest(path="/elsewhere"))
    assert rows["GET /elsewhere"]["status"] == 302 and rows["GET /elsewhere"]["round_trips"] == 1


async def test_connections_that_are_not_kept_are_told(tmp_path: Path, arm: SmallArm) -> None:
    rows, digest = await inspect(tmp_path, arm, HttpRequest(path="/closing"), HttpRequest(path="/plain"))
    assert rows["GET /closing"]["reused"] == 0 and rows["GET /plain"]["reused"] == 1
    lines = {line.split(":")[0]: line for line in digest.splitlines()}
    assert "connection not kept" in lines["GET /closing"] and "connection not kept" not in lines["GET /plain"]


async def test_what_writes_is_sent_once(tmp_path: Path, arm: SmallArm) -> None:
    rows, _ = await inspect(tmp_path, arm, HttpRequest(method="POST", path="/orders", expect=(201,)))
    assert SEEN == [("/orders", "identity")]
    assert rows["POST /orders"]["reused"] is None


async def test_no_answer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match=r"^GET /: ConnectError") as caught:
        await inspect(tmp_path, SmallArm(url="http://127.0.0.1:9"), HttpRequest(path="/"))
    assert "\n" not in str(caught.value)


def test_packing_never_makes_a_body_larger() -> None:
    assert pack(b"") == {"gzip": 0, "br": 0, "zstd": 0}
    assert all(size <= 3 for size in pack(b"abc").values())
    assert brotli.decompress(brotli.compress(BODY, quality=5)) == BODY and pack(BODY)["br"] < pack(BODY)["gzip"]
