"""Standard input as lines that can be waited for and given up: the SDK reads it in a thread, which no signal ends."""

import asyncio
import os
import stat
import sys
from typing import Any

LONGEST = 32 * 1024 * 1024
"""Bytes of one message."""


class Lines:
    """What a host sends, a line a message."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str:
        line = await self._reader.readline()
        if not line:
            raise StopAsyncIteration
        return line.decode("utf-8", "replace")


async def open_stdin() -> Any:
    """The lines of standard input; None where it is a file, which is never waited for."""
    descriptor = sys.stdin.fileno()
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    try:
        # Opened again it is not the shell's or the host's own end that stops blocking.
        descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        descriptor = os.dup(descriptor)
    reader = asyncio.StreamReader(limit=LONGEST)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0))
    return Lines(reader)
