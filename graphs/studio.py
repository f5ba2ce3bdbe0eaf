"""The recipe for `langgraph dev`: each thread is a run on the repository that PERFCREW_STUDIO_REPO names.

    langgraph dev --allow-blocking

The input may be empty, or `{"request": {"variation": "api", "approve": true}}`. Interrupts, such as the approval of a
plan, are answered in Studio with `{"approved": true, "note": ""}`. State lives in the development server, which keeps
it in the folder .langgraph_api; journal and artifacts are in the run's folder, and which thread is which run is written
down there too. So a thread goes on where it stood when the server was stopped, by whatever means.
"""

import asyncio
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from langgraph.config import get_config
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from pydantic import ValidationError

from graphs.assembly import assemble
from graphs.engine import RunOptions, prepare
from graphs.phase import Run
from graphs.recipe import build
from graphs.runs import MANIFEST, claim_run
from graphs.state import RunState, start
from perfcrew.artifacts import write_whole
from perfcrew.errors import UserError
from perfcrew.records.events import Event
from perfcrew.records.work import RecipeRequest
from perfcrew.settings import Settings, load_settings

THREADS = "studio"
"""Folder below the home: a file for each thread, which holds its run's id."""
_runs: dict[str, Run] = {}
"""Thread to its run, as long as the server lives."""
_claims = ExitStack()
_opening = asyncio.Lock()


def recipe() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph with a first node that fills the state, and contexts made per thread."""
    return build(begin=_begin, context=_context)


async def _begin(state: RunState, *, runtime: Runtime[Run]) -> RunState:
    request = read_request(state.get("request"))
    run = await _context(runtime)
    return start(request, run.crew.workspace.base_commit)


def read_request(given: Any) -> RecipeRequest:
    """The request in a thread's input; a plan is shown for approval where it says nothing else.

    Raises:
        UserError: it does not fit.
    """
    if not given:
        return RecipeRequest(approve=True)
    try:
        return RecipeRequest.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(f"request, {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


async def _context(_: Runtime[Run]) -> Run:
    thread = str(get_config()["configurable"]["thread_id"])
    # Parallel branches ask at once, and only one of them may open the run.
    async with _opening:
        if thread not in _runs:
            _runs[thread] = await _open(thread, load_settings())
        return _runs[thread]


async def _open(thread: str, settings: Settings) -> Run:
    """The thread's run: the one that it had before the server was started again, or a new one."""
    file = settings.home / THREADS / re.sub(r"[^\w-]", "_", thread)
    known = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    resumed = bool(known) and (settings.home / "runs" / known / MANIFEST).is_file()
    options = RunOptions(
        repo=settings.studio_repo or Path(),
        run_id=known if resumed else None,
        replay=settings.studio_replay,
        frozen=settings.studio_replay is not None,
    )
    manifest, folder = await prepare(options, settings)
    if not resumed:
        await asyncio.to_thread(write_whole, file, manifest.run_id.encode())
    _claims.enter_context(claim_run(folder))
    return await assemble(manifest, folder, settings, _ignore)


def _ignore(_: Event) -> None:
    """Studio shows the state itself."""
