"""How true are the latencies that the load generator gives? `python -m evals.bench.load [--quick]`.

It loads `evals.bench.known_server`, whose own clock records each answer, in both models, with and without a stall, and
compares every percentile. The truth is the server's time from the request's arrival at the machine, read or not, to its
answer; so a generator that sends late is wrong by as much. Only where the generator's connections are bounded, so that
requests wait before they reach the machine, the truth begins when the timetable had them due. The bar: each percentile
within 2 % or 0.5 ms.

Prints a table and, as its last line, one JSON object. Its `max_percentile_error` is the largest error as a part of the
truth, 0.5 ms counting as 2 %, so that up to 0.02 is within the bar. A round of which the generator says that it was
the bottleneck does not count, and is made again a few times. Exit code 1 where the bar is missed, or no round of a
scenario counted.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfcrew.artifacts import Artifacts
from perfcrew.load_stats import answered
from perfcrew.quantiles import percentile
from perfcrew.records.target import Target, Workload
from tools import process
from tools.generator import LoadWorker, Round, split_cores
from tools.load_models import due_ns
from tools.workspace import Workspace

PART, LIMIT_MS = 0.02, 0.5
"""The bar: an error is within it when it is at most this part of the truth, or at most so many milliseconds."""
QUANTILES = {"P50": 50.0, "P90": 90.0, "P95": 95.0, "P99": 99.0, "max": 100.0}
KEYS = 4000
AGAIN = 5
"""Rounds, over all scenarios, that are made again because the generator says of itself that it was the bottleneck."""
_START_S = 20.0


@dataclass(frozen=True)
class Scenario:
    """One round against the server."""

    name: str
    fields: dict[str, Any]
    pause_ms: int = 0
    """The server stands still for so long, a third into the round."""
    neighbour: bool = False
    """Somebody else computes on the generator's core."""


@dataclass
class Outcome:
    """What a round gave, and the truth."""

    scenario: Scenario
    requests: int
    generator_ms: float
    faults: tuple[str, ...]
    measured: dict[str, float] = field(default_factory=dict)
    truth: dict[str, float] = field(default_factory=dict)

    def error_ms(self, name: str) -> float:
        """Measured less truth."""
        return self.measured[name] - self.truth[name]

    def error_part(self, name: str) -> float:
        """The error as a part of the truth."""
        return abs(self.error_ms(name)) / self.truth[name]

    def error_by_bar(self, name: str) -> float:
        """The error as a part of the truth, where `LIMIT_MS` counts as `PART`: at most `PART` is within the bar."""
        return min(self.error_part(name), PART * abs(self.error_ms(name)) / LIMIT_MS)

    def within(self, name: str) -> bool:
        """Whether a percentile meets the bar."""
        return self.error_by_bar(name) <= PART

    @property
    def met(self) -> bool:
        """Whether the bar is met; a round that says itself that it does not count may do so beside a neighbour only."""
        return self.scenario.neighbour if self.faults else all(map(self.within, QUANTILES))


SCENARIOS = (
    Scenario("closed, 8 users", {"users": 8}),
    Scenario("closed, 8 users, stall", {"users": 8}, pause_ms=400),
    Scenario("closed, 40 users think", {"users": 40, "think_s": 0.1}),
    Scenario("open, 200/s", {"rate": 200}),
    Scenario("open, 200/s, stall", {"rate": 200}, pause_ms=400),
    Scenario("open, 300/s over 6 conn, stall", {"rate": 300, "connections": 6}, pause_ms=400),
    Scenario("closed, neighbour on core", {"users": 8}, neighbour=True),
)


async def run_scenario(workspace: Workspace, worker: LoadWorker, scenario: Scenario, seconds: float) -> Outcome:
    """One round against a fresh server, compared with what the server recorded."""
    request = [{"path": "/{key}"}]
    params = {"key": [f"k{number}" for number in range(KEYS)]}
    workload = Workload.model_validate({"name": "known", "request": request, "params": params, **scenario.fields})
    async with _serve(workspace) as (url, record_file), _neighbour(workspace, scenario):
        pausing = asyncio.create_task(_pause(url, seconds / 3, scenario.pause_ms))
        seen = await worker.round(url, workload, seconds=seconds, seed=7)
        await pausing
    record = json.loads(record_file.read_text())
    outcome = Outcome(scenario, len(seen.requests), 1000 * seen.client_cpu_s / len(seen.requests), seen.faults)
    measured, truth = answered({"requests": seen.requests}), _truth(record, seen, workload)
    if len(measured) != len(truth):
        raise SystemExit(f"{scenario.name}: {len(measured)} answers counted, the server gave {len(truth)}")
    for name, q in QUANTILES.items():
        outcome.measured[name], outcome.truth[name] = percentile(measured, q), percentile(truth, q)
    return outcome


def _truth(record: list[tuple[int, int, bool]], seen: Round, workload: Workload) -> list[float]:
    """Latencies in ms by the server's clock, of the requests that count."""
    in_order = sorted(record)
    if workload.rate is None:
        return [(answer - arrived) / 1e6 for arrived, answer, first in in_order if not first]
    # The first of a timetable opens the connection and does not count.
    if all(row[8] == 0 for row in seen.requests):
        return [(answer - arrived) / 1e6 for arrived, answer, _ in in_order[1:]]
    began = seen.began_s * 1e9
    dues = [began + due_ns(number, workload.rate) for number in range(len(in_order))]
    return [(answer - due) / 1e6 for (_, answer, _), due in zip(in_order, dues, strict=True)][1:]


@contextlib.asynccontextmanager
async def _serve(workspace: Workspace) -> AsyncIterator[tuple[str, Path]]:
    folder = Path(tempfile.mkdtemp(dir=workspace.folder))
    port_file, record_file = folder / "port", folder / "record.json"
    server = await process.start(
        [sys.executable, "-I", "-m", "evals.bench.known_server", str(port_file), str(record_file)],
        cwd=folder, environment={"PATH": os.defpath}, log=folder / "server.log", cpus=split_cores()[0],
    )  # fmt: skip
    try:
        async with asyncio.timeout(_START_S):
            while not port_file.exists():
                if not server.alive:
                    raise SystemExit(f"the server did not start: {(folder / 'server.log').read_text()}")
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port_file.read_text()}", record_file
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def _neighbour(workspace: Workspace, scenario: Scenario) -> AsyncIterator[None]:
    if not scenario.neighbour:
        yield
        return
    burner = await process.start(
        [sys.executable, "-I", "-c", "while True: pass"],
        cwd=workspace.folder, environment={}, log=workspace.folder / "neighbour.log", cpus=split_cores()[1],
    )  # fmt: skip
    try:
        yield
    finally:
        await burner.stop(grace_s=0)


async def _pause(url: str, after_s: float, pause_ms: int) -> None:
    if not pause_ms:
        return
    await asyncio.sleep(after_s)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /pause/{pause_ms} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


def render(outcomes: list[Outcome]) -> str:
    """The table."""
    lines = [f"{'':31}{'requests':>9}{'ms each':>9}" + "".join(f"{name:>22}" for name in QUANTILES)]
    for outcome in outcomes:
        cells = "".join(
            f"{outcome.truth[name]:>9.2f} {outcome.error_ms(name):+7.3f} {'ok' if outcome.within(name) else 'NO':>4}"
            for name in QUANTILES
        )
        lines.append(f"{outcome.scenario.name:31}{outcome.requests:>9}{outcome.generator_ms:>9.3f}{cells}")
        lines += [f"    does not count, the generator was the bottleneck: {fault}" for fault in outcome.faults]
    return "\n".join(
        [*lines, "truth by the server's clock in ms, error of the measurement in ms, within 2 % or 0.5 ms"]
    )


def summarise(outcomes: list[Outcome]) -> dict[str, Any]:
    """The figures of the last line."""
    pairs = [(outcome, name) for outcome in outcomes if not outcome.faults for name in QUANTILES]
    requests = sum(outcome.requests for outcome in outcomes)
    return {
        "max_percentile_error": _largest((outcome.error_by_bar(name) for outcome, name in pairs), 5),
        "max_percentile_error_pct": _largest((100 * outcome.error_part(name) for outcome, name in pairs), 3),
        "max_percentile_error_ms": _largest((abs(outcome.error_ms(name)) for outcome, name in pairs), 3),
        "within_bar": all(outcome.met for outcome in outcomes),
        "generator_ms_per_request": round(sum(o.generator_ms * o.requests for o in outcomes) / requests, 4),
        "scenarios": len(outcomes), "uncounted": sum(bool(o.faults) for o in outcomes), "requests": requests,
    }  # fmt: skip


def _largest(errors: Iterable[float], digits: int) -> float | None:
    """The largest error; None where no round counts."""
    largest = max(errors, default=None)
    return None if largest is None else round(largest, digits)


async def run(seconds: float) -> list[Outcome]:
    """All scenarios, one after the other."""
    with tempfile.TemporaryDirectory(prefix="perfcrew-bench-") as name:
        folder = Path(name)
        description = {
            "target": {"name": "known", "start": "x"},
            "workload": [{"name": "known", "request": [{"path": "/"}]}],
        }
        target = Target.model_validate(description)
        workspace = Workspace("bench", folder, folder, target, "", Artifacts(folder / "artifacts"), "bench")
        outcomes, left = [], AGAIN
        async with LoadWorker.start(workspace) as worker:
            for scenario in SCENARIOS:
                outcome = await run_scenario(workspace, worker, scenario, seconds)
                while outcome.faults and not scenario.neighbour and left:
                    outcome, left = await run_scenario(workspace, worker, scenario, seconds), left - 1
                outcomes.append(outcome)
        return outcomes


def main(arguments: list[str]) -> int:
    """Run, print, judge."""
    if set(arguments) - {"--quick"}:
        print("usage: python -m evals.bench.load [--quick]", file=sys.stderr)
        return 2
    began = time.monotonic()
    outcomes = asyncio.run(run(4.0 if "--quick" in arguments else 15.0))
    print(render(outcomes))
    summary = {**summarise(outcomes), "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(summary))
    return 0 if summary["within_bar"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
