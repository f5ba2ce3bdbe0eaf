"""HTTP: bytes to requests, answers to bytes."""

import json
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, unquote, urlsplit

from till.api import Answer, Asked, answer


def make_handler(database: str) -> type[BaseHTTPRequestHandler]:
    """A handler on a database."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            split = urlsplit(self.path)
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get("token")
            token = self.headers.get("X-Token") or (cookie.value if cookie else "")
            try:
                body = json.loads(sent) if sent else {}
            except ValueError:
                body = None
            asked = Asked(self.command, unquote(split.path), dict(parse_qsl(split.query)), token, body)
            if isinstance(body, dict):
                self.send(answer(asked, database))
            else:
                self.send(Answer({"error": "the body is no JSON object"}, 400))

        def send(self, given: Answer) -> None:
            page = isinstance(given.value, str)
            body = given.value.encode() if page else json.dumps(given.value).encode()
            self.send_response(given.status)
            self.send_header("Content-Type", "text/html; charset=utf-8" if page else "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = serve

        def log_message(self, *_: object) -> None:
            pass

    return Handler
