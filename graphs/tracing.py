"""The span of a whole run, measure or comparison; all others are inside it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from graphs.runs import Manifest
from perfcrew.records.events import Event
from perfcrew.settings import Settings
from perfcrew.telemetry import TELEMETRY


@asynccontextmanager
async def traced(manifest: Manifest, settings: Settings, watch: Callable[[Event], None]) -> AsyncIterator[None]:
    """Trace a block as one run, where the settings name an endpoint."""
    if endpoint := settings.traces_endpoint:
        TELEMETRY.switch_on(
            endpoint,
            headers=settings.otel_headers.get_secret_value() if settings.otel_headers else "",
            captures=settings.captures_content,
            tell=lambda line: watch(Event(kind="warning", text=line)),
        )
    name = "recipe" if manifest.kind == "run" else manifest.kind
    attributes = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": name,
        "gen_ai.conversation.id": manifest.run_id,
        "perfcrew.run_id": manifest.run_id,
        "perfcrew.commit": manifest.base,
        "perfcrew.variation": manifest.request.variation,
    }
    try:
        with TELEMETRY.span(f"invoke_workflow {name}", attributes):
            yield
    finally:
        await asyncio.to_thread(TELEMETRY.flush)
