"""A small server whose cost is known: the target of the live half of `python -m evals.bench.verdict`.

Standard library only, one process, keep-alive. A request reads rows from a database in memory, does arithmetic, and
answers with JSON: some milliseconds of work, with a tail, because one request in twelve reads and computes three times
as much. `SLOWDOWN` is the share of the process's CPU time that it uses on top with each answer: versions that differ in
it differ by what is known.
"""

import asyncio
import json
import sqlite3
import sys
import time

SLOWDOWN = 0.0
WORK = 40_000
ROWS = 40
HEAVY = 12


def _fill() -> sqlite3.Connection:
    data = sqlite3.connect(":memory:")
    data.execute("create table items (id integer primary key, owner integer, name text, amount integer)")
    rows = ((number % 97, f"item {number}", number * 37 % 1009) for number in range(97 * ROWS))
    data.executemany("insert into items (owner, name, amount) values (?, ?, ?)", rows)
    data.execute("create index items_owner on items (owner)")
    return data


class _Burner:
    """Uses a share more of all that the process used since it last did, reading and writing of requests included."""

    def __init__(self) -> None:
        self._mark = time.process_time()

    def burn(self) -> None:
        now = time.process_time()
        end = now + (now - self._mark) * SLOWDOWN
        while (now := time.process_time()) < end:
            pass
        self._mark = now


BURNER = _Burner()


def _answer(data: sqlite3.Connection, number: int) -> bytes:
    body = _work(data, number)
    BURNER.burn()
    return body


def _work(data: sqlite3.Connection, number: int) -> bytes:
    times = 3 if number % HEAVY == 0 else 1
    rows = []
    for step in range(times):
        rows += data.execute("select id, name, amount from items where owner = ?", ((number + step) % 97,)).fetchall()
    total = 0
    for value in range(WORK * times):
        total += value * value % 7
    return json.dumps({"total": total, "items": rows[:ROWS]}).encode()


async def _talk(data: sqlite3.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ", 2)[1]
            digits = path.rpartition(b"/")[2]
            body = _answer(data, int(digits) if digits.isdigit() else 1)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _serve(port: int) -> None:
    data = _fill()
    server = await asyncio.start_server(lambda reader, writer: _talk(data, reader, writer), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
