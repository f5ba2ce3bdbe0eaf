"""`perfcrew serve`: the list, a report, a run at work as it goes; only under its own name, and without a write."""

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from fake_engine import REPLY, FakeEngine

from graphs.engine import RunOptions
from graphs.runs import claim_run, list_runs
from perfcrew.entry.cli import start
from perfcrew.entry.serving import Server, make_server
from perfcrew.llm.entries import Entry, write_line
from perfcrew.settings import load_settings

Said = pytest.CaptureFixture[str]


@pytest.fixture
def server(engine: FakeEngine, home: Path, shop: Path) -> Iterator[Server]:
    start(["run", "shop"])
    with make_server(home, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Server, path: str, method: str = "GET", host: str | None = None) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers={"Host": host} if host else {})
    return connection.getresponse()


def test_the_list_leads_to_the_report(server: Server, home: Path) -> None:
    (run,) = list_runs(home)
    text = ask(server, "/").read().decode()
    assert f'<a href="/runs/{run.name}">' in text and "improved, goals met" in text
    page = ask(server, f"/runs/{run.name}")
    assert page.status == 200 and "What it gained" in page.read().decode()
    assert json.loads(ask(server, "/runs.json").read())[0]["state"] == "finished"
    assert json.loads(ask(server, f"/runs/{run.name}.json").read())["run_id"] == run.name


def test_nothing_is_written(server: Server, home: Path) -> None:
    (run,) = list_runs(home)
    (run / "report.html").unlink()
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    for path in ("/", "/runs.json", f"/runs/{run.name}", f"/runs/{run.name}.json", f"/runs/{run.name}/events"):
        ask(server, path).read()
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]
)
def test_only_our_own_name_is_answered(server: Server, host: str) -> None:
    answer = ask(server, "/", host=host.format(port=server.server_port) or " ")
    assert answer.status == 421 and "shop" not in answer.read().decode()
    assert ask(server, "/", host=f"localhost:{server.server_port}").status == 200


def test_only_reading_is_known(server: Server, home: Path) -> None:
    (run,) = list_runs(home)
    assert ask(server, "/", "POST").status == 501
    head = ask(server, f"/runs/{run.name}", "HEAD")
    assert head.status == 200 and head.read() == b"" and int(head.headers["Content-Length"]) > 1000
    assert head.headers["X-Frame-Options"] == "DENY" and "Access-Control-Allow-Origin" not in head.headers
    for path in ("/runs/nope", "/runs/../../etc", "/runs/%2e%2e", "/etc/passwd", "/runs/<b>"):
        answer = ask(server, path)
        assert answer.status == 404 and "<b>" not in answer.read().decode()


def test_a_run_at_work_is_shown_as_it_goes(server: Server, home: Path, shop: Path, engine: FakeEngine) -> None:
    folder = engine.begin(RunOptions(repo=shop), load_settings(home=home))
    assert "at work" in ask(server, f"/runs/{folder.name}").read().decode()
    events = ask(server, f"/runs/{folder.name}/events")
    assert events.headers["Content-Type"].startswith("text/event-stream")
    first = json.loads(events.fp.readline().removeprefix(b"data: "))
    assert (first["role"], first["what"], first["input_tokens"]) == ("coder", "reply", 120_000)
    rest = [events.fp.readline() for _ in range(4)]
    assert rest[1:3] == [b"event: state\n", b"data: stopped\n"]
    with claim_run(folder):
        assert [events.fp.readline() for _ in range(2)] == [b"event: state\n", b"data: at work\n"]
        line = write_line(Entry(kind="reply", lane="1/x/tester", key="0", value=REPLY.model_dump(mode="json")))
        with (folder / "journal.jsonl").open("ab", buffering=0) as journal:
            journal.write(line[:40])
            journal.write(line[40:])
        assert events.fp.readline() == b"\n"
        assert json.loads(events.fp.readline().removeprefix(b"data: "))["role"] == "tester"
    other = next(path for path in list_runs(home) if path != folder)
    (folder / "report.json").write_bytes((other / "report.json").read_bytes())
    assert events.read().endswith(b"event: state\ndata: finished\n\n")


def test_a_port_that_is_taken_takes_one_line(server: Server, capsys: Said) -> None:
    capsys.readouterr()
    assert start(["serve", "--port", str(server.server_port)]) == 2
    assert (
        capsys.readouterr().err
        == f"perfcrew: serve: port {server.server_port}: address already in use; name another by --port\n"
    )
