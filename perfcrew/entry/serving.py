"""`perfcrew serve`: all runs as a local page, live while one is at work. It reads, and writes nothing.

Only loopback is listened on. A page of another origin could still make a browser ask here under a name of its own that
it lets point to loopback; so requests under any name but ours are refused.
"""

import json
import re
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from graphs.runs import is_at_work, is_finished, read_any, read_manifest, run_folder
from perfcrew.artifacts import Artifacts
from perfcrew.entry.excerpts import kept_excerpts
from perfcrew.entry.journal_view import FILE, make_row
from perfcrew.entry.shelf import list_shelved
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.llm import models
from perfcrew.llm.accounts import noted_prices
from perfcrew.llm.entries import read_entries, read_line
from perfcrew.records.report import Report
from perfcrew.records.survey import Survey
from perfcrew.report.serve_pages import render_index, render_live, render_text
from perfcrew.settings import load_settings

MOST_RUNS = 200
POLL_S = 0.5
BEAT_S = 10.0
"""A comment is sent after so many quiet seconds, so that a reader who went away is noticed."""
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_RUN = re.compile(r"/runs/(?P<run>[A-Za-z0-9][\w-]*)(?P<part>/events|\.json)?$")
_HEADERS = {
    "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip


def serve_runs(port: int, *, opened: bool) -> int:
    """Serve until Ctrl-C; the exit code.

    Raises:
        UserError: the port is taken.
    """
    with make_server(load_settings().home, port) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        click.echo(f"{url}  (Ctrl-C ends it)")
        if opened:
            import webbrowser

            webbrowser.open(url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


class Server(ThreadingHTTPServer):
    """Serves the runs of one home."""

    daemon_threads = True
    home: Path


def make_server(home: Path, port: int) -> Server:
    """A server on loopback that waits to be run.

    Raises:
        UserError: the port is taken.
    """
    try:
        server = Server(("127.0.0.1", port), Handler)
    except OSError as error:
        raise UserError(
            f"serve: port {port}: {(error.strerror or str(error)).lower()}; name another by --port"
        ) from None
    server.home = home
    return server


class Handler(BaseHTTPRequestHandler):
    """Answers one request. Only GET and HEAD are known."""

    server: Server
    server_version, sys_version = "perfcrew", ""

    def do_GET(self) -> None:
        """Answer."""
        try:
            self._answer()
        except UserError as error:
            self._send(HTTPStatus.NOT_FOUND, render_text("Not there", str(error)))
        except PerfcrewError as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, render_text("Can't be shown", str(error)))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self.do_GET()

    def _answer(self) -> None:
        if not self._is_for_us():
            self._send(HTTPStatus.MISDIRECTED_REQUEST, render_text("Refused", "This server answers to loopback only."))
            return
        path, home = urlsplit(self.path).path, self.server.home
        if path == "/":
            self._send(HTTPStatus.OK, render_index([one.model_dump() for one in list_shelved(home, MOST_RUNS)]))
        elif path == "/runs.json":
            shelved = [one.model_dump() for one in list_shelved(home, MOST_RUNS)]
            self._send(HTTPStatus.OK, json.dumps(shelved), "application/json")
        elif found := _RUN.match(path):
            self._answer_run(run_folder(home, found["run"]), found["part"] or "")
        else:
            raise UserError(f"{path}: there is nothing here; the list of runs is at /")

    def _answer_run(self, folder: Path, part: str) -> None:
        if part == "/events":
            self._stream(folder)
        elif part == ".json":
            self._send(HTTPStatus.OK, read_any(folder).model_dump_json(by_alias=True), "application/json")
        elif is_finished(folder):
            self._send(HTTPStatus.OK, render_run(folder))
        else:
            self._send(HTTPStatus.OK, render_live(folder.name, str(read_manifest(folder).repo)))

    def _is_for_us(self) -> bool:
        name, _, port = self.headers.get("Host", "").rpartition(":")
        return name in _NAMES and port == str(self.server.server_port)

    def _send(self, status: HTTPStatus, text: str, kind: str = "text/html") -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {
            **_HEADERS,
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": len(content),
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_headers(self, kind: str) -> None:
        for name, value in {**_HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)

    def _stream(self, folder: Path) -> None:
        """Server-sent events: a row for each entry of the journal, as it comes; `finished` at the end."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self._send_headers("text/event-stream; charset=utf-8")
        self.end_headers()
        if self.command == "HEAD":
            return
        read, told, state = 0, time.monotonic(), ""
        while True:
            rows, read = read_rows(folder / FILE, read)
            now = "finished" if is_finished(folder) else "at work" if is_at_work(folder) else "stopped"
            if rows or now != state or time.monotonic() - told > BEAT_S:
                lines = [f"data: {json.dumps(row)}\n\n" for row in rows]
                lines += [f"event: state\ndata: {now}\n\n"] if now != state else [] if rows else [": still here\n\n"]
                self.wfile.write("".join(lines).encode())
                self.wfile.flush()
                told, state = time.monotonic(), now
            if now == "finished":
                return
            time.sleep(POLL_S)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the terminal is for the user."""


def read_rows(journal: Path, start: int) -> tuple[list[dict[str, object]], int]:
    """What a journal holds from a byte on, as rows of the live page; and the byte behind its last whole line."""
    if not journal.is_file():
        return [], start
    with journal.open("rb") as file:
        file.seek(start)
        content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    entries = [read_line(line) for line in whole.splitlines()]
    price = noted_prices(read_entries(journal) if entries else (), models.price)
    return [make_row(entry, price).model_dump() for entry in entries if entry.kind != "run"], start + len(whole)


def render_run(folder: Path) -> str:
    """The page of a finished run."""
    from perfcrew.report.comparison_text import render_comparison
    from perfcrew.report.html import render_html
    from perfcrew.report.survey_html import render_survey_page

    result = read_any(folder)
    artifacts = Artifacts(folder / "artifacts") if (folder / "artifacts").is_dir() else None
    if isinstance(result, Report):
        return render_html(result, artifacts, kept_excerpts(folder))
    if isinstance(result, Survey):
        return render_survey_page(result, artifacts, kept_excerpts(folder))
    return render_text(f"Comparison {folder.name}", render_comparison(result))
