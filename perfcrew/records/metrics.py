"""The metrics that perfcrew reports: names, units, and which way is better."""

from typing import Literal

from perfcrew.records.base import Better, Record


class Metric(Record):
    """A metric by its standard name."""

    name: str
    unit: str
    better: Better
    basis: Literal["timed", "counted", "sampled"]
    """Timed metrics need interleaved rounds and intervals; counted ones are exact; sampled ones are guards."""
    title: str


_ALL = (
    Metric(name="http.p50_ms", unit="ms", better="lower", basis="timed", title="response time, median (P50)"),
    Metric(name="http.p90_ms", unit="ms", better="lower", basis="timed", title="response time, P90"),
    Metric(name="http.p95_ms", unit="ms", better="lower", basis="timed", title="response time, P95"),
    Metric(name="http.p99_ms", unit="ms", better="lower", basis="timed", title="response time, P99"),
    Metric(name="http.max_ms", unit="ms", better="lower", basis="sampled", title="response time, longest"),
    Metric(name="http.mean_ms", unit="ms", better="lower", basis="timed", title="response time, mean"),
    Metric(name="http.rps", unit="1/s", better="higher", basis="timed", title="completed requests a second (RPS)"),
    Metric(name="http.writes_per_s", unit="1/s", better="higher", basis="timed", title="answered writes a second"),
    Metric(name="http.capacity_rps", unit="1/s", better="higher", basis="sampled", title="highest rate within goals"),
    Metric(name="http.connections_per_request", unit="1", better="lower", basis="sampled", title="connections opened"),
    Metric(name="http.error_rate", unit="1", better="lower", basis="sampled", title="share of failed requests"),
    Metric(name="http.bytes_per_response", unit="B", better="lower", basis="counted", title="bytes on the wire"),
    Metric(name="cpu.ms_per_request", unit="ms", better="lower", basis="timed", title="CPU time a request"),
    Metric(name="cpu.utilisation", unit="1", better="lower", basis="sampled", title="share of the server's cores"),
    Metric(name="db.queries_per_request", unit="1", better="lower", basis="counted", title="queries a request"),
    Metric(name="db.pool_wait_ms", unit="ms", better="lower", basis="sampled",
           title="waiting for a pooled connection, mean a request"),
    Metric(name="db.pool_wait_max_ms", unit="ms", better="lower", basis="sampled",
           title="waiting for a pooled connection, longest"),
    Metric(name="db.pool_full", unit="1", better="lower", basis="sampled",
           title="share of checkouts that took the last connection or waited"),
    Metric(name="db.remote_ms", unit="ms", better="lower", basis="sampled",
           title="added response time with the database about 1 ms away"),
    Metric(name="memory.peak_mb", unit="MB", better="lower", basis="sampled", title="peak memory (USS)"),
    Metric(name="memory.peak_above_idle_mb", unit="MB", better="lower", basis="sampled",
           title="peak memory above the idle server's"),
    Metric(name="memory.allocations_per_request", unit="1", better="lower", basis="counted",
           title="memory allocations a request"),
    Metric(name="loop.lag_p50_ms", unit="ms", better="lower", basis="sampled", title="event-loop lag, median (P50)"),
    Metric(name="loop.lag_p95_ms", unit="ms", better="lower", basis="sampled", title="event-loop lag, P95"),
    Metric(name="loop.lag_max_ms", unit="ms", better="lower", basis="sampled", title="event-loop lag, longest"),
    Metric(name="memory.growth_kb_per_request", unit="kB", better="lower", basis="sampled", title="memory growth"),
    Metric(name="command.seconds", unit="s", better="lower", basis="timed", title="wall time of the command"),
    Metric(name="start.seconds", unit="s", better="lower", basis="sampled", title="time until ready"),
    Metric(name="page.lcp_ms", unit="ms", better="lower", basis="timed", title="largest contentful paint (LCP)"),
    Metric(name="page.cls", unit="1", better="lower", basis="timed", title="cumulative layout shift (CLS)"),
    Metric(name="page.inp_ms", unit="ms", better="lower", basis="timed", title="interaction to next paint (INP)"),
    Metric(name="page.tbt_ms", unit="ms", better="lower", basis="timed", title="total blocking time (TBT)"),
    Metric(name="page.fcp_ms", unit="ms", better="lower", basis="timed", title="first contentful paint (FCP)"),
    Metric(name="page.ttfb_ms", unit="ms", better="lower", basis="timed", title="time to first byte of the page"),
    Metric(name="page.fid_ms", unit="ms", better="lower", basis="timed", title="first input delay (FID, retired)"),
    Metric(name="page.tti_ms", unit="ms", better="lower", basis="timed", title="time to interactive (TTI, retired)"),
    Metric(name="page.bytes", unit="B", better="lower", basis="counted", title="bytes that the page loads"),
    Metric(name="page.requests", unit="1", better="lower", basis="counted", title="requests that the page makes"),
    Metric(name="page.unused_bytes", unit="B", better="lower", basis="counted", title="script and style not used"),
)  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
