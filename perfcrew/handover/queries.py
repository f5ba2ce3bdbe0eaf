"""What Prometheus is asked: the same expressions in the dashboard and in the alert rules."""

from perfcrew.handover.exporters import Exporter, match_routes, select
from perfcrew.records.target import Workload


def response_time(exporter: Exporter, workload: Workload, share: float, window: str) -> str:
    """A quantile of the response time in seconds, over all routes of a workload."""
    series = select(f"{exporter.histogram}_bucket", match_routes(exporter.route, workload))
    return f"histogram_quantile({share:g}, sum by (le) (rate({series}[{window}])))"


def request_rate(exporter: Exporter, workload: Workload, window: str) -> str:
    """Requests a second."""
    series = select(f"{exporter.histogram}_count", match_routes(exporter.route, workload))
    return f"sum(rate({series}[{window}]))"


def error_share(exporter: Exporter, workload: Workload, window: str) -> str:
    """Share of requests that the server failed: 0 to 1; nothing where there are none."""
    routes = match_routes(exporter.counted_route, workload)
    failed = select(exporter.counter, f'{exporter.status}=~"5.."', routes)
    every = select(exporter.counter, routes)
    # Without any failure there is no such series at all, which is a share of 0 and not of nothing.
    return f"(sum(rate({failed}[{window}])) or vector(0)) / sum(rate({every}[{window}]))"


def missing(exporter: Exporter, workload: Workload) -> str:
    """1 where no response time of the workload's routes is known at all."""
    return f"absent({select(f'{exporter.histogram}_count', match_routes(exporter.route, workload))})"


def memory(exporter: Exporter, workload: Workload) -> str:
    """Resident bytes of each process that answers a workload's routes, named as Prometheus' client libraries do."""
    return f"process_resident_memory_bytes {_of_target(exporter, workload)}"


def cpu(exporter: Exporter, workload: Workload, window: str) -> str:
    """Cores that each such process uses."""
    return f"rate(process_cpu_seconds_total[{window}]) {_of_target(exporter, workload)}"


def _of_target(exporter: Exporter, workload: Workload) -> str:
    # Every program that Prometheus watches has such series: only those of processes with the workload's routes count.
    return f"and on (job, instance) {select(f'{exporter.histogram}_count', match_routes(exporter.route, workload))}"
