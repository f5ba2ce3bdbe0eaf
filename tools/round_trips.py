"""What distance to the database costs: the same requests with the database at hand and about 1 ms away.

On loopback a query costs next to nothing to send, so fifty of them look cheap; between two machines of one data
centre each pays about a millisecond.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import Row, number, pack_rows, text
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from tools import process
from tools.arm import start_arm
from tools.database import find_database_server
from tools.lease import quiet_lease
from tools.requests import Asked, expand_workload, open_client, send
from tools.run_network import connect, from_here
from tools.server import NETWORKED, Server, reroute
from tools.workspace import Workspace

ONE_WAY_MS = 0.5
FILLS, PASSES = 2, 6
"""Parameter sets of each request, and how often each is asked at each distance, one after the other."""
PINGS = 40
START_S = 10.0
INSTRUMENT = "perfcrew delay proxy 1"


@dataclass(frozen=True)
class Proxy:
    """A running delay proxy. `port` is where a server's clients connect instead."""

    port: int
    _control: tuple[asyncio.StreamReader, asyncio.StreamWriter]

    async def set_delay(self, one_way_ms: float) -> None:
        """Keep every chunk of bytes this long, each way."""
        reader, writer = self._control
        writer.write(f"{one_way_ms}\n".encode())
        await writer.drain()
        if not await reader.readline():
            raise InstrumentError("the delay proxy ended")


@asynccontextmanager
async def start_proxy(workspace: Workspace, upstream: tuple[str, int]) -> AsyncIterator[Proxy]:
    """Run a delay proxy in front of a server, as a process of its own.

    Raises:
        InstrumentError: it did not start.
    """
    log = workspace.logs / "delay_proxy.log"
    log.unlink(missing_ok=True)
    network = workspace.network
    enter, host = ((), upstream[0]) if network is None else (network.enter(), network.address_of(upstream[0]))
    child = await process.start(
        [*enter, sys.executable, "-I", "-m", "tools.delay_proxy", host, str(upstream[1])],
        cwd=Path("/"), environment={"PATH": os.defpath}, log=log, register=workspace.processes,
    )  # fmt: skip
    try:
        port, control = await _read_ports(child, log)
        if network is not None:
            network.adopt(port)
            network.adopt(control)
        reader, writer = await connect("127.0.0.1", control)
        try:
            yield Proxy(port, (reader, writer))
        finally:
            writer.close()
            if network is not None:
                network.close_door(port)
    finally:
        await child.stop(grace_s=0)


async def _read_ports(child: process.Process, log: Path) -> tuple[int, int]:
    end = time.monotonic() + START_S
    while child.alive and time.monotonic() < end:
        line = log.read_text(errors="replace")
        if line.endswith("\n"):
            port, control = line.split()[:2]
            return int(port), int(control)
        await asyncio.sleep(0.02)
    raise InstrumentError(f"the delay proxy did not start; see {log}")


async def measure_round_trips(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Response times, one request at a time, with the database at hand and about 1 ms away, interleaved on one start.

    Facts: `rtt_ms` (measured, added by the proxy), and rows `far` with `endpoint`, `near_ms`, `far_ms`, `added_ms` and
    `round_trips` (how many waits for the database explain what was added).

    Raises:
        InstrumentError: the database is no server, or the arm does not answer.
    """
    database = workspace.target.database
    if database is None or database.engine not in NETWORKED:
        raise InstrumentError("the database is no server but a file, so distance to it does not apply")
    if workload.kind != "http":
        raise InstrumentError(f"workload {workload.name} sends no requests itself, so nothing can be asked twice")
    asked = [item for fills in expand_workload(workload, cap=FILLS) for item in fills]
    async with quiet_lease(workspace):
        server = await find_database_server(workspace)
        async with (
            start_proxy(workspace, server.address) as proxy,
            start_arm(workspace, commit, f"{arm}-far", database_port=proxy.port) as running,
        ):
            rtt = await _measure_rtt(proxy, server, running.data.url)
            async with open_client(running.url) as client:
                times = await _ask_alternately(client, asked, proxy)
    raw = {"kind": "round_trips", "workload": workload.name, "arm": arm, "commit": commit, "rtt_ms": rtt,
           **sum_distances(asked, times)}  # fmt: skip
    return _evidence(workspace, raw)


async def _measure_rtt(proxy: Proxy, server: Server, url: str) -> float:
    """Median milliseconds that the proxy adds to a query that does nothing, delayed against not delayed."""
    through = reroute(url, proxy.port)
    await proxy.set_delay(0)
    near = await asyncio.to_thread(_ping, server, through)
    await proxy.set_delay(ONE_WAY_MS)
    return await asyncio.to_thread(_ping, server, through) - near


def _ping(server: Server, url: str) -> float:
    with closing(_connect(server, url)) as connection, closing(connection.cursor()) as cursor:
        times = []
        for _ in range(PINGS):
            began = time.perf_counter()
            cursor.execute("SELECT 1")
            cursor.fetchall()
            times.append(time.perf_counter() - began)
    return median(times) * 1000


def _connect(server: Server, url: str) -> Any:
    if server.scheme == "mysql":
        from tools.mysql import connect as connect_mysql

        return connect_mysql(url)
    import psycopg

    return psycopg.connect(from_here(url), autocommit=True)


async def _ask_alternately(client: httpx.AsyncClient, asked: Sequence[Asked], proxy: Proxy) -> dict[str, list[Any]]:
    """For each distance, a list of passes: milliseconds for each request."""
    times: dict[str, list[Any]] = {"near": [], "far": []}
    for turn in range(PASSES + 1):
        for name, delay in (("near", 0.0), ("far", ONE_WAY_MS)):
            await proxy.set_delay(delay)
            passed = [await _ask(client, item) for item in asked]
            # The first pass fills caches and opens connections.
            if turn:
                times[name].append(passed)
    return times


async def _ask(client: httpx.AsyncClient, asked: Asked) -> float:
    try:
        return (await send(client, asked)).total_ms
    except httpx.HTTPError as error:
        raise InstrumentError(f"{asked.name}: {type(error).__name__} {error}".rstrip()) from error


def sum_distances(asked: Sequence[Asked], times: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Any]:
    """Medians over the passes for each request.

    Returns:
        `requests` with endpoint, name, weight and the two medians; `added` with the difference of each request (ms),
        repeated by its weight in the mix; the `times` themselves.
    """
    fills = [sum(other.template == item.template for other in asked) for item in asked]
    rows: list[dict[str, Any]] = [
        {
            "endpoint": item.endpoint, "name": item.name, "weight": item.weight * FILLS // fills[place],
            "near_ms": median(passed[place] for passed in times["near"]),
            "far_ms": median(passed[place] for passed in times["far"]),
        }
        for place, item in enumerate(asked)
    ]  # fmt: skip
    added = [row["far_ms"] - row["near_ms"] for row in rows for _ in range(row["weight"])]
    return {"requests": rows, "added": added, "times": times}


def _evidence(workspace: Workspace, raw: Mapping[str, Any]) -> Evidence:
    place = f"{raw['workload']}/{raw['arm']}"
    samples = workspace.artifacts.put_json(raw)
    known = METRICS["db.remote_ms"]
    value = sum(raw["added"]) / len(raw["added"])
    measurement = Measurement(
        id=f"remote@{place}", metric=known.name, unit=known.unit, better=known.better, workload=raw["workload"],
        arm=raw["arm"], commit=raw["commit"], value=value, count=len(raw["added"]), method="mean:/added",
        samples=samples, instrument=INSTRUMENT, environment=workspace.environment,
    )  # fmt: skip
    rows = to_rows(raw)
    return Evidence(
        id=f"round_trips@{place}", kind="round_trips",
        title=f"{place}: {value:+.1f} ms a request with the database {raw['rtt_ms']:.1f} ms away",
        digest=render_distances(raw, rows), measurements=(measurement,), artifact=samples,
        facts={"rtt_ms": raw["rtt_ms"], "added_ms": value, **pack_rows("far", rows)},
    )  # fmt: skip


def to_rows(raw: Mapping[str, Any]) -> list[Row]:
    """Endpoints, the one that distance costs most first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in raw["requests"]:
        groups.setdefault(row["endpoint"], []).append(row)

    def mean(rows: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float]) -> float:
        return sum(value(row) for row in rows) / len(rows)

    found: list[Row] = []
    for endpoint, rows in groups.items():
        near, far = mean(rows, lambda row: row["near_ms"]), mean(rows, lambda row: row["far_ms"])
        trips = max(0.0, far - near) / max(raw["rtt_ms"], 0.01)
        found.append({"endpoint": endpoint, "near_ms": near, "far_ms": far, "added_ms": far - near,
                      "round_trips": trips})  # fmt: skip
    return sorted(found, key=lambda row: -number(row, "added_ms"))


def render_distances(raw: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The digest."""
    lines = [
        f"Requests one at a time on one start, with the database at hand and {raw['rtt_ms']:.2f} ms away (round trip, "
        "measured), in turns; medians. Waits = added time ÷ round trip."
    ]
    lines += [
        f"{text(row, 'endpoint')}: {number(row, 'near_ms'):.1f} → {number(row, 'far_ms'):.1f} ms, "
        f"{number(row, 'added_ms'):+.1f} ms, about {number(row, 'round_trips'):.0f} waits for the database"
        for row in rows[:12]
    ]
    if len(rows) > 12:
        lines.append(f"and {len(rows) - 12} more endpoints")
    return "\n".join(lines)
