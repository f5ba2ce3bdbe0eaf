"""What the tracer wrote, read and summed up: pure functions of the trace's lines."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from perfcrew.records.facts import Row
from tools.requests import Asked

N_PLUS_ONE_CALLS = 5
"""One fingerprint this often within one request is an N+1 suspect."""
SHOWN_SQL = 240
"""Characters of a statement that its row holds."""
Line = dict[str, Any]


@dataclass
class Trace:
    """All lines of a traced start."""

    requests: list[Line] = field(default_factory=list)
    """In the order in which they ended, with their `blocked` lines inside."""
    texts: dict[str, Line] = field(default_factory=dict)
    """Statement id to `{"fingerprint", "samples": [{"sql", "params", "many"}]}`."""


def read_trace(folder: Path) -> Trace:
    """Read every process's file; a line that was cut off by a kill is left out."""
    trace = Trace()
    for path in sorted(folder.glob("*.jsonl")):
        numbered: dict[int, Line] = {}
        blocked: list[Line] = []
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if line["kind"] == "request":
                numbered[line["number"]] = {**line, "blocked": []}
            elif line["kind"] == "blocked":
                blocked.append(line)
            elif line["kind"] == "statement":
                _add_text(trace, line)
        for line in blocked:
            if line["number"] in numbered:
                numbered[line["number"]]["blocked"].append({"site": line["site"], "ms": line["ms"]})
        trace.requests += numbered.values()
    # Worker processes write a file each.
    trace.requests.sort(key=lambda line: float(line["ended"]))
    return trace


def _add_text(trace: Trace, line: Line) -> None:
    known = trace.texts.setdefault(line["id"], {"fingerprint": line["fingerprint"], "samples": []})
    known["samples"].append({"sql": line["sql"], "params": line["params"], "many": line["many"]})


def key_of(method: str, path: str) -> tuple[str, str, str]:
    """What a sent request and its trace line agree on: method, decoded path, raw query."""
    bare, _, query = path.partition("?")
    return method, unquote(bare), query


def match_requests(asked: Sequence[Asked], requests: Iterable[Line], passes: int) -> list[tuple[Asked, Line]]:
    """Pair what was sent with what was traced.

    Args:
        asked: the requests of one pass, in order.
        requests: traced lines.
        passes: how often it was sent, warm-up apart; earlier lines, of warm-up and readiness probes, are left out.
    """
    lines: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in requests:
        lines[line["method"], line["path"], unquote(line["query"])].append(line)
    distinct: dict[tuple[str, str, str], Asked] = {}
    often: dict[tuple[str, str, str], int] = defaultdict(int)
    for item in asked:
        method, path, query = key_of(item.method, item.path)
        key = (method, path, unquote(query))
        distinct.setdefault(key, item)
        often[key] += 1
    return [(item, line) for key, item in distinct.items() for line in lines[key][-passes * often[key] :]]


@dataclass
class Group:
    """One statement, issued at one place, over the requests of an endpoint. Figures are means a request."""

    id: str
    site: str
    via: str
    calls: float = 0.0
    max_calls: int = 0
    ms: float = 0.0
    loop_ms: float = 0.0
    """Driver time and the usual gaps between its calls: about what disappears if the loop around it does."""
    rows: float | None = None
    distinct: float = 0.0
    """Different parameter sets a request."""
    same_for: int = 0
    """How many different requests, all that there were, asked it with the very same values; 0 where one did not."""

    @property
    def repeated(self) -> bool:
        """Same question, same values, several times in one request."""
        return self.calls >= 2 and self.calls >= 2 * self.distinct

    @property
    def n_plus_one(self) -> bool:
        """Often enough within one request, with different values."""
        return self.max_calls >= N_PLUS_ONE_CALLS and self.distinct >= N_PLUS_ONE_CALLS


@dataclass
class Endpoint:
    """An endpoint as it was traced. Figures are means a request."""

    name: str
    requests: int
    weight: int
    queries: float
    db_ms: float
    ms: float
    bytes: float
    groups: list[Group]
    blocked: list[tuple[str, float]]
    """Places that held the event loop, with ms a request."""
    share: float = 0.0
    """Share of the workload's time, all endpoints together being 1."""


def loop_times(statements: Sequence[Line]) -> dict[tuple[str, str], float]:
    """For each statement and place of one request: its driver time and, for a loop, the usual gap after each call.

    The gap is the lower quartile of all gaps between neighbouring statements while the loop lasts: what the mapper
    needs for each call, rather than other work that happens to be done in the same loop. A statement that comes a few
    times only is no loop.
    """
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in statements:
        groups[line["id"], line["site"]].append(line)
    times = {}
    for key, calls in groups.items():
        own = sum(call["ms"] for call in calls)
        usual = _usual_gap(statements, calls) if len(calls) >= N_PLUS_ONE_CALLS else 0.0
        times[key] = own + usual * len(calls)
    return times


def _usual_gap(statements: Sequence[Line], calls: Sequence[Line]) -> float:
    start, end = calls[0]["at"], calls[-1]["at"]
    within = sorted((line for line in statements if start <= line["at"] <= end), key=lambda line: float(line["at"]))
    gaps = sorted(max(0.0, after["at"] - before["at"] - before["ms"]) for before, after in itertools.pairwise(within))
    return float(gaps[len(gaps) // 4])


def _groups(lines: Sequence[Line]) -> list[Group]:
    """Statements by place, summed over an endpoint's requests and divided by their number at the end."""
    groups: dict[tuple[str, str], Group] = {}
    values: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for request in lines:
        loops = loop_times(request["statements"])
        calls: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for statement in request["statements"]:
            calls[statement["id"], statement["site"]].append(statement)
        for key, made in calls.items():
            group = groups.setdefault(key, Group(key[0], key[1], made[0]["via"]))
            group.calls += len(made)
            group.max_calls = max(group.max_calls, len(made))
            group.ms += sum(call["ms"] for call in made)
            group.loop_ms += loops[key]
            asked = {call["params"] for call in made}
            group.distinct += len(asked)
            values[key][f"{request['path']}?{request['query']}"] |= asked
            rows = [call["rows"] for call in made if call["rows"] is not None]
            if rows:
                group.rows = (group.rows or 0.0) + sum(rows)
    for group in groups.values():
        group.calls, group.ms, group.loop_ms, group.distinct = (
            total / len(lines) for total in (group.calls, group.ms, group.loop_ms, group.distinct)
        )
        group.rows = None if group.rows is None else group.rows / len(lines)
    everything = {f"{request['path']}?{request['query']}" for request in lines}
    for key, by_request in values.items():
        always = by_request.keys() == everything and len({frozenset(asked) for asked in by_request.values()}) == 1
        groups[key].same_for = len(everything) if always else 0
    return sorted(groups.values(), key=lambda group: -group.loop_ms)


def sum_up(pairs: Sequence[tuple[Asked, Line]]) -> list[Endpoint]:
    """Endpoints, the one with most of the workload's time first."""
    by_name: dict[str, list[tuple[Asked, Line]]] = defaultdict(list)
    for asked, line in pairs:
        by_name[f"{line['method']} {line['route']}" if line["route"] else asked.endpoint].append((asked, line))
    endpoints = []
    for name, members in by_name.items():
        lines = [line for _, line in members]
        count = len(lines)
        blocked: dict[str, float] = defaultdict(float)
        for line in lines:
            for entry in line["blocked"]:
                blocked[entry["site"]] += entry["ms"] / count
        weights = {asked.template: asked.weight for asked, _ in members}
        endpoints.append(Endpoint(
            name=name, requests=count, weight=sum(weights.values()),
            queries=sum(len(line["statements"]) + line["dropped"] for line in lines) / count,
            db_ms=sum(statement["ms"] for line in lines for statement in line["statements"]) / count,
            ms=sum(line["ms"] for line in lines) / count, bytes=sum(line["bytes"] for line in lines) / count,
            groups=_groups(lines), blocked=sorted(blocked.items(), key=lambda item: -item[1]),
        ))  # fmt: skip
    whole = sum(endpoint.ms * endpoint.weight for endpoint in endpoints) or 1.0
    for endpoint in endpoints:
        endpoint.share = endpoint.ms * endpoint.weight / whole
    return sorted(endpoints, key=lambda endpoint: -endpoint.share)


def to_rows(endpoints: Sequence[Endpoint], texts: dict[str, Line]) -> dict[str, list[Row]]:
    """What detectors read, by kind of row."""
    found: dict[str, list[Row]] = {"endpoint": [], "statement": [], "blocked": []}
    weights = sum(endpoint.weight for endpoint in endpoints) or 1
    for endpoint in endpoints:
        part = endpoint.share / (endpoint.ms or 1.0)
        found["endpoint"].append({
            "name": endpoint.name, "queries": endpoint.queries, "db_ms": endpoint.db_ms, "ms": endpoint.ms,
            "share": endpoint.share, "db_share": endpoint.db_ms * part,
        })  # fmt: skip
        for group in endpoint.groups:
            found["statement"].append({
                "id": group.id, "endpoint": endpoint.name, "site": group.site, "via": group.via, "calls": group.calls,
                "max_calls": group.max_calls, "ms": group.ms, "rows": group.rows, "distinct": group.distinct,
                "share": group.ms * part, "loop_share": group.loop_ms * part, "n_plus_one": int(group.n_plus_one),
                "repeated": int(group.repeated), "same_for": group.same_for,
                "sql": texts.get(group.id, {}).get("fingerprint", "")[:SHOWN_SQL],
                "mix_calls": group.calls * endpoint.weight / weights,
            })  # fmt: skip
        for site, ms in endpoint.blocked:
            found["blocked"].append(
                {"endpoint": endpoint.name, "site": site, "ms": ms, "of_ms": endpoint.ms, "share": ms * part}
            )
    return found
