"""By which names a target's metrics reach Prometheus, told from the libraries that its requirements name.

Sources: the documentation of each library; without one of them the names of OpenTelemetry's semantic conventions for
HTTP servers (1.23, stable), as its Prometheus exporter writes them.
"""

import re
from collections.abc import Iterable

from perfcrew.records.base import Record
from perfcrew.records.target import Workload


class Exporter(Record):
    """A library that exports HTTP metrics."""

    name: str
    package: str
    """As requirements name it."""
    histogram: str
    """Response times in seconds, without the ending `_bucket`."""
    route: str
    """Label with the route of `histogram`; empty where it has none that a path could be matched with."""
    counter: str
    """Counter of requests with a status."""
    status: str
    """Label with the status of `counter`."""
    counted_route: str
    """Label with the route of `counter`; empty where it has none."""


_OTEL = Exporter(
    name="OpenTelemetry", package="", histogram="http_server_request_duration_seconds", route="http_route",
    counter="http_server_request_duration_seconds_count", status="http_response_status_code",
    counted_route="http_route",
)  # fmt: skip
_KNOWN = (
    Exporter(
        name="prometheus-fastapi-instrumentator", package="prometheus-fastapi-instrumentator",
        histogram="http_request_duration_seconds", route="handler", counter="http_requests_total", status="status",
        counted_route="handler",
    ),
    Exporter(
        name="starlette-exporter", package="starlette-exporter", histogram="starlette_request_duration_seconds",
        route="path", counter="starlette_requests_total", status="status_code", counted_route="path",
    ),
    Exporter(
        name="prometheus-flask-exporter", package="prometheus-flask-exporter",
        histogram="flask_http_request_duration_seconds", route="path", counter="flask_http_request_total",
        status="status", counted_route="",
    ),
    Exporter(
        name="django-prometheus", package="django-prometheus",
        histogram="django_http_requests_latency_seconds_by_view_method", route="",
        counter="django_http_responses_total_by_status_total", status="status", counted_route="",
    ),
    Exporter(
        name="express-prom-bundle", package="express-prom-bundle", histogram="http_request_duration_seconds",
        route="path", counter="http_request_duration_seconds_count", status="status_code", counted_route="path",
    ),
)  # fmt: skip


def find_exporter(requirements: str) -> tuple[Exporter, bool]:
    """The exporter, and whether the requirements name it; else it is what we suggest.

    Args:
        requirements: the text of all files that name dependencies.
    """
    plain = requirements.lower().replace("_", "-")
    for exporter in _KNOWN:
        if exporter.package in plain:
            return exporter, True
    return _OTEL, "opentelemetry" in plain


def match_routes(label: str, workload: Workload) -> str:
    """A label matcher for the routes of a workload, `{name}` standing for one part of a path; empty without a label."""
    if not label or not workload.request:
        return ""
    patterns = dict.fromkeys(_pattern(request.path) for request in workload.request)
    return f"{label}=~{_quote('|'.join(patterns))}"


def select(name: str, *matchers: str) -> str:
    """A metric with its label matchers; the empty ones are left out."""
    given = [matcher for matcher in matchers if matcher]
    return f"{name}{{{','.join(given)}}}" if given else name


def loaded(workloads: Iterable[Workload]) -> tuple[Workload, ...]:
    """Those that are HTTP requests, which a server's metrics can tell about."""
    return tuple(workload for workload in workloads if workload.kind in ("http", "locust"))


def _pattern(path: str) -> str:
    plain = path.partition("?")[0]
    return "[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", plain)).replace(r"\-", "-")


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
