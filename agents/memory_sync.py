"""The `memory-sync` role: the architecture and its performance-critical paths, for the knowledge graph."""

from agents.agent import Agent
from agents.briefs import show_request, show_target
from perfcrew.records.base import Record
from perfcrew.records.target import Target
from perfcrew.records.work import CriticalPath, RecipeRequest, Snapshot
from tools.knowledge import query_graph, show_path
from tools.source import list_files, read_file, search_code


class SnapshotAnswer(Record):
    """The system as it stands."""

    summary: str
    components: tuple[str, ...]
    critical_paths: tuple[CriticalPath, ...]
    patterns: tuple[str, ...]


SNAPSHOT = Agent(
    role="memory-sync",
    prompt="memory_sync",
    tools=(list_files, read_file, search_code, query_graph, show_path),
    answer=SnapshotAnswer,
    turns=10,
)


def brief_snapshot(request: RecipeRequest, target: Target, graph: str) -> str:
    """What the role sees in phase 1."""
    return "\n\n".join((show_request(request), show_target(target), "# Knowledge graph so far", graph))


def to_snapshot(answer: SnapshotAnswer, graph: dict[str, int]) -> Snapshot:
    """The answer with the size of the graph."""
    return Snapshot(**answer.model_dump(), graph=graph)
