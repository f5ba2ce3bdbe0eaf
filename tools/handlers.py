"""Which function of the target's handles which route, by where it stands: for crediting stacks to endpoints."""

from pathlib import Path

from tools.outline import read_outline
from tools.stacks import Handlers


def find_handlers(checkout: Path) -> Handlers:
    """Spans of lines of all route handlers by path; empty where the code declares none that can be read."""
    outline = read_outline(checkout)
    nodes = {node.id: node for node in outline.nodes}
    found: dict[str, list[tuple[int, int, str]]] = {}
    for edge in outline.edges:
        route, handler = nodes.get(edge.source), nodes.get(edge.target)
        if edge.relation == "handles" and route and handler and handler.path and handler.line:
            found.setdefault(handler.path, []).append((handler.line, handler.end_line or handler.line, route.name))
    return found
