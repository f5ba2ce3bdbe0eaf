"""A small HTTP server on loopback, in the test's own event loop, that plays an arm."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tools.process_tree import Footprint

Answer = tuple[int, bytes]
Handler = Callable[[str, str, bytes], Awaitable[Answer]]


@dataclass
class SmallArm:
    """A server with the interface of an arm. `asked` holds each request line and body, in order of arrival."""

    url: str
    name: str = "base"
    commit: str = "c" * 40
    ready_seconds: float = 0.5
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    connections: int = 0
    memory_mb: float = 50.0
    growth_mb: float = 0.0
    cpu_ms: float | None = None
    """CPU time to claim for each request; None for the clock's."""

    def cpu_seconds(self) -> float:
        return time.process_time() if self.cpu_ms is None else len(self.asked) * self.cpu_ms / 1000

    def uss_mb(self) -> float:
        return self.memory_mb + self.growth_mb * len(self.asked)

    def footprint(self) -> Footprint:
        return Footprint(self.uss_mb(), self.uss_mb() + 2, self.uss_mb() + 8)


@asynccontextmanager
async def serve(handler: Handler, name: str = "base") -> AsyncIterator[SmallArm]:
    arm = SmallArm(url="", name=name)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arm.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = first.split(" ")
                arm.asked.append((f"{method} {path}", body))
                status, answer = await handler(method, path, body)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
                if headers.get("connection") == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    arm.url = f"http://127.0.0.1:{port}"
    try:
        yield arm
    finally:
        server.close()
