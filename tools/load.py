"""Load on one arm as evidence: figures that can be computed again, and a digest to read.

Where the load generator itself was the bottleneck, its figures carry the doubt, and the fact `generator_bound` is 1.
"""

from dataclasses import asdict
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.load_stats import answered, bytes_per_response, generator_faults
from perfcrew.quantiles import mad, percentile
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.stats import recompute
from tools.generator import Loaded, LoadWorker, Round, split_cores, tell_failures, warm_up
from tools.histogram import to_histogram
from tools.loaders import open_loader
from tools.locust_load import file_of
from tools.workspace import Workspace

__all__ = ["LoadWorker", "Loaded", "Round", "load_evidence", "measure_load", "split_cores", "tell_failures", "warm_up"]

SHORT_NAMES = {
    "p50": ("http.p50_ms", "percentile:50"),
    "p90": ("http.p90_ms", "percentile:90"),
    "p95": ("http.p95_ms", "percentile:95"),
    "p99": ("http.p99_ms", "percentile:99"),
    "max": ("http.max_ms", "latency_max"),
    "mean": ("http.mean_ms", "latency_mean"),
    "rps": ("http.rps", "rps"),
    "error_rate": ("http.error_rate", "error_rate"),
    "connections": ("http.connections_per_request", "connections_per_request"),
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
    not_counted = "not the first" if workload.rate else "not each user's first"
    if seen.ramp_s:
        not_counted = "not those sent while users were being started"
    raw = {
        "kind": "command" if workload.kind == "command" else "load", "workload": workload.name, "arm": arm.name,
        "commit": arm.commit, "held_out": held_out, "model": describe_model(workload, held_out),
        "not_counted": not_counted, "warm_up_requests": warmed,
        **asdict(seen), "cpu_s": cpu_s, "cores": len(split_cores()[0]), "histogram": to_histogram(seen.latencies),
    }  # fmt: skip
    return load_evidence(workspace, raw, loader.instrument)


def describe_model(workload: Workload, held_out: bool = False) -> str:
    """Who sends when, as a phrase."""
    if workload.kind == "locust":
        file = file_of(workload, held_out)
        pace = f", {workload.spawn_rate:g} started a second" if workload.spawn_rate else ""
        return f"{workload.users} users of {file}{pace}"
    if workload.rate is not None:
        return f"{workload.rate:g} requests a second, due by timetable, over at most {workload.connections} connections"
    return f"{workload.users} users, think time {workload.think_s:g} s"


def load_evidence(workspace: Workspace, raw: dict[str, Any], instrument: str) -> Evidence:
    """Evidence from a raw file of load, with every figure computed as `verify` will compute it."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}{' (held out)' if raw['held_out'] else ''}/{raw['arm']}"
    short_names = dict(COMMAND_NAMES if raw["kind"] == "command" else SHORT_NAMES)
    if raw["connections"] is None:
        short_names.pop("connections", None)
    measurements = [_measure(workspace, raw, samples, instrument, f"{short}@{place}", *short_names[short])
                    for short in short_names]  # fmt: skip
    values = {short: measurement.value for short, measurement in zip(short_names, measurements, strict=True)}
    if raw["kind"] == "command":
        title = f"{place}: {values['seconds']:.2f} s a run, {values['cpu']:,.0f} ms of CPU"
        digest = f"{len(raw['requests'])} runs\n{title}"
    else:
        title = f"{place}: P95 {values['p95']:,.0f} ms, {values['rps']:.1f} requests a second"
        digest = _render(raw, values)
        values |= _watched(raw)
        if values["generator_bound"]:
            title = f"{place}: does not count, the load generator was the bottleneck"
    return Evidence(
        id=f"load@{place}", kind="load", title=title, digest=digest, measurements=tuple(measurements),
        artifact=samples, facts=dict(values),
    )  # fmt: skip


def _watched(raw: dict[str, Any]) -> dict[str, float]:
    """What is no measurement of the arm: bytes, queueing before a connection, the generator's own state."""
    lates = [row[7] for row in raw["requests"] if len(row) > 7] or [0.0]
    return {
        "bytes_per_response": bytes_per_response(raw),
        "queued_share": sum(len(row) > 8 and row[8] > 0 for row in raw["requests"]) / len(raw["requests"]),
        "generator_busy": _busy(raw),
        "generator_late_ms": percentile(lates, 95),
        "generator_lag_ms": max(raw["lags_ms"], default=0.0),
        "generator_bound": int(bool(generator_faults(raw))),
    }


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
        doubt=_doubt(raw),
    )  # fmt: skip


def _busy(raw: dict[str, Any]) -> float:
    return float(raw["client_cpu_s"] / max(raw["seconds"], 1e-9))


def _doubt(raw: dict[str, Any]) -> str:
    faults = generator_faults(raw) if raw["kind"] == "load" else ()
    return f"the load generator was the bottleneck: {', '.join(faults)}" if faults else ""


def _render(raw: dict[str, Any], values: dict[str, float]) -> str:
    requests, latencies = raw["requests"], answered(raw)
    failures = ", ".join(f"{count} × {kind}" for kind, count in raw["failures"].items()) or "none"
    times = ", ".join(f"{name} {values[name]:.1f}" for name in ("p50", "p90", "p95", "p99", "mean"))
    since = ", from the moment each was due" if raw["rate"] is not None else ""
    per_second = raw["received_bytes"] / max(raw["seconds"], 1e-9) / 1000
    lines = [
        f"{raw['model']}, {raw['seconds']:.1f} s; {len(requests)} requests, {len(latencies)} of them counted "
        f"({raw['not_counted']})",
        f"left out: {raw['warm_up_requests']} requests to warm up",
        f"response time in ms{since}: {times}, least {min(latencies):.1f}, most {values['max']:.1f}",
        f"throughput: {values['rps']:.2f} requests a second",
        f"errors: {values['error_rate']:.2%} ({failures}); without an answer when the load ended: {raw['cut']}",
        f"CPU: {values['cpu']:.2f} ms a request, {values['utilisation']:.0%} of {raw['cores']} core(s)",
        f"bytes on the wire, mean of bodies: {bytes_per_response(raw):,.0f}; {per_second:,.0f} kB/s received",
    ]
    if raw["connections"] is not None:
        lines.append(f"connections opened: {raw['connections']} for {len(requests)} requests")
    queued = [row[8] for row in requests if len(row) > 8 and row[8] > 0]
    if queued:
        lines.append(
            f"{len(queued) / len(requests):.0%} of the requests waited for a free connection, half of those over "
            f"{percentile(queued, 50):.1f} ms; the wait is in their response times"
        )
    if _doubt(raw):
        lines.insert(0, f"DOES NOT COUNT: {_doubt(raw)}. Fewer users, more think time, or PERFCREW_LOAD_WORKERS")
    return "\n".join(lines)
