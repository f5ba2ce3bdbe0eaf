"""Memory by call site of Python servers: what stays after requests, what one holds at its peak, how often it allocates.

Three things from two starts of their own, both asked one request at a time. Under tracemalloc every block has its call
site, at several times the CPU; the counter around CPython's allocators costs next to nothing.
"""

import asyncio
import hashlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
from tools.arm import Arm, start_arm
from tools.control import ask_processes
from tools.launch import INJECT
from tools.lease import quiet_lease
from tools.process import run
from tools.requests import Asked, expand_workload, open_client, send
from tools.site_growth import Site, compare_sites, peak_sites, render_sites
from tools.traces import Line, match_requests, read_trace
from tools.workspace import Workspace

FILLS = 4
EVEN = 12
"""Each template counts this often times its weight, as in counts of queries."""
PASSES = 5
STAY_S = 6.0
"""How long requests are sent between two looks at what stays, at least one pass."""
SETTLE_S = 3.0
SETTLED_S = 0.3
"""By then the lines of answers that have come are written."""
INSTRUMENT = "CPython allocator calls"
COUNTER_SOURCE, COUNTER = "allocation_counter.c", "allocation_counter.so"


@dataclass(frozen=True)
class Watched:
    """A start whose tracer watches memory, and what it is asked."""

    arm: Arm
    folder: Path
    client: httpx.AsyncClient
    asked: tuple[Asked, ...]

    async def ask_all(self) -> int:
        """Send each request once, one after the other; how many those were."""
        for item in self.asked:
            try:
                await send(self.client, item)
            except httpx.HTTPError as error:
                raise InstrumentError(f"{item.name}: {type(error).__name__} {error}".rstrip()) from error
        return len(self.asked)

    async def settle(self, expected: int, measured: str) -> list[Line]:
        """The traced requests that have something measured; a response reaches us before its line is written."""
        end = time.monotonic() + SETTLE_S
        while True:
            lines = [line for line in read_trace(self.folder).requests if measured in line]
            if len(lines) >= expected or time.monotonic() > end:
                return lines
            await asyncio.sleep(0.1)


async def count_allocations(
    workspace: Workspace, commit: str, workload: Workload, worktree: Path | None = None
) -> list[float]:
    """Allocations a request: calls of CPython's allocators, one value for each request of the workload's mix.

    Each value is the least over `PASSES` passes of the same request, after one of warm-up: what a server's loop and
    other threads allocate meanwhile only adds. Two starts of one version differed by up to 0.5 % in our trials, so a
    smaller difference is none.

    Raises:
        InstrumentError: no C compiler here, or no Python server that the tracer knows.
    """
    pairs = await _count(workspace, commit, workload, worktree)
    return [value for value, often in pairs for _ in range(often)]


async def _count(
    workspace: Workspace, commit: str, workload: Workload, worktree: Path | None
) -> list[tuple[float, int]]:
    """Allocations of each distinct request, and how often it counts."""
    library = await compile_counter(workspace)
    async with _watch(workspace, commit, workload, "counts", "count", worktree, library) as watched:
        for number in range(PASSES + 1):
            sent = await watched.ask_all()
            if not number:
                # Those that asked whether it is ready are among them.
                await asyncio.sleep(SETTLED_S)
                before = len(await watched.settle(0, "allocations"))
        lines = await watched.settle(before + PASSES * sent, "allocations")
    matched: dict[int, tuple[Asked, list[float]]] = {}
    for item, line in match_requests(watched.asked, lines, PASSES):
        matched.setdefault(id(item), (item, []))[1].append(float(line["allocations"]))
    fills = Counter(item.template for item, _ in matched.values())
    found = [(min(values), item.weight * EVEN // fills[item.template]) for item, values in matched.values()]
    if not found:
        raise InstrumentError(_NOTHING.format(workload.name))
    return found


_NOTHING = (
    "no request of workload {} left a trace; memory is traced in CPython targets on FastAPI, Starlette, Flask or "
    "Django whose start command keeps PYTHONPATH"
)


async def compile_counter(workspace: Workspace) -> Path:
    """The counting library, compiled once for this machine and kept in perfcrew's folder.

    Raises:
        InstrumentError: there is no C compiler, or it fails.
    """
    source = INJECT / COUNTER_SOURCE
    library = workspace.home / "native" / f"{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so"
    if library.exists():
        return library
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise InstrumentError("allocations are counted by a small C library; remedy: install a C compiler (apt: gcc)")
    library.parent.mkdir(parents=True, exist_ok=True)
    partial = library.with_suffix(".partial")
    done = await run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", str(partial), str(source)], cwd=library.parent,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin"}, timeout=60,
    )  # fmt: skip
    if not done.ok:
        raise InstrumentError(f"the C compiler can't make the library that counts allocations: {done.last_line}")
    partial.replace(library)
    return library


@asynccontextmanager
async def _watch(
    workspace: Workspace, commit: str, workload: Workload, name: str, watch: str, worktree: Path | None = None,
    library: Path | None = None,
) -> AsyncIterator[Watched]:  # fmt: skip
    if workload.kind != "http":
        raise InstrumentError(f"workload {workload.name} sends no requests of its own, so there is none to trace")
    asked = tuple(item for fills in expand_workload(workload, cap=FILLS) for item in fills)
    workspace.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="trace-", dir=workspace.folder))
    try:
        if library is not None:
            shutil.copy(library, folder / COUNTER)
        async with (
            quiet_lease(workspace),
            start_arm(workspace, commit, f"{name}-{watch}", worktree=worktree, trace=folder, watch=watch) as arm,
            open_client(arm.url) as client,
        ):
            yield Watched(arm, folder, client, asked)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def measure_allocations(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Memory by call site: growth that stays after requests, the peak of single requests, allocations a request.

    Facts: `allocations_per_request` (None without a C compiler), `stays_kb_per_request`, rows `stays` (site, `kb` and
    `blocks` a request) and `peak` (endpoint, `kb`, its largest site).

    Raises:
        InstrumentError: the target is no Python server that the tracer knows.
    """
    async with _watch(workspace, commit, workload, arm, "allocations") as watched:
        await watched.ask_all()
        await ask_processes(watched.folder, "trace")
        # What replaces untraced blocks would look as if it came to stay.
        await watched.ask_all()
        await asyncio.sleep(SETTLED_S)
        before = await ask_processes(watched.folder, "held")
        sent, began = 0, time.monotonic()
        while not sent or time.monotonic() - began < (STAY_S / 4 if workspace.quick else STAY_S):
            sent += await watched.ask_all()
        after = await ask_processes(watched.folder, "held")
        await ask_processes(watched.folder, "peaks")
        lines = await watched.settle(await watched.ask_all(), "peak_bytes")
    if not before or not lines:
        raise InstrumentError(_NOTHING.format(workload.name))
    counted, note = await _try_count(workspace, commit, workload)
    raw = {
        "kind": "allocations", "workload": workload.name, "arm": arm, "commit": commit, "requests": sent,
        "before": before, "after": after, "counted": counted, "note": note,
        "peaks": [
            {name: line[name] for name in ("method", "path", "route", "peak_bytes", "looked_bytes", "sites")}
            for line in lines
        ],
    }  # fmt: skip
    return allocations_evidence(workspace, raw)


async def _try_count(workspace: Workspace, commit: str, workload: Workload) -> tuple[list[float], str]:
    try:
        return await count_allocations(workspace, commit, workload), ""
    except InstrumentError as error:
        return [], str(error)


def allocations_evidence(workspace: Workspace, raw: dict[str, Any]) -> Evidence:
    """Evidence from a raw file of allocations."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}/{raw['arm']}"
    stays, peaks = compare_sites(raw["before"], raw["after"], raw["requests"]), peak_sites(raw["peaks"])
    counted = raw["counted"]
    mean = sum(counted) / len(counted) if counted else None
    total = sum(site.kb for site in stays)
    told = f"{mean:,.0f} allocations a request, " if mean is not None else ""
    return Evidence(
        id=f"allocations@{place}", kind="allocations",
        title=f"{place}: {told}{total:.2f} kB a request stay",
        digest=render_sites(raw, stays, peaks, mean),
        measurements=_measured(workspace, raw, samples), artifact=samples,
        facts={
            "allocations_per_request": mean, "stays_kb_per_request": total,
            **pack_rows("stays", [_row(site) for site in stays[:10]]),
            **pack_rows("peak", [{"endpoint": peak.endpoint, "kb": peak.kb,
                                  "site": peak.sites[0].site if peak.sites else ""} for peak in peaks[:10]]),
        },
    )  # fmt: skip


def _row(site: Site) -> dict[str, float | str | int | None]:
    return {"site": site.site, "kb": site.kb, "blocks": site.blocks}


def _measured(workspace: Workspace, raw: dict[str, Any], samples: ArtifactRef) -> tuple[Measurement, ...]:
    values: Sequence[float] = raw["counted"]
    if not values:
        return ()
    metric = METRICS["memory.allocations_per_request"]
    return (
        Measurement(
            id=f"allocations@{raw['workload']}/{raw['arm']}", metric=metric.name, unit=metric.unit,
            better=metric.better, workload=raw["workload"], arm=raw["arm"], commit=raw["commit"],
            value=sum(values) / len(values), count=len(values), method="mean:/counted", samples=samples,
            instrument=INSTRUMENT, environment=workspace.environment,
        ),
    )  # fmt: skip
