"""The generator against servers that answer in every way HTTP/1.1 allows, and in some that it doesn't."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from perfcrew.artifacts import Artifacts
from perfcrew.records.target import Target, Workload
from tools.generator import LoadWorker, Round
from tools.workspace import Workspace

pytestmark = pytest.mark.asyncio(loop_scope="module")

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LoadWorker]:
    folder = tmp_path_factory.mktemp("load")
    target = Target.model_validate(
        {"target": {"name": "t", "start": "x"}, "workload": [{"name": "w", "request": [{"path": "/"}]}]}
    )
    workspace = Workspace("run", folder, folder, target, "c" * 40, Artifacts(folder / "artifacts"), "machine")
    async with LoadWorker.start(workspace) as started:
        yield started


@asynccontextmanager
async def serve(talk: Talk) -> AsyncIterator[str]:
    number = 0

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        number += 1
        try:
            await talk(reader, writer, number)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def load(worker: LoadWorker, talk: Talk, seconds: float = 0.15, **fields: object) -> Round:
    workload = Workload.model_validate({"name": "w", "users": 1, "request": [{"path": "/"}], **fields})
    async with serve(talk) as url:
        return await worker.round(url, workload, seconds=seconds, seed=1)


def always(answer: bytes, *, then_close: bool = False) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer)
            await writer.drain()
            if then_close:
                return

    return talk


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (OK, 2),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 5),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 2),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 2),
    ],
)
async def test_answers_of_known_length_keep_the_connection(worker: LoadWorker, answer: bytes, size: int) -> None:
    seen = await load(worker, always(answer))
    assert not seen.failures
    assert {row[3] for row in seen.requests} == {size}
    assert seen.connections == 1 < len(seen.requests)
    assert seen.received_bytes == len(answer) * len(seen.requests)


async def test_an_empty_answer_has_no_body(worker: LoadWorker) -> None:
    seen = await load(worker, always(b"HTTP/1.1 204 No Content\r\n\r\n"), request=[{"path": "/", "expect": [204]}])
    assert not seen.failures and {row[3] for row in seen.requests} == {0}


async def test_the_answer_to_head_has_no_body_whatever_it_says(worker: LoadWorker) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    seen = await load(worker, always(head), request=[{"path": "/", "method": "HEAD"}])
    assert not seen.failures and len(seen.requests) > 2
    assert {row[3] for row in seen.requests} == {0}


async def test_an_answer_without_a_length_ends_with_its_connection(worker: LoadWorker) -> None:
    seen = await load(worker, always(b"HTTP/1.1 200 OK\r\n\r\nto the end", then_close=True))
    assert not seen.failures
    assert {row[3] for row in seen.requests} == {10}
    assert seen.connections == len(seen.requests)


async def test_a_server_that_closes_after_each_answer_costs_a_connection_each(worker: LoadWorker) -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    seen = await load(worker, always(answer, then_close=True))
    assert not seen.failures
    assert seen.connections == len(seen.requests) > 2
    assert all(row[9] for row in seen.requests)


async def test_a_truncated_answer_is_a_failure(worker: LoadWorker) -> None:
    seen = await load(worker, always(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", then_close=True))
    assert set(seen.failures) == {"ConnectionResetError"}


async def test_what_is_no_http_is_a_failure(worker: LoadWorker) -> None:
    seen = await load(worker, always(b"SSH-2.0-OpenSSH_9.9\r\n"))
    assert len(seen.failures) == 1 and next(iter(seen.failures)).startswith("HttpParser")


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(worker: LoadWorker) -> None:
    """Many servers close idle connections after some seconds; a client then opens another."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()

    seen = await load(worker, talk, think_s=0.05)
    assert not seen.failures
    assert seen.connections == len(seen.requests)


async def test_a_request_that_meets_a_closing_connection_is_sent_again(worker: LoadWorker) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # read the second request, and close without a word

    seen = await load(worker, talk)
    assert not seen.failures
    assert seen.connections and seen.connections >= len(seen.requests) - 1


async def test_a_post_is_not_sent_twice(worker: LoadWorker) -> None:
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal asked
        for answered in (True, False):
            await reader.readuntil(b"\r\n\r\n")
            asked += 1
            if answered:
                writer.write(OK)

    seen = await load(worker, talk, request=[{"path": "/", "method": "POST"}])
    assert set(seen.failures) == {"ConnectionResetError"}
    assert asked == len(seen.requests)


async def test_a_large_request_is_sent_whole(worker: LoadWorker) -> None:
    sizes: set[int] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            sizes.add(len(await reader.readexactly(length)))
            writer.write(OK)

    text = "x" * 3_000_000
    seen = await load(worker, talk, request=[{"path": "/", "method": "POST", "json": {"t": text}}])
    assert not seen.failures and sizes == {len(text) + 8}
    assert seen.sent_bytes and seen.sent_bytes > 3_000_000 * len(seen.requests)


async def test_the_host_header_is_sent_once(worker: LoadWorker) -> None:
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            writer.write(OK)

    await load(worker, talk, request=[{"path": "/", "headers": {"host": "shop.example"}}])
    assert heads[0].lower().count(b"host:") == 1 and b"shop.example" in heads[0]
