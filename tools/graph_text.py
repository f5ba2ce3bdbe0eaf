"""The knowledge graph as text: performance-critical paths as trees, tables with their indexes, totals."""

from collections.abc import Mapping

from tools.graph_store import GraphStore
from tools.outline import Edge, Node

MAX_DEPTH = 8
MAX_LINES = 40
"""Lines of one route's tree; what is cut is counted."""
MAX_SQL = 160
SMALL = 0.01
"""Functions below this share that reach no data are left out of trees."""
_DATA = {"query", "table", "external"}
_ORDER = {"issues": 0, "reads": 1, "writes": 1, "calls": 2, "handles": 2}
_UNITS = {
    "time_share": "{:.0%} of the time",
    "cpu_share": "{:.0%} of CPU",
    "self_share": "{:.0%} of CPU itself",
    "wall_share": "{:.0%} of wall time",
    "ms": "{:.3g} ms a request",
    "queries": "{:.4g} queries a request",
}


class GraphText:
    """Renders one state of the graph; reads everything once."""

    def __init__(self, store: GraphStore) -> None:
        self.nodes = {node.id: node for node in store.nodes()}
        self.measures: Mapping[str, Mapping[str, float]] = store.measures()
        self.out: dict[str, list[Edge]] = {}
        for edge in store.edges():
            self.out.setdefault(edge.source, []).append(edge)
        self._weights: dict[str, float] = {}
        self._reaching: set[str] = self._reach_data()

    def _reach_data(self) -> set[str]:
        """All nodes from which a query, a table or an external service can be reached."""
        callers: dict[str, set[str]] = {}
        for source, edges in self.out.items():
            for edge in edges:
                callers.setdefault(edge.target, set()).add(source)
        reached = {name for name, node in self.nodes.items() if node.kind in _DATA}
        frontier = list(reached)
        while frontier:
            for caller in callers.get(frontier.pop(), set()) - reached:
                reached.add(caller)
                frontier.append(caller)
        return reached

    def share(self, name: str) -> float:
        """The largest measured share of a node, 0 where none was measured."""
        return max(
            (value for metric, value in self.measures.get(name, {}).items() if metric.endswith("share")), default=0
        )

    def weight(self, route: str) -> tuple[float, float, int]:
        """What orders routes: measured share of the time, milliseconds, and how much they reach."""
        measured = self.measures.get(route, {})
        return measured.get("time_share", 0.0), measured.get("ms", 0.0), len(self.below(route))

    def below(self, start: str) -> set[str]:
        """All nodes that a request reaches from a node."""
        seen: set[str] = set()
        frontier = [start]
        while frontier:
            for edge in self.out.get(frontier.pop(), []):
                if edge.relation in _ORDER and edge.target not in seen:
                    seen.add(edge.target)
                    frontier.append(edge.target)
        return seen

    def routes(self) -> list[Node]:
        """All routes, the one that costs most first."""
        found = [node for node in self.nodes.values() if node.kind == "route"]
        return sorted(found, key=lambda node: (*(-part for part in self.weight(node.id)), node.name))

    def label(self, name: str) -> str:
        """A node in one line: name, place, measured values."""
        node = self.nodes.get(name)
        if node is None:
            return name
        place = f" ({node.path}:{node.line})" if node.path and node.line else ""
        figures = [
            _UNITS[metric].format(value)
            for metric, value in self.measures.get(name, {}).items()
            if metric in _UNITS and not (metric.endswith("share") and value < SMALL)
        ]
        text = f"{node.name}{place}" if node.kind == "function" else f"{node.kind} {node.name}{place}"
        if node.kind == "query":
            tables = sorted({edge.target.partition(":")[2] for edge in self.out.get(name, [])})
            text += f"{' on ' if tables else ''}{', '.join(tables)}: {_shorten(node.detail)}"
        elif node.detail:
            text += f": {node.detail}"
        return f"{text} [{', '.join(figures)}]" if figures else text

    def tree(self, start: str) -> list[str]:
        """The way of a request from a route down to the tables."""
        lines = [self.label(start)]
        self._grow(start, 1, lines, {start}, start.partition(":")[2])
        if len(lines) > MAX_LINES:
            lines = [*lines[:MAX_LINES], f"  … and {len(lines) - MAX_LINES} more lines"]
        return lines

    def _grow(self, name: str, depth: int, lines: list[str], seen: set[str], route: str) -> None:
        indent = "  " * depth
        edges = sorted(
            self.out.get(name, []), key=lambda edge: (_ORDER.get(edge.relation, 9), -self.share(edge.target))
        )
        lines += self._data_lines(edges, indent)
        for edge in edges:
            if edge.relation not in ("calls", "handles", "issues") or not self._telling(edge.target):
                continue
            if edge.target in seen:
                lines.append(f"{indent}→ {self.label(edge.target)} (shown above)")
            else:
                seen.add(edge.target)
                lines.append(f"{indent}→ {self.label(edge.target)}{_remark(edge, route)}")
                if depth < MAX_DEPTH and edge.relation != "issues":
                    self._grow(edge.target, depth + 1, lines, seen, route)

    def _telling(self, name: str) -> bool:
        return name in self._reaching or self.share(name) >= SMALL

    def _data_lines(self, edges: list[Edge], indent: str) -> list[str]:
        lines = []
        for relation in ("reads", "writes"):
            tables = [edge.target.partition(":")[2] for edge in edges if edge.relation == relation]
            if tables:
                lines.append(f"{indent}{relation} {', '.join(sorted(tables))}")
        return lines

    def tables(self) -> list[str]:
        """One line a table: its model and its indexes."""
        models = {
            edge.target: edge.source for edges in self.out.values() for edge in edges if edge.relation == "maps_to"
        }
        lines = []
        for name in sorted(name for name, node in self.nodes.items() if node.kind == "table"):
            indexes = [
                self.nodes[edge.target].detail for edge in self.out.get(name, []) if edge.relation == "has_index"
            ]
            model = f", model {models[name].partition(':')[2]}" if name in models else ""
            known = f"indexes: {'; '.join(indexes)}" if indexes else "no index in the code but keys"
            lines.append(f"{name.partition(':')[2]}{model}; {known}")
        return lines

    def describe(self, limit: int) -> str:
        """The paths of the routes that cost most, then the tables."""
        routes = self.routes()
        trees = {route.name: tree for route in routes if len(tree := self.tree(route.id)) > 1}
        parts = ["\n".join(tree) for tree in list(trees.values())[:limit]]
        drawn = list(trees)[:limit]
        if rest := [route.name for route in routes if route.name not in drawn]:
            parts.append(f"Other routes: {', '.join(rest)}")
        if hot := self._hot(routes):
            parts.append("\n".join(["Hot functions that no route reaches in the code:", *hot]))
        if tables := self.tables():
            parts.append("\n".join(["Tables:", *tables]))
        return "\n\n".join(parts) or "No routes, functions or tables were found."

    def _hot(self, routes: list[Node]) -> list[str]:
        reached: set[str] = set().union(*(self.below(route.id) for route in routes)) if routes else set()
        hot = [name for name in self.measures if self.share(name) >= SMALL and name not in reached]
        hot = [name for name in hot if name in self.nodes and self.nodes[name].kind == "function"]
        return [self.label(name) for name in sorted(hot, key=lambda name: (-self.share(name), name))[:10]]


def _remark(edge: Edge, route: str) -> str:
    """How an edge is known or how often it was taken; of counts for several routes the one for this route."""
    own = [part.removesuffix(f" of {route}") for part in edge.detail.split("; ") if part.endswith(f" of {route}")]
    detail = own[0] if own else edge.detail
    return f" ({detail})" if detail else ""


def _shorten(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MAX_SQL else f"{plain[: MAX_SQL - 1]}…"
