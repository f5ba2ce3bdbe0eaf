"""The knowledge graph's storage: one SQLite file in the run's folder."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from tools.outline import Edge, Node, Outline
from tools.outline.parts import NodeKind, Relation

_SCHEMA = """
CREATE TABLE IF NOT EXISTS nodes (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, path TEXT, line INTEGER, end_line INTEGER,
    detail TEXT NOT NULL, source TEXT NOT NULL CHECK (source IN ('static', 'measured'))
);
CREATE TABLE IF NOT EXISTS edges (
    source_id TEXT NOT NULL, relation TEXT NOT NULL, target_id TEXT NOT NULL, detail TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('static', 'measured')),
    PRIMARY KEY (source_id, relation, target_id)
);
CREATE INDEX IF NOT EXISTS edges_by_target ON edges (target_id);
CREATE TABLE IF NOT EXISTS measures (
    node_id TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, evidence TEXT NOT NULL,
    PRIMARY KEY (node_id, name, evidence)
);
"""
_NODE = "id, kind, name, path, line, end_line, detail"
_FIELDS = tuple(_NODE.split(", "))
Source = Literal["static", "measured"]


class GraphStore:
    """Nodes, edges and measured values. Writing the same things again changes nothing.

    Each call opens the file for itself, so that parallel branches of a run may share it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            # Losing it costs a second of building it again; waiting for the disk at every step would cost more.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            with connection:
                yield connection

    def replace_outline(self, outline: Outline) -> None:
        """Put a fresh outline in place of the last one. What was measured stays."""
        with self._open() as connection:
            connection.execute("DELETE FROM edges WHERE source = 'static'")
            connection.execute("DELETE FROM nodes WHERE source = 'static'")
            _put(connection, outline.nodes, outline.edges, "static")

    def add_measured(
        self, nodes: Iterable[Node], edges: Iterable[Edge], measures: Iterable[tuple[str, str, float]], evidence: str
    ) -> None:
        """Add what an instrument saw. Nodes and edges that the outline has already stay as they are.

        Args:
            nodes: such as queries.
            edges: such as the issuing of a query.
            measures: node id, name, value.
            evidence: id of the evidence that shows it; its earlier values for the same names are replaced.
        """
        with self._open() as connection:
            _put(connection, nodes, edges, "measured")
            connection.executemany(
                "INSERT OR REPLACE INTO measures VALUES (?, ?, ?, ?)", [(*measure, evidence) for measure in measures]
            )

    def node(self, name: str) -> Node | None:
        """A node by its id."""
        found = self.nodes("id = ?", name)
        return found[0] if found else None

    def nodes(self, where: str = "1", *values: str | int) -> list[Node]:
        """The nodes that fit a condition on the columns, in order of their ids."""
        with self._open() as connection:
            rows = connection.execute(f"SELECT {_NODE} FROM nodes WHERE {where} ORDER BY id", values).fetchall()
        return [Node.model_validate(dict(zip(_FIELDS, row, strict=True))) for row in rows]

    def of_kind(self, kind: NodeKind) -> list[Node]:
        """All nodes of a kind."""
        return self.nodes("kind = ?", kind)

    def edges(self) -> list[Edge]:
        """All edges, in stable order."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT source_id, relation, target_id, detail FROM edges ORDER BY 1, 2, 3"
            ).fetchall()
        return [Edge(source=row[0], relation=row[1], target=row[2], detail=row[3]) for row in rows]

    def neighbours(self, name: str, direction: Literal["out", "in"], relation: Relation | None = None) -> list[Edge]:
        """The edges that leave a node, or those that reach it."""
        own, _ = ("source_id", "target_id") if direction == "out" else ("target_id", "source_id")
        narrowed, values = (" AND relation = ?", (name, relation)) if relation else ("", (name,))
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT source_id, relation, target_id, detail FROM edges WHERE {own} = ?{narrowed} ORDER BY 2, 3, 1",
                values,
            ).fetchall()
        return [Edge(source=row[0], relation=row[1], target=row[2], detail=row[3]) for row in rows]

    def measures(self) -> dict[str, dict[str, float]]:
        """What was measured: for each node id the values by name; of several workloads the largest."""
        found: dict[str, dict[str, float]] = {}
        with self._open() as connection:
            for name, metric, value in connection.execute(
                "SELECT node_id, name, max(value) FROM measures GROUP BY 1, 2 ORDER BY 1, 2"
            ):
                found.setdefault(name, {})[metric] = value
        return found

    def count(self) -> dict[str, int]:
        """How many nodes of each kind and edges of each relation there are."""
        with self._open() as connection:
            nodes = connection.execute("SELECT kind, count(*) FROM nodes GROUP BY kind ORDER BY kind").fetchall()
            edges = connection.execute("SELECT relation, count(*) FROM edges GROUP BY 1 ORDER BY 1").fetchall()
        return dict([*nodes, *edges])


def _put(connection: sqlite3.Connection, nodes: Iterable[Node], edges: Iterable[Edge], source: Source) -> None:
    # What an instrument saw is brought up to date, and never overwrites what the code says.
    own = "" if source == "static" else " WHERE source = 'measured'"
    connection.executemany(
        f"INSERT INTO nodes ({_NODE}, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        f" {', '.join(f'{name} = excluded.{name}' for name in (*_FIELDS[1:], 'source'))}{own}",
        [(*(getattr(node, field) for field in _FIELDS), source) for node in nodes],
    )
    connection.executemany(
        "INSERT INTO edges VALUES (?, ?, ?, ?, ?) ON CONFLICT (source_id, relation, target_id) DO UPDATE SET"
        f" detail = excluded.detail, source = excluded.source{own}",
        [(edge.source, edge.relation, edge.target, edge.detail, source) for edge in edges],
    )
