"""Database queries, request by request: a traced start is asked each distinct request of a workload, one at a time.

Times here carry the tracer with them: they say where time goes, and are never used in a verdict. Counts are exact.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from perfcrew.errors import InstrumentError
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import pack_rows
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from tools.arm import start_arm
from tools.database import count_index_scans
from tools.lease import quiet_lease
from tools.recollection import recall, remember
from tools.requests import Asked, expand_workload, open_client, send
from tools.traces import Endpoint, Line, Trace, match_requests, read_trace, sum_up, to_rows
from tools.workspace import Workspace

FILLS = 4
"""Different parameter sets asked of each request."""
EVEN = 12
"""Each template counts this often times its weight, whether it has 1, 2, 3 or 4 parameter sets."""
PASSES = 3
"""Passes that count, after one of warm-up."""
SETTLE_S = 3.0
INSTRUMENT = "perfcrew tracer 1"
WATCHED = "SQLAlchemy, Django, sqlite3, psycopg 3, pymysql; pg, mysql2, better-sqlite3, node:sqlite"


@dataclass(frozen=True)
class Traced:
    """What one traced start gave."""

    pairs: list[tuple[Asked, Line]]
    trace: Trace
    bytes: list[tuple[Asked, int]]
    unexpected: list[str]
    index_scans: dict[str, int] | None = None
    """How often each index was used, where the server counts it."""


async def trace_queries(
    workspace: Workspace,
    commit: str,
    workload: Workload,
    *,
    arm_name: str,
    worktree: Path | None = None,
    held_out: bool = False,
) -> Evidence:
    """Which statements each endpoint sends, how often, from which line, and what share of its time they take.

    Raises:
        InstrumentError: the arm did not start, or is no Python program that the tracer knows.
    """
    traced = await _trace(workspace, commit, workload, arm_name, worktree, held_out, PASSES)
    if not traced.pairs:
        raise InstrumentError(
            f"no request of workload {workload.name} left a trace; statements are traced in Python targets on FastAPI, "
            "Starlette, Flask or Django, and in Node targets, whose start command keeps PYTHONPATH or NODE_OPTIONS"
        )
    endpoints = sum_up(traced.pairs)
    raw = _raw(workload, traced)
    artifact = workspace.artifacts.put_json(raw)
    where = f"{workload.name}{' (held out)' if held_out else ''}/{arm_name}"
    measurements = tuple(
        _measurement(workspace, artifact, metric, f"{short}@{where}", workload.name, arm_name, commit, raw[key], key)
        for metric, short, key in (
            ("db.queries_per_request", "queries_per_request", "queries"),
            ("http.bytes_per_response", "bytes_per_response", "bytes"),
        )
        if raw[key]
    )
    rows = to_rows(endpoints, traced.trace.texts)
    facts = {name: value for kind, entries in rows.items() for name, value in pack_rows(kind, entries).items()}
    mean = sum(raw["queries"]) / len(raw["queries"])
    evidence = Evidence(
        id=f"queries@{where}",
        kind="queries",
        title=f"{workload.name} on {arm_name}: {mean:.1f} queries a request",
        digest=render_queries(workload.name, arm_name, endpoints, traced),
        measurements=measurements,
        artifact=artifact,
        facts={"queries_per_request": mean, **facts},
    )
    if worktree is None and not held_out:
        remember(workspace, evidence, commit, workload.name)
    return evidence


async def recall_queries(workspace: Workspace, commit: str, workload: Workload, arm_name: str) -> Evidence:
    """What `trace_queries` found about a commit in this run; it is traced now if it was not yet."""
    known = recall(workspace, "queries", commit, workload.name)
    return known or await trace_queries(workspace, commit, workload, arm_name=arm_name)


async def count_queries(
    workspace: Workspace, commit: str, workload: Workload, worktree: Path | None = None
) -> dict[str, list[float]]:
    """Exact counts for a duel: by metric name, one value for each request of the workload's mix.

    Where the tracer does not work only bytes are counted.
    """
    traced = await _trace(workspace, commit, workload, "counts", worktree, False, 1)
    raw = _raw(workload, traced)
    counts = {"db.queries_per_request": raw["queries"], "http.bytes_per_response": raw["bytes"]}
    return {metric: values for metric, values in counts.items() if values}


async def _trace(
    workspace: Workspace,
    commit: str,
    workload: Workload,
    arm_name: str,
    worktree: Path | None,
    held_out: bool,
    passes: int,
) -> Traced:
    if workload.kind != "http":
        raise InstrumentError(f"workload {workload.name} sends no requests, so there is nothing to trace")
    asked = [item for fills in expand_workload(workload, cap=FILLS, held_out=held_out) for item in fills]
    workspace.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="trace-", dir=workspace.folder))
    try:
        sizes: list[tuple[Asked, int]] = []
        unexpected: list[str] = []
        async with (
            quiet_lease(workspace),
            start_arm(workspace, commit, f"{arm_name}-traced", worktree=worktree, trace=folder) as arm,
        ):
            async with open_client(arm.url) as client:
                for number in range(passes + 1):
                    answers = await _ask_all(client, asked, unexpected if number else [])
                    sizes += zip(asked, answers, strict=True) if number else ()
            await _settle(folder, len(asked) * (passes + 1))
            scans = await count_index_scans(arm.data) if passes > 1 else None
        trace = read_trace(folder)
        return Traced(match_requests(asked, trace.requests, passes), trace, sizes, unexpected, scans)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _ask_all(client: httpx.AsyncClient, asked: Sequence[Asked], unexpected: list[str]) -> list[int]:
    sizes = []
    for item in asked:
        try:
            answer = await send(client, item)
        except httpx.HTTPError as error:
            raise InstrumentError(f"{item.name}: {type(error).__name__} {error}".rstrip()) from error
        if answer.status not in item.expect:
            unexpected.append(f"{item.name} answered {answer.status}")
        sizes.append(len(answer.raw))
    return sizes


async def _settle(folder: Path, expected: int) -> None:
    # A response reaches us before its line is written, and the line on a held loop comes after that.
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        await asyncio.sleep(0.15)
        if not any(folder.glob("*.jsonl")) or len(read_trace(folder).requests) >= expected:
            return


def _raw(workload: Workload, traced: Traced) -> dict[str, Any]:
    """The raw file: `queries` and `bytes` hold one value for each request of the mix, weights and all."""
    fills: dict[int, set[str]] = {}
    for asked, _ in traced.bytes:
        fills.setdefault(asked.template, set()).add(asked.name + asked.body.decode(errors="replace"))

    def often(asked: Asked) -> int:
        return asked.weight * EVEN // len(fills[asked.template])

    return {
        "workload": workload.name,
        "queries": [
            float(len(line["statements"]) + line["dropped"])
            for asked, line in traced.pairs
            for _ in range(often(asked))
        ],
        "bytes": [float(size) for asked, size in traced.bytes for _ in range(often(asked))],
        "requests": [line for _, line in traced.pairs],
        "statements": traced.trace.texts,
        "index_scans": traced.index_scans,
    }


def _measurement(
    workspace: Workspace,
    artifact: ArtifactRef,
    metric: str,
    name: str,
    workload: str,
    arm: str,
    commit: str,
    values: Sequence[float],
    key: str,
) -> Measurement:
    known = METRICS[metric]
    return Measurement(
        id=name,
        metric=metric,
        unit=known.unit,
        better=known.better,
        workload=workload,
        arm=arm,
        commit=commit,
        value=sum(values) / len(values),
        count=len(values),
        method=f"mean:/{key}",
        samples=artifact,
        instrument=INSTRUMENT,
        environment=workspace.environment,
    )


MAX_ENDPOINTS, MAX_STATEMENTS, MAX_SQL = 8, 14, 150


def render_queries(workload: str, arm: str, endpoints: Sequence[Endpoint], traced: Traced) -> str:
    """The digest: endpoints by their share of the workload's time, statements by their share of the endpoint's."""
    lines = [
        f"{workload} on {arm}, {len(traced.pairs)} requests one at a time, tracer attached: shares and counts, not "
        f"latencies. Statements seen through {WATCHED}. `loop` adds the usual gap between a statement's calls."
    ]
    lines += [f"! {text}" for text in list(dict.fromkeys(traced.unexpected))[:3]]
    left = MAX_STATEMENTS
    for endpoint in endpoints[:MAX_ENDPOINTS]:
        lines.append(
            f"\n{endpoint.name}: {endpoint.share:.0%} of the workload's time, {endpoint.ms:.1f} ms; "
            f"{endpoint.queries:g} queries/request, DB {endpoint.db_ms:.1f} ms ({_part(endpoint.db_ms, endpoint)}); "
            f"{endpoint.bytes:,.0f} B"
        )
        lines += [f"  holds the event loop {ms:.0f} ms/request: {site}" for site, ms in endpoint.blocked[:3]]
        shown = endpoint.groups[:left]
        left -= len(shown)
        for group in shown:
            rows = "" if group.rows is None else f", {group.rows:.0f} rows"
            flags = " N+1" if group.n_plus_one else ""
            flags += f" REPEATED ({group.distinct:g} different)" if group.repeated else ""
            via = f" < {group.via}" if group.via else ""
            lines.append(
                f"  {group.id}: {group.calls:g} calls, {group.ms:.2f} ms, loop {group.loop_ms:.1f} ms "
                f"({_part(group.loop_ms, endpoint)}){rows}{flags} at {group.site or 'unknown line'}{via}"
            )
            lines.append(f"    {traced.trace.texts.get(group.id, {}).get('fingerprint', '')[:MAX_SQL]}")
        if len(endpoint.groups) > len(shown):
            lines.append(f"  and {len(endpoint.groups) - len(shown)} more statements")
    if len(endpoints) > MAX_ENDPOINTS:
        lines.append(f"\nand {len(endpoints) - MAX_ENDPOINTS} more endpoints")
    return "\n".join(lines)


def _part(ms: float, endpoint: Endpoint) -> str:
    return f"{ms / endpoint.ms:.0%} of it" if endpoint.ms else "none of it"
