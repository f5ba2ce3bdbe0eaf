"""Joins each connection to a listening socket that it is given with one of its own; ends with its standard input.

    python -I -m tools.relay DESCRIPTOR HOST PORT

The socket may belong to another network namespace than the process: that is what it is for.
"""

import asyncio
import contextlib
import socket
import sys

CHUNK = 65536
CONNECT_S = 10.0


async def relay(listener: socket.socket, host: str, port: int) -> asyncio.Server:
    """Join connections from now on."""

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                further, there = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pass_on(reader, there), _pass_on(further, writer))
        finally:
            writer.close()
            there.close()

    return await asyncio.start_server(join, sock=listener)


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()
        return
    target.transport.abort()


async def _serve(descriptor: int, host: str, port: int) -> None:
    ended = asyncio.Event()
    # Nothing is ever written there: readable means that whoever started this is gone.
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    server = await relay(socket.socket(fileno=descriptor), host, port)
    await ended.wait()
    server.close()


def main() -> None:
    """Serve until standard input is closed."""
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))


if __name__ == "__main__":
    main()
