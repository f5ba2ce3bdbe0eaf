"""Raw samples of load to figures, and whether the load generator itself was what limited them.

Raw files of load (`tools.load`), as JSON objects:
    requests       list of [start_s, latency_ms, status, bytes, index, ok, lead, late_ms, queued_ms, opened]
    seconds        wall time of the measuring window, until its last answer
    cpu_s          CPU seconds of the server's processes over the window; cores: how many it may use
    cut            requests that had no answer when the window was given up
    connections    connections opened; sent_bytes, received_bytes: on the wire, heads included
    client_cpu_s   CPU seconds of the busiest generator process
    rate           requests a second in the open model, null in the closed one
    lags_ms        the longest delay of the generator's event loop in each slice of 50 ms

A row's `start_s` is when the request was due, which in a closed model is when it was sent; its latency runs from then
on, so that what waits behind a stall shows the stall. `queued_ms` of it went by because every connection was busy,
`late_ms` because the generator itself was late. Rows of older files end with `lead`.

Raw files of a capacity search (`tools.capacity`): `steps`, each a raw file of load with `rate` and `stopped`, and
`goals`, a list of [metric, limit].
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from perfcrew.quantiles import median, percentile

BUSY = 0.8
"""Share of its core beyond which the load generator, not the arm, may be what was measured."""

LATE_MS, LATE_PART = 1.0, 0.05
"""A request is late when the generator sent it later than this, and than this part of the median response time."""

LATE_SHARE = 0.05
"""The largest share of late requests in a measurement that counts."""

LAG_MS, LAG_PART = 5.0, 0.2
"""The event loop lags where in most slices its longest delay exceeds this, and this part of the median."""

QUANTILES = {"http.p50_ms": 50.0, "http.p90_ms": 90.0, "http.p95_ms": 95.0, "http.p99_ms": 99.0, "http.max_ms": 100.0}


def answered(load: Any) -> list[float]:
    """Latencies in ms of the requests that count: answered as expected, and not a user's first of the window."""
    return [float(request[1]) for request in load["requests"] if request[5] and not request[6]]


def failed(load: Any) -> int:
    """Requests that failed; each user's first is among them, and so are those that never got an answer."""
    return sum(not request[5] for request in load["requests"]) + int(load.get("cut", 0))


def error_rate(load: Any) -> float:
    """Failed requests over all requests."""
    return failed(load) / max(len(load["requests"]) + int(load.get("cut", 0)), 1)


def bytes_per_response(load: Any) -> float:
    """Bytes of body on the wire, mean over the requests that were answered."""
    sizes = [float(request[3]) for request in load["requests"] if request[2]]
    return float(np.mean(sizes)) if sizes else 0.0


def connections_per_request(load: Any) -> float:
    """Connections opened over requests: near 0 where they are kept alive, 1 where each request opens one."""
    return float(load["connections"] / max(len(load["requests"]), 1))


def generator_faults(load: Any) -> tuple[str, ...]:
    """Why the load generator, not what it loaded, was the bottleneck; empty where it was not.

    A measurement with such a fault does not count: a latency then holds the generator's own delays, or the load was
    not what was asked for.
    """
    faults = []
    busy = load["client_cpu_s"] / max(load["seconds"], 1e-9)
    if busy > BUSY:
        faults.append(f"it used {busy:.0%} of its core")
    latencies = answered(load)
    centre = median(latencies) if latencies else 0.0
    limit = max(LATE_MS, LATE_PART * centre)
    share = sum(row[7] > limit for row in load["requests"] if len(row) > 7) / max(len(load["requests"]), 1)
    # Users of a closed model who send late load a little less; in an open model it is in the latencies.
    if load.get("rate") is not None and share > LATE_SHARE:
        faults.append(f"it sent {share:.0%} of the requests over {limit:.1f} ms late")
    lags = load.get("lags_ms") or [0.0]
    if median(lags) > max(LAG_MS, LAG_PART * centre):
        faults.append(f"its event loop lagged by {median(lags):.1f} ms")
    return tuple(faults)


def capacity_rps(search: Any) -> float:
    """The highest rate that held every goal below the lowest rate that did not; 0.0 where none did.

    A rate that was tried again counts by its last try.
    """
    tries = {float(step["rate"]): not missed_goals(step, search["goals"]) for step in search["steps"]}
    broken = min((rate for rate, held in tries.items() if not held), default=float("inf"))
    return max((rate for rate, held in tries.items() if held and rate < broken), default=0.0)


def missed_goals(step: Any, goals: Sequence[tuple[str, float]]) -> list[str]:
    """The goals that a step of a capacity search misses, each as a phrase.

    Requests that had no answer when the step ended count as endless: because it was given up, or was stopped early when
    so many had been too slow that a goal could not be met any more. So a growing backlog misses any goal of latency.
    """
    missed = []
    for metric, limit in goals:
        value = error_rate(step) if metric == "http.error_rate" else _tail(step, QUANTILES[metric])
        if value > limit:
            told = "no answer" if value == float("inf") else f"{value:.4g}"
            missed.append(f"{metric} {told} (at most {limit:.4g})")
    return missed


def _tail(step: Any, q: float) -> float:
    """A percentile over all the requests that were due, in which those without an answer count as endless."""
    waiting = max(int(step["arrivals"]) - len(step["requests"]), 0)
    ordered = sorted(answered(step)) + [float("inf")] * waiting
    if not ordered:
        return float("inf")
    # Interpolating towards infinity gives no number.
    above = ordered[math.ceil(q / 100 * (len(ordered) - 1))]
    return above if above == float("inf") else percentile(ordered, q)
