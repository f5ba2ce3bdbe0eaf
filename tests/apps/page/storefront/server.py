"""The server: two pages, what they load, and prices. What belongs to the twin is compressed and may be kept."""

import gzip
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from storefront.assets import make_assets
from storefront.pages import PRODUCTS, shop, twin

ASSETS = make_assets()
TWINS = ("/twin", "/static/twin.js", "/static/hero.svg", "/static/offer.svg")


def prices(shelf: int) -> bytes:
    """The products of a shelf."""
    names = ("tea", "coffee", "cups", "sugar")
    rows = [{"name": f"{names[n % 4]} {shelf}-{n}", "value": (n * 37 + shelf * 11) % 90 + 9} for n in range(PRODUCTS)]
    return json.dumps(rows).encode()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer by path."""
        asked = urlsplit(self.path)
        if asked.path == "/shop":
            self._send(302, "text/plain", b"", {"Location": "/shop/front"})
        elif asked.path == "/shop/front":
            self._send(200, "text/html; charset=utf-8", shop().encode())
        elif asked.path == "/twin":
            self._send(200, "text/html; charset=utf-8", twin().encode())
        elif asked.path == "/api/prices":
            self._send(200, "application/json", prices(int(parse_qs(asked.query).get("shelf", ["1"])[0])))
        elif asked.path == "/health":
            self._send(200, "text/plain", b"ok")
        elif asked.path in ASSETS:
            self._send(200, *ASSETS[asked.path])
        else:
            self._send(404, "text/plain", b"not here")

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        told = dict(headers or {})
        if urlsplit(self.path).path in TWINS:
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            told |= {"ETag": tag, "Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"}
            if self.headers.get("If-None-Match") == tag:
                status, body = 304, b""
            elif "gzip" in self.headers.get("Accept-Encoding", ""):
                body, told["Content-Encoding"] = gzip.compress(body, 6, mtime=0), "gzip"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def serve(port: int) -> None:
    """Serve on loopback until killed."""
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
