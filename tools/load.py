"""Load on one arm as evidence: figures that can be computed again, and a digest to read."""

from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.load_stats import answered
from perfcrew.quantiles import mad
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.stats import recompute
from tools.generator import Loaded, LoadWorker, Round, split_cores, tell_failures, warm_up
from tools.loaders import open_loader
from tools.workspace import Workspace

__all__ = ["LoadWorker", "Loaded", "Round", "load_evidence", "measure_load", "split_cores", "tell_failures", "warm_up"]

_BUSY = 0.8
"""Share of its core beyond which the load generator, not the arm, may be what was measured."""

SHORT_NAMES = {
    "p50": ("http.p50_ms", "percentile:50"),
    "p90": ("http.p90_ms", "percentile:90"),
    "p95": ("http.p95_ms", "percentile:95"),
    "p99": ("http.p99_ms", "percentile:99"),
    "mean": ("http.mean_ms", "latency_mean"),
    "rps": ("http.rps", "rps"),
    "error_rate": ("http.error_rate", "error_rate"),
    "cpu": ("cpu.ms_per_request", "cpu_ms_per_request"),
    "utilisation": ("cpu.utilisation", "cpu_utilisation"),
}
"""Short name in measurement ids to metric and method."""

COMMAND_NAMES = {"seconds": ("command.seconds", "command_seconds"), "cpu": ("cpu.ms_per_request", "cpu_ms_per_request")}
"""The same for workloads that are commands; a request is a run."""


async def measure_load(
    workspace: Workspace,
    arm: Loaded,
    workload: Workload,
    *,
    seconds: float,
    worker: LoadWorker | None = None,
    held_out: bool = False,
) -> Evidence:
    """Latency, throughput, errors and CPU of an arm under a workload, after a warm-up that is left out.

    A workload that is a command is run again and again instead; its wall and CPU time are what is measured.

    Raises:
        InstrumentError: nothing was answered as expected, or the load generator failed.
    """
    async with open_loader(workspace, workload, worker=worker, held_out=held_out) as loader:
        warmed = await loader.warm_up(arm)
        before = arm.cpu_seconds()
        seen = await loader.round(arm, seconds, 1)
        cpu_s = arm.cpu_seconds() - before + seen.command_cpu_s
    if not seen.latencies:
        raise InstrumentError(f"workload {workload.name}: no request succeeded under load ({tell_failures(seen)})")
    raw = {
        "kind": "command" if workload.kind == "command" else "load", "workload": workload.name, "arm": arm.name,
        "commit": arm.commit, "held_out": held_out, "users": workload.users, "think_s": workload.think_s,
        "warm_up_requests": warmed, "seconds": seen.seconds, "cpu_s": cpu_s, "cores": len(split_cores()[0]),
        "cut": seen.cut, "failures": seen.failures, "client_cpu_s": seen.client_cpu_s, "requests": seen.requests,
    }  # fmt: skip
    return load_evidence(workspace, raw, loader.instrument)


def load_evidence(workspace: Workspace, raw: dict[str, Any], instrument: str) -> Evidence:
    """Evidence from a raw file of load, with every figure computed as `verify` will compute it."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}{' (held out)' if raw['held_out'] else ''}/{raw['arm']}"
    short_names = COMMAND_NAMES if raw["kind"] == "command" else SHORT_NAMES
    measurements = [_measure(workspace, raw, samples, instrument, f"{short}@{place}", *short_names[short])
                    for short in short_names]  # fmt: skip
    values = {short: measurement.value for short, measurement in zip(short_names, measurements, strict=True)}
    if raw["kind"] == "command":
        title = f"{place}: {values['seconds']:.2f} s a run, {values['cpu']:,.0f} ms of CPU"
        digest = f"{len(raw['requests'])} runs\n{title}"
    else:
        title = f"{place}: P95 {values['p95']:,.0f} ms, {values['rps']:.1f} requests a second"
        digest = _render(raw, values)
        values["generator_busy"] = _busy(raw)
    return Evidence(
        id=f"load@{place}", kind="load", title=title, digest=digest, measurements=tuple(measurements),
        artifact=samples, facts=dict(values),
    )  # fmt: skip


def _measure(
    workspace: Workspace, raw: dict[str, Any], samples: ArtifactRef, instrument: str,
    name: str, metric: str, method: str,
) -> Measurement:  # fmt: skip
    known = METRICS[metric]
    latencies = answered(raw)
    counted = method.startswith(("percentile", "latency", "command"))
    spread = mad(latencies) if method == "percentile:50" else None
    return Measurement(
        id=name, metric=metric, unit=known.unit, better=known.better, workload=raw["workload"],
        arm=raw["arm"], commit=raw["commit"], value=recompute(method, raw), spread=spread,
        count=len(latencies) if counted else len(raw["requests"]),
        method=method, samples=samples, instrument=instrument, environment=workspace.environment,
    )  # fmt: skip


def _busy(raw: dict[str, Any]) -> float:
    return float(raw["client_cpu_s"] / max(raw["seconds"], 1e-9))


def _render(raw: dict[str, Any], values: dict[str, float]) -> str:
    requests, latencies = raw["requests"], answered(raw)
    failures = ", ".join(f"{count} × {kind}" for kind, count in raw["failures"].items()) or "none"
    times = ", ".join(f"{name} {values[name]:.1f}" for name in ("p50", "p90", "p95", "p99", "mean"))
    lines = [
        f"{raw['users']} users, think time {raw['think_s']:g} s, {raw['seconds']:.1f} s; {len(requests)} requests, "
        f"{len(latencies)} of them counted (not each user's first)",
        f"left out: {raw['warm_up_requests']} requests to warm up",
        f"response time in ms: {times}, least {min(latencies):.1f}, most {max(latencies):.1f}",
        f"throughput: {values['rps']:.2f} requests a second",
        f"errors: {values['error_rate']:.2%} ({failures}); without an answer when the load ended: {raw['cut']}",
        f"CPU: {values['cpu']:.2f} ms a request, {values['utilisation']:.0%} of {raw['cores']} core(s)",
        f"bytes on the wire, mean of bodies: {sum(row[3] for row in requests) / len(requests):,.0f}",
    ]
    if _busy(raw) > _BUSY:
        lines.append(f"doubtful: the load generator used {_busy(raw):.0%} of its core and may be what was measured")
    return "\n".join(lines)
