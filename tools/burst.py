"""Requests that arrive at the same moment: each waits on its own connection for its last byte, and those go together.

What a client library needs to send one request is longer than most windows in which a race shows.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from tools.requests import Asked
from tools.run_network import connect

TIMEOUT_S = 60.0
NO_ANSWER = 0
"""Stands for the status where none came."""


async def send_at_once(host: str, port: int, requests: Sequence[Asked]) -> list[int]:
    """Send requests to one server at the same moment.

    Args:
        host: where it listens.
        port: and on which port.
        requests: what is asked, each on a connection of its own.

    Returns:
        The status of each answer, in the order of the requests; 0 where none came.
    """
    ready = asyncio.Barrier(len(requests))
    return list(await asyncio.gather(*(_send(host, port, asked, ready) for asked in requests)))


async def _send(host: str, port: int, asked: Asked, ready: asyncio.Barrier) -> int:
    content = _spell(f"{host}:{port}", asked)
    with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await _open(host, port, ready)
            try:
                writer.write(content[:-1])
                await writer.drain()
                with contextlib.suppress(asyncio.BrokenBarrierError):
                    await ready.wait()
                writer.write(content[-1:])
                line = await reader.readline()
                await reader.read()
                return int(line.split()[1])
            finally:
                writer.close()
    return NO_ANSWER


async def _open(host: str, port: int, ready: asyncio.Barrier) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await connect(host, port)
    except OSError:
        # The others must not wait for one that never comes.
        await ready.abort()
        raise


def _spell(address: str, asked: Asked) -> bytes:
    """A request as it goes over the wire; the server is asked to close afterwards."""
    given = {"Host": address, "User-Agent": "perfcrew", "Accept": "*/*", **asked.headers, "Connection": "close"}
    if asked.body or asked.method in ("POST", "PUT", "PATCH"):
        given["Content-Length"] = str(len(asked.body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{asked.method} {asked.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace") + asked.body
