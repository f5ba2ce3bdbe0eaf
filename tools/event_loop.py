"""How late the event loop is under load, and which stacks held it: a start of its own, with a thread that looks."""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfcrew.errors import NothingToMeasure
from perfcrew.quantiles import percentile
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import Row, pack_rows
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.stats import recompute
from tools.arm import start_arm
from tools.lease import quiet_lease
from tools.load import split_cores
from tools.loaders import open_loader
from tools.stacks import parse_stacks, request_part
from tools.workspace import Workspace

SECONDS = 5.0
FLUSH_S = 0.6
"""How long after the load the watching thread may take to write what it has."""
MIN_BEATS = 50
COMPUTING = 0.5
"""Share of its time from which on a stack computes rather than waits."""
TOP = 8
INSTRUMENT = "perfcrew loop watch 1"
Line = dict[str, Any]


@dataclass
class Hold:
    """A line of the target's, or of a library that no line of the target's called, and for how long it held the loop.

    Times in ms: on the clock, of work in the loop's own thread, and of work in the whole process; work is time on a
    core or in the queue for one.
    """

    site: str
    own: bool
    ms: float = 0.0
    work_ms: float = 0.0
    process_ms: float = 0.0
    stack: str = ""
    stack_ms: float = 0.0

    @property
    def work_share(self) -> float:
        """Share of its time at work, 0 to 1; the kernel keeps account a little late, so that a sum may run over."""
        return min(self.work_ms / self.ms, 1.0) if self.ms else 0.0

    @property
    def state(self) -> str:
        """What the loop's thread did meanwhile, by the scheduler's account."""
        if self.work_ms >= COMPUTING * self.ms:
            return "computing"
        if self.process_ms >= COMPUTING * self.ms:
            return "waiting while other threads compute"
        return "waiting (sleep or I/O)"


async def measure_event_loop(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Event-loop lag under load: P50, P95 and the longest, and the stacks that held the loop.

    Facts: `p50_ms`, `p95_ms`, `max_ms`, `held_share` (of the load's time), and rows `hold` with site, `ms`, `share`,
    `work_share` and `state`.

    Raises:
        InstrumentError: the target has no event loop, asyncio's or Node's, that serves, or did not answer.
    """
    seconds = SECONDS / 4 if workspace.quick else SECONDS
    workspace.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="trace-", dir=workspace.folder))
    try:
        async with (
            quiet_lease(workspace),
            open_loader(workspace, workload) as loader,
            start_arm(workspace, commit, arm, trace=folder, watch="loop", cpus=split_cores()[0]) as running,
        ):
            await loader.warm_up(running)
            began = time.time()
            seen = await loader.round(running, seconds, 1)
            ended = time.time()
            # The watching thread writes a few times a second.
            await asyncio.sleep(FLUSH_S)
            root = str(running.workdir)
        raw = {
            "kind": "loop", "workload": workload.name, "arm": arm, "commit": commit, "users": workload.users,
            "root": root, "seconds": ended - began, "requests": len(seen.requests),
            **read_lags(_read_lines(folder), began, ended),
        }  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if len(raw["lags_ms"]) < MIN_BEATS:
        raise NothingToMeasure(
            "no event loop of asyncio's or Node's was seen at work in the server, so there is no lag to measure; "
            "servers of threads or processes have none"
        )
    return loop_evidence(workspace, raw)


def _read_lines(folder: Path) -> Iterable[Line]:
    for path in sorted(folder.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(text)
            except ValueError:
                # A line that was cut off by a kill.
                continue


def read_lags(lines: Iterable[Line], began: float, ended: float) -> dict[str, Any]:
    """The tracer's lines within a window (seconds since the epoch): `lags_ms`, and `held` as [ms, looks]."""
    lags: list[float] = []
    held: list[list[Any]] = []
    for line in lines:
        if line["kind"] == "lag":
            lags += [ms for at, ms in line["beats"] if began <= at <= ended]
        elif line["kind"] == "held" and began <= line["at"] <= ended:
            held.append([line["ms"], line["looks"]])
    return {"lags_ms": lags, "held": held}


def sum_holds(held: Iterable[Sequence[Any]], root: str) -> list[Hold]:
    """Each look's time, credited to the innermost line of the target's that it saw; longest first."""
    holds: dict[str, Hold] = {}
    for _, looks in held:
        for text, ms, work_ms, process_ms in looks:
            frames = next((frames for frames, _ in parse_stacks(f"{text} 1", root)), [])
            part = request_part(frames)
            frame = next((frame for frame in reversed(part) if frame.own), part[-1] if part else None)
            if frame is None:
                continue
            site = f"{frame.path}:{frame.line} {frame.name}"
            hold = holds.setdefault(site, Hold(site, frame.own))
            hold.ms += ms
            hold.work_ms += work_ms
            hold.process_ms += process_ms
            if ms > hold.stack_ms:
                shown = [f"{each.name} ({each.path}:{each.line})" for each in part if each.own or each is part[-1]]
                hold.stack, hold.stack_ms = " > ".join(shown[-8:]), ms
    return sorted(holds.values(), key=lambda hold: -hold.ms)


def loop_evidence(workspace: Workspace, raw: Line) -> Evidence:
    """Evidence from a raw file of event-loop lag."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}/{raw['arm']}"
    values = {short: recompute(method, raw) for short, method in _FIGURES.items()}
    measurements = tuple(
        Measurement(
            id=f"lag_{short}@{place}", metric=f"loop.lag_{short}_ms", unit="ms",
            better=METRICS[f"loop.lag_{short}_ms"].better, workload=raw["workload"], arm=raw["arm"],
            commit=raw["commit"], value=values[short], count=len(raw["lags_ms"]), method=method, samples=samples,
            instrument=INSTRUMENT, environment=workspace.environment,
        )
        for short, method in _FIGURES.items()
    )  # fmt: skip
    holds = sum_holds(raw["held"], raw["root"])
    clock = 1000 * raw["seconds"]
    held_share = sum(ms for ms, _ in raw["held"]) / clock
    rows: list[Row] = [
        {"site": hold.site, "own": int(hold.own), "ms": hold.ms, "share": hold.ms / clock, "state": hold.state,
         "work_share": hold.work_share, "stack": hold.stack}
        for hold in holds[:TOP]
    ]  # fmt: skip
    return Evidence(
        id=f"loop@{place}", kind="loop",
        title=f"{place}: event-loop lag P95 {values['p95']:.1f} ms, longest {values['max']:.0f} ms",
        digest=_render(raw, values, holds, held_share), measurements=measurements, artifact=samples,
        facts={**{f"{short}_ms": value for short, value in values.items()}, "held_share": held_share,
               **pack_rows("hold", rows)},
    )  # fmt: skip


_FIGURES = {"p50": "lag_percentile:50", "p95": "lag_percentile:95", "max": "max:/lags_ms"}


def _render(raw: Line, values: dict[str, float], holds: Sequence[Hold], held_share: float) -> str:
    clock = 1000 * raw["seconds"]
    longest = percentile([ms for ms, _ in raw["held"]], 100) if raw["held"] else 0.0
    lines = [
        f"{raw['users']} users, {raw['seconds']:.1f} s, {raw['requests']} requests; the loop was asked for a sign of "
        f"life {len(raw['lags_ms'])} times",
        f"lag in ms: P50 {values['p50']:.2f}, P95 {values['p95']:.1f}, longest {values['max']:.0f}",
        f"held for over 20 ms {len(raw['held'])} times, longest {longest:.0f} ms, {held_share:.0%} of the load's time",
    ]
    if holds:
        lines.append("\nWhat held it, by the innermost line of the target's (share of the load's time):")
    lines += [
        f"  {hold.ms / clock:4.0%}  {hold.site}: {hold.state}, {hold.work_share:.0%} at work" for hold in holds[:TOP]
    ]
    lines += [f"  longest stack there: {hold.stack}" for hold in holds[:2] if hold.stack]
    return "\n".join(lines)
