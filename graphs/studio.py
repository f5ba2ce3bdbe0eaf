"""The recipe for `langgraph dev`: each thread is a run on the repository that PERFCREW_STUDIO_REPO names.

    langgraph dev --allow-blocking

The input may be empty. Interrupts, such as the approval of a plan, are answered in Studio with
`{"approved": true, "note": ""}`. State lives in the development server; journal and artifacts in the run's folder.
"""

from pathlib import Path
from typing import Any

from langgraph.config import get_config
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from graphs.assembly import assemble
from graphs.engine import RunOptions, prepare
from graphs.phase import Run
from graphs.recipe import build
from graphs.state import RunState, start
from perfcrew.records.events import Event
from perfcrew.records.work import RecipeRequest
from perfcrew.settings import load_settings

_runs: dict[str, Run] = {}
"""Thread to its run, as long as the server lives."""


def recipe() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph with a first node that fills the state, and contexts made per thread."""
    return build(begin=_begin, context=_context)


async def _begin(state: RunState, *, runtime: Runtime[Run]) -> RunState:
    run = await _context(runtime)
    return start(state.get("request") or RecipeRequest(approve=True), run.crew.workspace.base_commit)


async def _context(_: Runtime[Run]) -> Run:
    thread = str(get_config()["configurable"]["thread_id"])
    if thread not in _runs:
        settings = load_settings()
        options = RunOptions(repo=settings.studio_repo or Path())
        manifest, folder = await prepare(options, settings)
        _runs[thread] = await assemble(manifest, folder, settings, _ignore)
    return _runs[thread]


def _ignore(_: Event) -> None:
    """Studio shows the state itself."""
