"""Waiting for database connections under load: a start of its own, with the pools of the target's library watched."""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.quantiles import percentile
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import Fact
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.stats import recompute
from tools.arm import start_arm
from tools.lease import quiet_lease
from tools.load import split_cores
from tools.loaders import open_loader
from tools.workspace import Workspace

SECONDS = 4.0
WATCHED = "SQLAlchemy, Django, psycopg_pool; pg, mysql2"
INSTRUMENT = "perfcrew pool watch 1"
WAITED_MS = 1.0
"""A shorter wait is the pool's own bookkeeping."""
Line = dict[str, Any]
_FIGURES = {
    "pool_wait": ("db.pool_wait_ms", "mean:/waits_ms"),
    "pool_wait_max": ("db.pool_wait_max_ms", "max:/waits_ms"),
    "pool_full": ("db.pool_full", "mean:/full"),
}


async def measure_pool(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """How long requests wait for a connection to the database under load, and how full the pool is.

    Facts: `pool_wait_share` (of the requests' time), `open_share` (spent opening connections), `opens_per_request`,
    `full_share` (checkouts that found or left the pool full), `held_max`, `capacity` (None: unlimited), `size`.

    Raises:
        InstrumentError: no pool that is known was used, or the target did not answer.
    """
    if workload.kind != "http":
        raise InstrumentError(f"workload {workload.name} sends no requests itself, so no wait can be told by request")
    seconds = SECONDS / 4 if workspace.quick else SECONDS
    workspace.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="trace-", dir=workspace.folder))
    try:
        async with (
            quiet_lease(workspace),
            open_loader(workspace, workload) as loader,
            start_arm(workspace, commit, arm, trace=folder, watch="pool", cpus=split_cores()[0]) as running,
        ):
            await loader.warm_up(running)
            began = time.time()
            await loader.round(running, seconds, 1)
            ended = time.time()
            # A response reaches us before its line is written.
            await asyncio.sleep(0.2)
        raw = {
            "kind": "pool", "workload": workload.name, "arm": arm, "commit": commit, "users": workload.users,
            **sum_checkouts(_read_lines(folder), began, ended),
        }  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not raw["checkouts"]:
        raise InstrumentError(
            f"no connection was taken from a pool that is watched ({WATCHED}), so its waits can't be told"
        )
    return pool_evidence(workspace, raw)


def _read_lines(folder: Path) -> Iterable[tuple[str, Line]]:
    """Each process's lines, with the process's name: requests are numbered within one."""
    for path in sorted(folder.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield path.stem, json.loads(text)
            except ValueError:
                # A line that was cut off by a kill.
                continue


def sum_checkouts(lines: Iterable[tuple[str, Line]], began: float, ended: float) -> dict[str, Any]:
    """Requests that ended within a window (seconds since the epoch), with their checkouts.

    Returns:
        `requests_ms`, `waits_ms` and `opens_ms` with a value for each request; `checkouts` as rows of wait, opening
        (ms), connections out, and the most there can be; `full` with 1 for each checkout that left none over; `pools`.
    """
    taken: dict[tuple[str, int], list[Line]] = {}
    requests: list[tuple[tuple[str, int], Line]] = []
    for process, line in lines:
        if line["kind"] == "checkout":
            taken.setdefault((process, line["number"]), []).append(line)
        elif line["kind"] == "request" and began <= line["ended"] <= ended:
            requests.append(((process, line["number"]), line))
    mine = [taken.get(key, []) for key, _ in requests]
    flat = [checkout for checkouts in mine for checkout in checkouts]
    return {
        "requests_ms": [line["ms"] for _, line in requests],
        "waits_ms": [sum(item["wait_ms"] for item in checkouts) for checkouts in mine],
        "opens_ms": [sum(item["open_ms"] for item in checkouts) for checkouts in mine],
        "checkouts": [[item["wait_ms"], item["open_ms"], item["held"], item["most"]] for item in flat],
        "full": [int(item["most"] is not None and item["held"] >= item["most"]) for item in flat],
        "pools": sorted({_describe(item) for item in flat}),
    }


def _describe(line: Mapping[str, Any]) -> str:
    if line["size"] is None:
        return f"{line['pool']}: keeps no connection for the next request"
    most = "without limit" if line["most"] is None else f"{line['most']} at most"
    return f"{line['pool']}: keeps {line['size']}, {most}"


def pool_evidence(workspace: Workspace, raw: Line) -> Evidence:
    """Evidence from a raw file of checkouts."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}/{raw['arm']}"
    values = {short: recompute(method, raw) for short, (_, method) in _FIGURES.items()}
    measurements = tuple(
        Measurement(
            id=f"{short}@{place}", metric=metric, unit=METRICS[metric].unit, better=METRICS[metric].better,
            workload=raw["workload"], arm=raw["arm"], commit=raw["commit"], value=values[short],
            count=len(raw["full"] if short == "pool_full" else raw["waits_ms"]), method=method, samples=samples,
            instrument=INSTRUMENT, environment=workspace.environment,
        )
        for short, (metric, method) in _FIGURES.items()
    )  # fmt: skip
    whole = sum(raw["requests_ms"]) or 1.0
    held = [row[2] for row in raw["checkouts"] if row[2] is not None]
    most = [row[3] for row in raw["checkouts"] if row[3] is not None]
    opened = sum(row[1] > 0 for row in raw["checkouts"])
    facts: dict[str, Fact] = {
        "pool_wait_share": sum(raw["waits_ms"]) / whole, "open_share": sum(raw["opens_ms"]) / whole,
        "opens_per_request": opened / len(raw["requests_ms"]), "full_share": values["pool_full"],
        "waited_share": sum(wait >= WAITED_MS for wait in raw["waits_ms"]) / len(raw["waits_ms"]),
        "held_max": max(held, default=None), "capacity": max(most, default=None), "pools": "; ".join(raw["pools"]),
    }  # fmt: skip
    title = f"{place}: {values['pool_wait']:.1f} ms a request waiting for a database connection"
    return Evidence(
        id=f"pool@{place}", kind="pool", title=title, digest=render_pool(raw, facts), measurements=measurements,
        artifact=samples, facts=facts,
    )  # fmt: skip


def render_pool(raw: Line, facts: Mapping[str, Fact]) -> str:
    """The digest."""
    waits: Sequence[float] = raw["waits_ms"]
    told = ", ".join(f"P{q} {percentile(waits, q):.1f}" for q in (50, 95, 99))
    lines = [
        f"{raw['users']} users, {len(waits)} requests, {len(raw['checkouts'])} connections taken ({WATCHED} are seen)",
        *raw["pools"],
        f"waiting for one that others hold, ms a request: {told}, longest {max(waits):.1f}; "
        f"{facts['pool_wait_share']:.1%} of the requests' time, {facts['waited_share']:.0%} of the requests waited",
        f"opening new ones: {facts['opens_per_request']:.2f} a request, {facts['open_share']:.1%} of their time",
    ]
    if facts["capacity"] is not None:
        lines.append(
            f"at most {facts['held_max']} of {facts['capacity']} were out at once; {facts['full_share']:.0%} of the "
            "checkouts took the last one"
        )
    return "\n".join(lines)
