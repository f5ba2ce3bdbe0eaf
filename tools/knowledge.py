"""The knowledge graph: what the code base consists of, how it connects, and what of it costs how much.

An outline of the checkout (`tools.outline`) gives nodes and edges; measurements add queries, shares and counts
(`tools.graph_merge`); both stand in one SQLite file of the run. Ids are stable: `route:GET /api/x`,
`function:pkg.mod.name`, `table:users`, `query:<id of the fingerprint>`.
"""

import asyncio
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from perfcrew.errors import ToolError
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from tools.graph_merge import merge_evidence
from tools.graph_store import GraphStore
from tools.graph_text import GraphText
from tools.outline import Node, read_outline
from tools.outline.parts import Relation
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

SUMMARY_ROUTES = 12
MAX_LINES = 120


class GraphSummary(Record):
    """What a build found."""

    counts: dict[str, int]
    """Nodes by kind and edges by relation."""
    skipped: tuple[str, ...]
    """Files that could not be read, with the reason."""
    digest: str
    """The routes that reach most, as trees, and the tables, for readers."""


def open_graph(workspace: Workspace) -> GraphStore:
    """The run's knowledge graph; an empty one comes to be when there is none."""
    return GraphStore(workspace.folder / "knowledge.db")


async def build_graph(workspace: Workspace, checkout: Path) -> GraphSummary:
    """Read the outline of a checkout into the graph. Again: replaces the outline, keeps what was measured."""
    outline = await asyncio.to_thread(read_outline, checkout, workspace.target.target.source)
    store = open_graph(workspace)
    store.replace_outline(outline)
    return GraphSummary(counts=store.count(), skipped=outline.skipped, digest=describe_paths(workspace, SUMMARY_ROUTES))


def merge_measurements(workspace: Workspace, evidence: Iterable[Evidence]) -> None:
    """Add queries with the lines that issue them, and measured shares of functions and routes. Idempotent."""
    store = open_graph(workspace)
    for item in evidence:
        merge_evidence(store, workspace.artifacts, item)


def describe_paths(workspace: Workspace, limit: int) -> str:
    """The performance-critical paths, the costliest first: route, functions, queries and tables with their shares.

    Args:
        workspace: where the graph is.
        limit: how many routes are drawn; the others are named.
    """
    return GraphText(open_graph(workspace)).describe(limit)


class GraphQuery(Record):
    """Where to start and how far to go."""

    start: str = Field(
        description="id such as `function:pkg.mod.name`, `table:users`, `route:GET /api/x`, or a part of a name"
    )
    relation: Relation | None = Field(default=None, description="follow only this relation; all by default")
    direction: Literal["out", "in"] = Field(
        default="out", description="`out`: what it calls, reads, writes; `in`: what calls, reads or writes it"
    )
    depth: int = Field(default=2, ge=1, le=5)


class RouteQuery(Record):
    """A route of the application."""

    route: str = Field(description="such as `GET /api/users/{id}`, as the code declares it")


@tool(GraphQuery)
async def query_graph(arguments: GraphQuery, workspace: Workspace) -> ToolOutput:
    """Walk the knowledge graph of the code base from one node: callers or callees of a function, readers and
    writers of a table, indexes of a table, queries with how often they run in a request. Answers with one line per
    edge, indented by distance."""
    store = open_graph(workspace)
    text = GraphText(store)
    start = _find(store, arguments.start)
    lines = [text.label(start.id)]
    _walk(store, text, start.id, arguments, 1, {start.id}, lines)
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"… and {len(lines) - MAX_LINES} more; name a relation or a smaller depth"]
    return ToolOutput(content="\n".join(lines))


def _walk(
    store: GraphStore, text: GraphText, name: str, wanted: GraphQuery, depth: int, seen: set[str], lines: list[str]
) -> None:
    for edge in store.neighbours(name, wanted.direction, wanted.relation):
        other = edge.target if wanted.direction == "out" else edge.source
        arrow = f"{edge.relation} →" if wanted.direction == "out" else f"← {edge.relation}"
        lines.append(f"{'  ' * depth}{arrow} {text.label(other)}")
        if other not in seen and depth < wanted.depth:
            seen.add(other)
            _walk(store, text, other, wanted, depth + 1, seen, lines)


@tool(RouteQuery)
async def show_path(arguments: RouteQuery, workspace: Workspace) -> ToolOutput:
    """Show what a request to a route runs through: handler, functions, queries and tables as a tree, with measured
    shares and counts where there are any."""
    text = GraphText(open_graph(workspace))
    routes = {route.name: route.id for route in text.routes()}
    wanted = arguments.route.removeprefix("route:")
    if wanted not in routes:
        raise ToolError(f"there is no route {wanted!r}; there are: {', '.join(routes) or 'none'}")
    return ToolOutput(content="\n".join(text.tree(routes[wanted])))


def _find(store: GraphStore, wanted: str) -> Node:
    """The node that a model means: by id, by name, by the end of its name, or by a part that only one has.

    Raises:
        ToolError: there is none, or there are several; the message names candidates.
    """
    if exact := store.node(wanted):
        return exact
    nodes = store.nodes()
    for fits in (
        lambda node: node.name == wanted,
        lambda node: node.name.endswith(f".{wanted}"),
        lambda node: wanted.lower() in node.id.lower(),
    ):
        found = [node for node in nodes if fits(node)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ToolError(f"{wanted!r} may be: {', '.join(node.id for node in found[:20])}; give one of these ids")
    close = difflib.get_close_matches(wanted, [node.id for node in nodes], n=5, cutoff=0.4)
    raise ToolError(f"there is nothing like {wanted!r} in the graph; close: {', '.join(close) or 'nothing'}")
