"""What the coder is shown once something was kept: the evidence that its step cites, taken again of today's code."""

from collections.abc import Awaitable, Callable, Iterable

from agents.briefs import show_evidence
from agents.crew import Crew
from graphs.instruments import take_explain, take_payload, take_queries
from graphs.state import RunState
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Workload
from perfcrew.records.work import Change
from tools.cpu import sketch_cpu
from tools.queries import recall_queries

ARM = "now"
Take = Callable[[], Awaitable[Evidence]]


async def show_fresh(state: RunState, crew: Crew, head: str, kept: Iterable[Change], cited: Iterable[Evidence]) -> str:
    """The cited evidence as text: of the code as it stands now where that can be told, else of the base, marked so."""
    items = list(cited)
    last = [change for change in kept if change.kept]
    if head == state["base"] or not last:
        return show_evidence(items)
    lane = f"{state['round']}/implementation/fresh/{last[-1].step}"
    fresh: list[Evidence] = []
    stale: list[Evidence] = []
    for item in items:
        taken = await _take_again(crew, lane, head, item)
        (stale if taken is None else fresh).append(taken or item)
    parts = [show_evidence(fresh)] if fresh else []
    if stale:
        told = "Of the base, before what was kept; figures may have moved since:" if fresh or crew.journal.live else ""
        parts += [told, show_evidence(stale)]
    return "\n\n".join(part for part in parts if part)


async def _take_again(crew: Crew, lane: str, head: str, item: Evidence) -> Evidence | None:
    """The same instrument on another commit; None where it is too dear for that, or nothing could come of it."""
    workload = _workload_of(crew, item)
    take = _instrument(crew, head, item.kind, workload)
    key = f"{item.kind}@{workload.name}"
    if take is None or not crew.journal.heard(lane, key):
        return None
    try:
        return await crew.journal.effect(lane, key, Evidence, take, asked=head)
    except (InstrumentError, ReplayMiss):
        return None


def _workload_of(crew: Crew, item: Evidence) -> Workload:
    name = item.id.partition("@")[2].rpartition("/")[0]
    known = {workload.name: workload for workload in crew.workspace.target.workload}
    return known.get(name, crew.workspace.target.primary)


def _instrument(crew: Crew, head: str, kind: str, workload: Workload) -> Take | None:
    workspace = crew.workspace
    if workload.kind != "http":
        return None

    async def explain() -> Evidence:
        return await take_explain(workspace, await recall_queries(workspace, head, workload, ARM), ARM)

    known: dict[str, Take] = {
        "queries": lambda: take_queries(workspace, head, workload, ARM),
        "explain": explain,
        "cpu": lambda: sketch_cpu(workspace, head, workload, ARM),
        "payload": lambda: take_payload(workspace, head, workload, ARM),
    }
    return known.get(kind)
