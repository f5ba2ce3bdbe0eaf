"""The network of applications: what is reached inside it, from it and from here."""

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import InstrumentError
from perfcrew.records.target import Page, Workload
from tools.arm import start_arm
from tools.browser import NAMES, open_browser
from tools.burst import send_at_once
from tools.generator import LoadWorker
from tools.launch import free_port, run_at
from tools.page_visit import open_tab
from tools.process import run
from tools.process_output import Finished
from tools.relay import relay
from tools.requests import Asked, open_client, send
from tools.run_network import RunNetwork, close_door_of, connect, from_here, network_at, problem
from tools.sandbox import Sandbox, available, why_shared

pytestmark = pytest.mark.skipif(not available() or problem() != "", reason="no network namespaces here")
SERVER = """
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
REACH = """
import socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 5) as made:
            print(made.recv(16).decode() or "closed")
    except OSError as error:
        print(type(error).__name__)
"""


@contextlib.contextmanager
def service() -> Iterator[int]:
    """Something of this machine that greets whoever connects; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    made, _ = listener.accept()
                    made.sendall(b"hello")
                    made.close()

        threading.Thread(target=greet, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


async def reach(network: RunNetwork, folder: Path, *addresses: str) -> Finished:
    """What a confined program inside gets from addresses."""
    (folder / "reach.py").write_text(REACH)
    sandbox = Sandbox((folder,), (Path(PYTHON).parents[1],), network=network)
    argv = [PYTHON, "reach.py", *addresses]
    return await run(argv, cwd=folder, environment={"PATH": os.defpath}, timeout=60, sandbox=sandbox)


async def test_inside_only_the_declared_services_are_reached(tmp_path: Path) -> None:
    name = "db.perfcrew.test"
    with service() as declared, service() as other:
        network = RunNetwork([("127.0.0.1", declared), ("10.9.8.7", declared), (name, declared)])
        there = [f"127.0.0.1:{declared}", f"127.0.0.1:{other}", f"192.0.2.1:{other}", f"0.0.0.0:{other}"]
        done = await reach(network, tmp_path, *there, f"{name}:{other}", f"10.9.8.7:{other}")
        assert done.out.split() == ["hello", "ConnectionRefusedError", "OSError", *["ConnectionRefusedError"] * 3]
        # The name is known inside alone, so the relay can't go on from there: it closes, and nobody else answers.
        assert (await reach(network, tmp_path, f"{name}:{declared}")).out.strip() in ("closed", "ConnectionResetError")
        assert network.address_of(name) == "127.77.0.1" and network.address_of("127.0.0.1") == "127.0.0.1"


@pytest.mark.app
async def test_an_arm_is_reached_by_its_instruments_and_by_nobody_else(tmp_path: Path) -> None:
    start = f"{PYTHON} server.py {{port}}"
    plain = await make_workspace(tmp_path, {"server.py": SERVER}, {"target": {"start": start}})
    workspace = replace(plain, network=RunNetwork())
    workload = Workload.model_validate({"name": "home", "request": ({"path": "/"},), "users": 1})
    async with LoadWorker.start(workspace) as worker, start_arm(workspace, workspace.base_commit, "base") as arm:
        with pytest.raises(OSError):
            await asyncio.to_thread(urllib.request.urlopen, arm.url, timeout=5)
        seen = await worker.round(arm.url, workload, seconds=0.05, seed=1)
        assert seen.latencies and not seen.errors
        asked = Asked("GET", "/", "/")
        async with open_client(arm.url) as client:
            answers = [await send(client, asked) for _ in range(2)]
        assert [answer.raw for answer in answers] == [b"ok"] * 2
        assert answers[0].connection == answers[1].connection, "the second goes over the first one's connection"
        assert await send_at_once("127.0.0.1", arm.port, [asked]) == [200]
        script = "import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1]).status)"
        command = f"{PYTHON} -c '{script}' {{url}}"
        for network, said in ((workspace.reach, "200\n"), ("none", "")):
            done = await run_at(workspace, arm.place, command, timeout=60, network=network, extra={"url": arm.url})
            assert done.out == said


@pytest.mark.app
@pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="no Chromium on PATH")
async def test_a_page_thinks_itself_online_and_reaches_its_own_server_only(tmp_path: Path) -> None:
    start = f"{PYTHON} server.py {{port}}"
    plain = await make_workspace(tmp_path, {"server.py": SERVER}, {"target": {"start": start}})
    workspace = replace(plain, network=RunNetwork())
    fetch = "url => fetch(url).then(answer => answer.status, error => error.name)"
    async with (
        start_arm(workspace, workspace.base_commit, "base") as arm,
        open_browser(workspace) as browser,
        open_tab(browser, Page(path="/"), throttled=False) as (tab, _, _),
    ):
        await tab.goto(arm.url)
        assert await tab.evaluate("navigator.onLine")
        assert await tab.evaluate(fetch, arm.url) == 200
        assert await tab.evaluate(fetch, "http://192.0.2.1/") == "TypeError"


async def test_a_library_that_takes_no_socket_goes_through_a_door() -> None:
    network = RunNetwork()
    port = network.free_port()
    assert network_at(port) is network and network_at(1) is None
    with network.make_socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        url = f"postgresql://me:secret@127.0.0.1:{port}/shop?x=1"
        through = from_here(url)
        assert through != url and through == from_here(url) and through.endswith("/shop?x=1")
        door = int(through.rpartition(":")[2].partition("/")[0])
        for make in (connect("127.0.0.1", port), asyncio.open_connection("127.0.0.1", door)):
            _, writer = await make
            made, _ = await asyncio.to_thread(listener.accept)
            writer.write(b"hello")
            assert await asyncio.to_thread(made.recv, 16) == b"hello"
            writer.close()
            assert await asyncio.to_thread(made.recv, 16) == b"", "the end is passed on"
            made.close()
    close_door_of(url)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", door)
    assert from_here("mysql://10.0.0.5:3306/x") == "mysql://10.0.0.5:3306/x"


@contextlib.asynccontextmanager
async def relayed(port: int) -> AsyncIterator[int]:
    """A relay in front of a port; its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    async with await relay(listener, "127.0.0.1", port):
        yield listener.getsockname()[1]


async def test_a_relay_passes_on_answers_that_come_after_the_end_of_the_question() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server, relayed(server.sockets[0].getsockname()[1]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello" * 50_000)
        writer.write_eof()
        assert await reader.read() == b"HELLO" * 50_000
        writer.close()


async def test_where_the_service_is_down_the_relay_breaks_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    async with relayed(nobody) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_its_end_is_said_in_one_line(tmp_path: Path) -> None:
    network = RunNetwork()
    holder = int(network.enter()[-2])
    os.kill(holder, signal.SIGKILL)
    while psutil.pid_exists(holder):
        await asyncio.sleep(0.01)
    for use in (network.enter, network.make_socket, network.free_port):
        with pytest.raises(InstrumentError, match="has ended") as told:
            use()
        assert "\n" not in str(told.value)
    with pytest.raises(InstrumentError, match="has ended"):
        await run(["true"], cwd=tmp_path, environment={}, timeout=5, sandbox=Sandbox((), network=network))


def test_it_goes_with_the_last_who_knows_it() -> None:
    network = RunNetwork([("127.0.0.1", 9)])
    holder, port = int(network.enter()[-2]), network.free_port()
    children = [child for child in psutil.Process().children(recursive=True) if "tools.r" in " ".join(child.cmdline())]
    assert holder in {child.pid for child in children} and len(children) >= 2
    del network
    gc.collect()
    assert network_at(port) is None and not psutil.pid_exists(holder)


async def test_without_one_ports_are_this_machines(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, {}, {})
    assert workspace.reach == "host" and network_at(free_port(workspace)) is None
    assert why_shared(RunNetwork(), "") == "" and why_shared(None, "2@10.0.0.5") == "other hosts send the load"
