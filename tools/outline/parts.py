"""What an outline is made of: nodes, edges, and the builder that gathers them."""

from typing import Literal

from perfcrew.records.base import Record

NodeKind = Literal["route", "function", "class", "query", "table", "file", "index", "external"]
Relation = Literal["handles", "calls", "reads", "writes", "maps_to", "defined_in", "issues", "has_index"]
"""All edges but `defined_in` point the way that a request goes: route, function, query, table, index."""


class Node(Record):
    """A thing in the code base. Ids are stable: `route:GET /api/x`, `function:pkg.mod.name`, `table:users`."""

    id: str
    kind: NodeKind
    name: str
    path: str | None = None
    """Relative to the repository's root."""
    line: int | None = None
    end_line: int | None = None
    detail: str = ""


class Edge(Record):
    """How two things connect: `source` *relation* `target`."""

    source: str
    relation: Relation
    target: str
    detail: str = ""
    """How it is known, where that is weaker than a resolved name; or what was counted."""


class Outline(Record):
    """All nodes and edges found, and the files that could not be read."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    skipped: tuple[str, ...] = ()
    """`path: why`, for files that are too large or don't parse."""


class Builder:
    """Gathers nodes and edges, each once; the first description of a node wins, and empty fields are filled later."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str, str], Edge] = {}
        self.skipped: list[str] = []

    def node(
        self, kind: NodeKind, name: str, path: str | None = None, span: tuple[int, int] | None = None, detail: str = ""
    ) -> str:
        """Add a node and return its id. `span` is its first and last line."""
        new = f"{kind}:{name}"
        known = self.nodes.get(new)
        if known is None or (known.path is None and path is not None):
            line, end_line = span or (None, None)
            self.nodes[new] = Node(id=new, kind=kind, name=name, path=path, line=line, end_line=end_line, detail=detail)
        return new

    def edge(self, source: str, relation: Relation, target: str, detail: str = "") -> None:
        """Add an edge; one that is known for certain replaces a guess."""
        key = (source, relation, target)
        if key not in self.edges or not detail:
            self.edges[key] = Edge(source=source, relation=relation, target=target, detail=detail)

    def outline(self) -> Outline:
        """All that was gathered, in stable order."""
        nodes = tuple(self.nodes[key] for key in sorted(self.nodes))
        return Outline(
            nodes=nodes, edges=tuple(self.edges[key] for key in sorted(self.edges)), skipped=tuple(self.skipped)
        )
