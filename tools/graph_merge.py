"""What measurements add to the knowledge graph: queries and who issues them, calls that were seen, shares."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from perfcrew.artifacts import Artifacts
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, number, text, unpack_rows
from tools.graph_store import GraphStore
from tools.outline import Node
from tools.outline.parts import Builder
from tools.outline.sql import add_statement
from tools.stacks import is_idle, parse_stacks, request_part, sum_stacks

_SITE = re.compile(r"(?P<path>.+):(?P<line>\d+)(?: (?P<name>.+))?")
_VARIABLE = re.compile(r"\{[^}]*\}|<[^>]*>|:\w+")


def merge_evidence(store: GraphStore, artifacts: Artifacts, evidence: Evidence) -> None:
    """Merge one piece of evidence; kinds without places in the code change nothing."""
    if evidence.kind == "queries":
        _Queries(store, artifacts, evidence).merge()
    elif evidence.kind == "cpu":
        _merge_profile(store, artifacts, evidence)


@dataclass
class _Queries:
    """The merging of one trace."""

    store: GraphStore
    artifacts: Artifacts
    evidence: Evidence
    builder: Builder = field(default_factory=Builder)
    measures: dict[tuple[str, str], float] = field(default_factory=dict)
    issued: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = Places(self.store)

    def merge(self) -> None:
        texts = self._texts()
        for row in unpack_rows(self.evidence.facts, "endpoint"):
            route = self._route(text(row, "name"))
            self.measures[route, "time_share"] = number(row, "share")
            self.measures[route, "ms"] = number(row, "ms")
            self.measures[route, "queries"] = number(row, "queries")
        for row in unpack_rows(self.evidence.facts, "statement"):
            self._statement(row, texts.get(text(row, "id")) or text(row, "sql"))
        for (owner, query), counts in self.issued.items():
            parts = [f"{often} of {endpoint}" for endpoint, often in sorted(counts.items())]
            self.builder.edge(owner, "issues", query, "; ".join(parts))
        outline = self.builder.outline()
        values = [(node, name, value) for (node, name), value in self.measures.items()]
        self.store.add_measured(outline.nodes, outline.edges, values, self.evidence.id)

    def _texts(self) -> dict[str, str]:
        """Whole statements by id: the facts hold only their beginnings."""
        if self.evidence.artifact is None:
            return {}
        raw: dict[str, Any] = self.artifacts.get_json(self.evidence.artifact)
        return {name: known["fingerprint"] for name, known in raw.get("statements", {}).items()}

    def _statement(self, row: Row, sql: str) -> None:
        name, endpoint = text(row, "id"), text(row, "endpoint")
        query = self.builder.node("query", name, detail=sql)
        add_statement(query, sql, self.builder)
        key = (query, "time_share")
        self.measures[key] = self.measures.get(key, 0.0) + number(row, "loop_share" if "loop_share" in row else "share")
        owner = self._owner(text(row, "site"), text(row, "via")) or self._route(endpoint)
        calls = f"{number(row, 'calls'):.4g}"
        often = "once a request" if calls == "1" else f"{calls} times a request"
        counts = self.issued.setdefault((owner, query), self._counted(owner, query))
        counts[endpoint] = f"N+1, {often}" if number(row, "n_plus_one") else often

    def _counted(self, owner: str, query: str) -> dict[str, str]:
        """What earlier traces have counted, by endpoint."""
        known = [edge for edge in self.store.neighbours(query, "in", "issues") if edge.source == owner]
        parts = (part.partition(" of ") for edge in known for part in edge.detail.split("; "))
        return {endpoint: often for often, _, endpoint in parts}

    def _owner(self, site: str, via: str) -> str | None:
        """The function around the issuing line; the calls that led there become edges where both ends are known."""
        chain = [self.places.of(place) for place in (site, *via.split(" < "))]
        for inner, outer in pairwise(chain):
            if inner and outer and inner != outer:
                self.builder.edge(outer, "calls", inner, "seen in a trace")
        return chain[0]

    def _route(self, endpoint: str) -> str:
        return find_route(self.store, endpoint) or self.builder.node("route", endpoint)


def _merge_profile(store: GraphStore, artifacts: Artifacts, evidence: Evidence) -> None:
    """Shares of CPU (`gil`) and of requests' time (`wall`) by function, and the calls that the stacks show."""
    if evidence.artifact is None:
        return
    raw: dict[str, Any] = artifacts.get_json(evidence.artifact)
    places = Places(store)
    builder = Builder()
    measures: list[tuple[str, str, float]] = []
    for recording, names in (("gil", ("cpu_share", "self_share")), ("wall", ("wall_share", None))):
        stacks = parse_stacks(raw.get(recording, ""), raw["root"])
        total = sum_stacks(stacks).total
        whole: Counter[str] = Counter()
        inner: Counter[str] = Counter()
        for frames, count in stacks:
            part = [] if is_idle(frames) else request_part(frames)
            own = [place for frame in part if frame.own and (place := places.at(frame.path, frame.line, frame.name))]
            whole.update(dict.fromkeys(own, count))
            inner.update({own[-1]: count} if own else {})
            for outer, called in pairwise(own):
                if outer != called:
                    builder.edge(outer, "calls", called, "seen in a profile")
        for name, counted in zip(names, (whole, inner), strict=True):
            measures += [(place, name, count / total) for place, count in counted.items() if name]
    store.add_measured((), builder.outline().edges, measures, evidence.id)


class Places:
    """Functions of the graph by where they stand."""

    def __init__(self, store: GraphStore) -> None:
        self._by_path: dict[str, list[Node]] = {}
        self._known: dict[tuple[str, int, str], str | None] = {}
        for node in store.of_kind("function"):
            self._by_path.setdefault(node.path or "", []).append(node)

    def at(self, path: str, line: int, name: str) -> str | None:
        """The id of the innermost function around a line; where none is, of the only one of that name in the file."""
        key = (path, line, name)
        if key not in self._known:
            nodes = self._by_path.get(path, [])
            around = [node for node in nodes if (node.line or 0) <= line <= (node.end_line or 0)]
            named = [node for node in nodes if node.name.rsplit(".", 1)[-1] == name]
            if around:
                self._known[key] = max(around, key=lambda node: node.line or 0).id
            else:
                self._known[key] = named[0].id if len(named) == 1 else None
        return self._known[key]

    def of(self, site: str) -> str | None:
        """The same for `path:line name`."""
        match = _SITE.fullmatch(site.strip())
        return self.at(match["path"], int(match["line"]), match["name"] or "") if match else None


def find_route(store: GraphStore, endpoint: str) -> str | None:
    """The route that a measured endpoint is: the same template, one for any method, or one that its path fits."""
    method, _, path = endpoint.partition(" ")
    routes = {node.name: node.id for node in store.of_kind("route")}
    for name in (endpoint, f"ANY {path}"):
        if name in routes:
            return routes[name]
    fitting = [known for name, known in routes.items() if _fits(name, method, path.partition("?")[0])]
    return fitting[0] if len(fitting) == 1 else None


def _fits(route: str, method: str, path: str) -> bool:
    verb, _, template = route.partition(" ")
    if verb not in (method, "ANY"):
        return False
    pattern = "".join(_pieces(template))
    return re.fullmatch(pattern, path) is not None


def _pieces(template: str) -> Iterator[str]:
    end = 0
    for match in _VARIABLE.finditer(template):
        yield re.escape(template[end : match.start()])
        yield ".+" if "path" in match[0] else "[^/]+"
        end = match.end()
    yield re.escape(template[end:])
