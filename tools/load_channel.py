"""A line to a load generator's process: a JSON object each way for a round, over a Unix socket."""

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

from perfcrew.errors import InstrumentError
from tools import process
from tools.quota import Confinement

_LINE_LIMIT = 2**30
_CONNECT_S = 30.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Channel:
    """A load generator that runs, and answers one job after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: Path) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        argv: Sequence[str],
        *,
        log: Path,
        cpus: frozenset[int] | None,
        folder: Path | None = None,
        cwd: Path | None = None,
        sandbox: Confinement | None = None,
        connect_s: float = _CONNECT_S,
        grace_s: float = 0.0,
    ) -> AsyncIterator[Self]:
        """Start a load generator, and end it on leaving.

        Args:
            argv: its command; the socket's path is put behind it.
            log: file for what it says.
            cpus: cores it may use.
            folder: where the socket is made, else a temporary one. The names of sockets are limited to about 100 bytes.
            cwd: its working directory, else the folder.
            sandbox: confines it.
            connect_s: how long it may take until it is ready.
            grace_s: how long it may take to end by itself once the socket is closed.

        Raises:
            InstrumentError: it can't be started.
        """
        own = folder is None
        folder = folder or Path(tempfile.mkdtemp(prefix="perfcrew-"))
        connected: asyncio.Future[Streams] = asyncio.Future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set_result((reader, writer))

        server = await asyncio.start_unix_server(accept, folder / "socket", limit=_LINE_LIMIT)
        child = None
        log.unlink(missing_ok=True)
        try:
            environment = {"PATH": os.defpath, "HOME": str(folder)}
            command = [*argv, str(folder / "socket")]
            child = await process.start(
                command, cwd=cwd or folder, environment=environment, log=log, sandbox=sandbox, cpus=cpus
            )
            reader, writer = await _connection(connected, child, log, connect_s)
            try:
                yield cls(reader, writer, log)
            finally:
                writer.close()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(child.wait(), grace_s)
        finally:
            if child is not None:
                await child.stop(grace_s=0)
            server.close()
            if own:
                shutil.rmtree(folder, ignore_errors=True)

    async def ask(self, job: Any, timeout: float) -> Any:
        """Send a job and wait for what it gave.

        Raises:
            InstrumentError: the load generator broke off, or says itself why it can't.
        """
        self._writer.write(json.dumps(job).encode() + b"\n")
        try:
            async with asyncio.timeout(timeout):
                await self._writer.drain()
                line = await self._reader.readline()
        except (ConnectionError, TimeoutError) as error:
            raise InstrumentError(f"the load generator broke off ({error!r}); see {self._log}") from error
        if not line:
            raise InstrumentError(f"the load generator ended ({last_line(self._log)}); see {self._log}")
        answer = json.loads(line)
        if "error" in answer:
            raise InstrumentError(str(answer["error"]))
        return answer


async def _connection(
    connected: "asyncio.Future[Streams]", child: process.Process, log: Path, connect_s: float
) -> Streams:
    ended: asyncio.Future[int] = asyncio.ensure_future(child.wait())
    first: tuple[asyncio.Future[Any], ...] = (connected, ended)
    try:
        await asyncio.wait(first, timeout=connect_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
    if not connected.done():
        raise InstrumentError(f"the load generator did not start ({last_line(log)}); see {log}")
    return connected.result()


def last_line(log: Path) -> str:
    """The last line that a process said."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
