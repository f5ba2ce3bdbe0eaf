"""Traces by OpenTelemetry, in the semantic conventions for generative AI: run, phase, agent, model call, tool.

Off unless an OTLP endpoint is given by the standard variables; while it is off nothing of OpenTelemetry is imported and
a span costs microseconds. Spans hold names, token counts and outcomes. What was said to a model and what it answered
is only in them when the standard variable for that is set, and then without secrets.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

Value = str | bool | int | float | Sequence[str] | None
FLUSH_MS = 5000
"""Longest wait for spans to be sent when a run ends."""
_PROVIDERS = {"openai-chat": "openai"}


class Span(Protocol):
    """Something under way."""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes; None is left out."""
        ...

    def say(self, name: str, content: Callable[[], Any]) -> None:
        """Add what was said, where that was asked for; `content` gives it as JSON, without secrets."""
        ...


class _Silent:
    def note(self, attributes: Mapping[str, Value]) -> None:
        pass

    def say(self, name: str, content: Callable[[], Any]) -> None:
        pass


class _Live:
    def __init__(self, span: Any, captures: bool) -> None:
        self._span, self._captures = span, captures

    def note(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes({name: value for name, value in attributes.items() if value is not None})

    def say(self, name: str, content: Callable[[], Any]) -> None:
        if self._captures:
            value = content()
            self._span.set_attribute(name, value if isinstance(value, str) else json.dumps(value))


class Telemetry:
    """Where spans go. There is one in a process, as the standard variables are the process's."""

    def __init__(self) -> None:
        self._provider: TracerProvider | None = None
        self._captures = False

    def switch_on(self, endpoint: str, *, headers: str = "", captures: bool, tell: Callable[[str], None]) -> None:
        """Send spans from now on; again, it only takes the newer listener.

        Args:
            endpoint: where traces are posted by OTLP over HTTP.
            headers: as in OTEL_EXPORTER_OTLP_HEADERS; the other variables are read by the SDK.
            captures: whether spans hold what was said.
            tell: gets a line when spans can't be sent, once.
        """
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if self._provider is None:
            resource = Resource.create()
            if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
                resource = resource.merge(
                    Resource({"service.name": "perfcrew", "service.version": version("perfcrew")})
                )
            provider = TracerProvider(resource=resource)
            exporter = OTLPSpanExporter(endpoint=endpoint, headers=_read_headers(headers) or None)
            provider.add_span_processor(BatchSpanProcessor(_telling(exporter, endpoint, tell)))
            self._provider = provider
        self._captures = captures

    def switch_off(self) -> None:
        """Send what there is and forget the endpoint."""
        provider, self._provider = self._provider, None
        if provider is not None:
            provider.shutdown()

    def flush(self) -> None:
        """Send what there is, for at most a few seconds."""
        if self._provider is not None:
            self._provider.force_flush(FLUSH_MS)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value]) -> Iterator[Span]:
        """A span around a block; an error that leaves the block is named in it, without its message."""
        if self._provider is None:
            yield _SILENT
            return
        from opentelemetry.trace import SpanKind, StatusCode

        remote = attributes.get("gen_ai.operation.name") == "chat"
        with self._provider.get_tracer("perfcrew", version("perfcrew")).start_as_current_span(
            name,
            kind=SpanKind.CLIENT if remote else SpanKind.INTERNAL,
            attributes={key: value for key, value in attributes.items() if value is not None},
            record_exception=False,
            set_status_on_exception=False,
        ) as live:
            try:
                yield _Live(live, self._captures)
            except BaseException as error:
                live.set_attribute("error.type", type(error).__qualname__)
                if type(error).__name__ != "GraphInterrupt":  # a plan that waits for a person is no failure
                    live.set_status(StatusCode.ERROR)
                raise


_SILENT = _Silent()
TELEMETRY = Telemetry()


def split_model(model: str) -> tuple[str, str]:
    """Provider and name as the conventions have them, of `provider/name`."""
    provider, _, name = model.partition("/")
    return _PROVIDERS.get(provider, provider), name or provider


def _read_headers(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _telling(exporter: "SpanExporter", endpoint: str, tell: Callable[[str], None]) -> "SpanExporter":
    """The exporter, which tells its first failure in a line in place of logging all of them."""
    import logging

    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    told = threading.Event()

    class Telling(SpanExporter):
        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            result = exporter.export(spans)
            if result is not SpanExportResult.SUCCESS and not told.is_set():
                told.set()
                tell(f"telemetry: {endpoint} does not take traces by OTLP over HTTP; all goes on without them")
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return exporter.force_flush(timeout_millis)

    return Telling()
