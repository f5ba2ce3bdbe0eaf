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


class _Extra:
    """Work on top, as much as takes a share of all CPU time of the process, reading and writing of requests included.

    What is added is more of the same arithmetic, not a wait for the process's clock: beside such a wait the rest took
    less time by itself, by that same clock, so that 3 % planted made 1.7 ± 0.4 %. Added work makes what it should.
    """

    def __init__(self) -> None:
        self.began = time.process_time()
        self.steps = 0
        self.seconds = 0.0
        self.spent = 0.0

    def work(self, steps: int, seconds: float) -> None:
        """Work after an answer whose `steps` of arithmetic took so long."""
        self.steps += steps
        self.seconds += seconds
        before = time.process_time()
        # What was spent so far counts, so that a step that takes longer or shorter than thought is made up for.
        owed = (before - self.began - self.spent) * SLOWDOWN - self.spent
        _add_up(max(int(owed * self.steps / self.seconds), 0))
        self.spent += time.process_time() - before


EXTRA = _Extra()


def _answer(data: sqlite3.Connection, number: int) -> bytes:
    times = 3 if number % HEAVY == 0 else 1
    rows = []
    for step in range(times):
        rows += data.execute("select id, name, amount from items where owner = ?", ((number + step) % 97,)).fetchall()
    began = time.process_time()
    total = _add_up(WORK * times)
    EXTRA.work(WORK * times, time.process_time() - began)
    return json.dumps({"total": total, "items": rows[:ROWS]}).encode()


def _add_up(steps: int) -> int:
    total = 0
    for value in range(steps):
        total += value * value % 7
    return total


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
