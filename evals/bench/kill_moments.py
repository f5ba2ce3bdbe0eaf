"""Random moments at which a run is killed, for `evals.bench.kills`, and the killing."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.bench.recorded_model import Client
from tools import process

LONGEST_S = 120.0
"""No run takes so long."""
KINDS = ("time", "request", "half", "answer", "journal", "torn")


@dataclass(frozen=True)
class Moment:
    """When a run is killed."""

    kind: str
    """`time`: seconds after its journal appeared. `request`, `half`, `answer`: when that request came, was answered
    half, was answered. `journal`: when its journal has so many bytes; `torn`: then half a record is added."""
    at: float
    delay_s: float = 0.0


def plan(number: int, seconds: float, requests: int, size: int, rng: random.Random) -> list[Moment]:
    """Moments of all kinds in turn, spread evenly over what each is counted in, and shuffled.

    Args:
        number: how many.
        seconds: how long a run takes.
        requests: how often it asks.
        size: bytes of its journal.
        rng: chance.
    """
    moments = []
    for index in range(number):
        kind, share = KINDS[index % len(KINDS)], (index // len(KINDS) + rng.random()) / (number / len(KINDS))
        top = {"time": seconds, "journal": size, "torn": size}.get(kind, requests)
        at = min(share, 0.98) * top
        delay = rng.choice((0.0, 0.0, rng.uniform(0, 0.03))) if kind in ("answer", "journal") else 0.0
        moments.append(Moment(kind, at if kind == "time" else max(1, int(at)), delay))
    rng.shuffle(moments)
    return moments


async def kill_at(running: process.Process, moment: Moment, journal: Path, client: Client) -> None:
    """Kill a run at a moment, unless it ends before."""
    now = asyncio.Event()
    client.watch = _at_call(moment, now, running)
    waiting: Coroutine[Any, Any, Any]
    match moment.kind:
        case "time":
            waiting = asyncio.sleep(moment.at)
        case "journal" | "torn":
            waiting = _grown(journal, int(moment.at))
        case _:
            waiting = now.wait()
    tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(running.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=LONGEST_S)
    if moment.delay_s:
        await asyncio.sleep(moment.delay_s)
    if running.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
        await running.wait()
    for task in tasks:
        task.cancel()


def _at_call(moment: Moment, now: asyncio.Event, running: process.Process) -> Callable[[str, int], Awaitable[None]]:
    async def watch(what: str, number: int) -> None:
        if what == moment.kind and number >= moment.at and not now.is_set():
            now.set()
            if what != "answer":
                # The rest of the answer is not sent before the run is dead.
                await running.wait()

    return watch


async def _grown(journal: Path, size: int) -> None:
    while journal.stat().st_size < size:
        await asyncio.sleep(0.001)


def tear(journal: Path, material: bytes) -> None:
    """Add what a crash leaves of a record that was being written: its beginning, without an end."""
    lines = material.splitlines()
    line = lines[len(journal.read_bytes()) % len(lines)]
    with journal.open("ab") as file:
        file.write(line[: max(1, len(line) // 2)])
