"""A survey as tables: one way for the terminal, Markdown and the page. Every cell is text, figures with their units."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import Row, number, text, unpack_rows
from perfcrew.records.survey import Survey
from perfcrew.report.figures import name_metric, show_bytes, show_figure, show_number

MOST_ROWS = 8
_SQL = 100
_SELECTED = re.compile(r"^(SELECT(?: DISTINCT)?) (?!count\(|… )[^()]{24,}? (FROM\b)", re.IGNORECASE)
_LOAD = (
    ("P50", "http.p50_ms"), ("P95", "http.p95_ms"), ("P99", "http.p99_ms"), ("rate", "http.rps"),
    ("errors", "http.error_rate"), ("wall\ntime", "command.seconds"), ("CPU a\nrequest", "cpu.ms_per_request"),
    ("queries a\nrequest", "db.queries_per_request"), ("bytes a\nresponse", "http.bytes_per_response"),
    ("peak\nmemory", "memory.peak_mb"),
)  # fmt: skip
_SHORT = {metric: " ".join(title.split()) for title, metric in _LOAD} | {
    "http.p90_ms": "P90", "http.mean_ms": "mean", "http.max_ms": "longest", "cpu.utilisation": "CPU of its cores",
    "start.seconds": "time until ready", "http.rps": "requests",
}  # fmt: skip
_MISSING = re.compile(r"^\w+@[^:]+: ")
"""A note about measurements that could not be taken, by their names."""
_TABLED = frozenset(metric for _, metric in _LOAD)
_NAMED = 0.01
"""Share of the CPU time from which on a function is worth naming."""


@dataclass(frozen=True)
class Table:
    """What a reader sees of one subject. Columns from `figures` on are figures, aligned to the right.

    A line break in a header is one where space is scarce.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: int = 1
    note: str = ""


class Headline(NamedTuple):
    """One of the answers to where time, memory and bytes go."""

    subject: str
    answer: str


def short_name(metric: str) -> str:
    """A metric's name for narrow tables."""
    return _SHORT.get(metric, name_metric(metric).partition(",")[0])


def headlines(survey: Survey) -> list[Headline]:
    """Where the primary workload's time, memory and bytes go, a line each; what was not measured has none."""
    primary = survey.workloads[0].name if survey.workloads else ""
    lines = [Headline("latency", _latency(survey, primary)), Headline("time", _time(survey, primary))]
    lines += [Headline("memory", _memory(survey)), Headline("bytes", _bytes(survey))]
    return [line for line in lines if line.answer]


def nothing_found(survey: Survey) -> str:
    """What is said where there are no findings: of what gave no evidence nothing is known."""
    said = "Nothing found that is worth mending"
    count = sum(missed[0].count("@") for note in survey.notes if (missed := _MISSING.match(note)))
    return f"{said} in what was measured; {count} could not be, see the notes" if count else said


def _latency(survey: Survey, workload: str) -> str:
    values = {metric: found.value for metric in _TABLED if (found := metric_of(survey, metric, workload))}
    if "command.seconds" in values:
        return f"{workload} takes {show_figure('command.seconds', values['command.seconds'])} a run"
    parts = [
        f"{title} {show_figure(metric, values[metric])}"
        for title, metric in (("P50", "http.p50_ms"), ("P95", "http.p95_ms"), ("P99", "http.p99_ms"))
        if metric in values
    ]
    if "http.rps" in values:
        parts.append(f"{show_number(values['http.rps'])} requests a second")
    if "http.error_rate" in values:
        parts.append(f"{show_figure('http.error_rate', values['http.error_rate'])} errors")
    return f"{workload}: {', '.join(parts)}" if parts else ""


def _time(survey: Survey, workload: str) -> str:
    parts = []
    for item in of_kind(survey, "queries"):
        if _workload(item) == workload:
            share = sum(number(row, "db_share") for row in unpack_rows(item.facts, "endpoint"))
            queries = number(item.facts, "queries_per_request")
            parts.append(f"{share:.0%} in database drivers ({show_number(round(queries, 2))} queries a request)")
    cpu = next((item for item in of_kind(survey, "cpu") if _workload(item) == workload), None)
    if cpu is not None and "busy" in cpu.facts:
        rows = sorted(unpack_rows(cpu.facts, "hot"), key=lambda row: -number(row, "time_share"))
        share = number(rows[0], "cpu_share") if rows else 0.0
        hottest = f", most in {_site(rows[0])} ({share:.0%} of it)" if share >= _NAMED else ""
        language = "Node" if cpu.facts.get("runtime") == "node" else "Python"
        parts.append(f"{language} busy {number(cpu.facts, 'busy'):.0%} of a core{hottest}")
    return "; ".join(parts)


def _site(row: Row) -> str:
    return f"{_line(row)} {text(row, 'name')}"


def _line(row: Row) -> str:
    return f"{text(row, 'path')}:{row.get('line')}"


def _memory(survey: Survey) -> str:
    parts = []
    for item in of_kind(survey, "memory"):
        verdict = {1: "grows with the requests served", 0: "no leak seen"}
        grown = verdict.get(int(number(item.facts, "leak")), "") if item.facts.get("leak") is not None else ""
        grown = grown or "can't tell whether it leaks"
        parts.append(f"peak {show_number(round(number(item.facts, 'peak_mb'), 1))} MB under {_workload(item)}, {grown}")
    return "; ".join(parts)


def _bytes(survey: Survey) -> str:
    rows = [row for item in of_kind(survey, "payload") for row in unpack_rows(item.facts, "response")]
    if not rows:
        return ""
    top = max(rows, key=lambda row: number(row, "wire"))
    encoding = text(top, "encoding") or "identity"
    how = "uncompressed" if encoding == "identity" else encoding
    return f"largest response {show_bytes(number(top, 'wire'))} on the wire ({how}): {text(top, 'endpoint')}"


def metric_of(survey: Survey, metric: str, workload: str) -> Measurement | None:
    """The first measurement of a metric under a workload, held-out ones aside."""
    fitting = (m for m in survey.metrics if m.metric == metric and m.workload == workload and "held out" not in m.id)
    return next(fitting, None)


def of_kind(survey: Survey, kind: str) -> list[Evidence]:
    """Evidence of one kind, in the order in which it was taken."""
    return [item for item in survey.evidence if item.kind == kind]


def tables(survey: Survey) -> list[Table]:
    """All tables that have rows."""
    made = [
        _workloads(survey), _endpoints(survey), _statements(survey), _functions(survey), _responses(survey),
        _others(survey),
    ]  # fmt: skip
    return [table for table in made if table.rows]


def _workloads(survey: Survey) -> Table:
    shown = [
        (title, metric) for title, metric in _LOAD
        if any(metric_of(survey, metric, workload.name) for workload in survey.workloads)
    ]  # fmt: skip
    rows = []
    for workload in survey.workloads:
        found = [metric_of(survey, metric, workload.name) for _, metric in shown]
        if any(found):
            rows.append((workload.name, *(_cell(one) for one in found)))
    return Table("Workloads", ("workload", *(title for title, _ in shown)), tuple(rows))


def _cell(found: Measurement | None) -> str:
    if found is None:
        return "–"
    return show_figure(found.metric, found.value) + ("?" if found.doubt else "")


def _endpoints(survey: Survey) -> Table:
    rows = [
        (
            text(row, "name"), _workload(item), _share(number(row, "share")), _ms(number(row, "ms")),
            show_number(round(number(row, "queries"), 2)), _ms(number(row, "db_ms")), _share(number(row, "db_share")),
        )
        for item in of_kind(survey, "queries")
        for row in _ranked(unpack_rows(item.facts, "endpoint"), "share")
    ]  # fmt: skip
    header = ("endpoint", "workload", "of its\ntime", "a\nrequest", "queries", "in the\ndatabase", "of its\ntime")
    return Table("Endpoints, by their share of the workload's time", header, tuple(rows), 2,
                 "Traced one request at a time: shares and counts, not latencies under load.")  # fmt: skip


def _statements(survey: Survey) -> Table:
    ranked = _ranked(
        (row for item in of_kind(survey, "queries") for row in unpack_rows(item.facts, "statement")), "loop_share"
    )
    rows = [
        (
            text(row, "id"), shorten_sql(text(row, "sql")), text(row, "endpoint"), text(row, "site"),
            show_number(round(number(row, "calls"), 2)), _ms(number(row, "ms")), _share(number(row, "loop_share")),
        )
        for row in ranked
    ]  # fmt: skip
    header = ("query", "statement", "endpoint", "from", "calls", "in the\ndriver", "of the\ntime")
    return Table("Queries, by their share of the time with the gaps between their calls", header, tuple(rows), 4)


def shorten_sql(sql: str) -> str:
    """A statement without the list of what it selects, which says least about it; at most 100 characters."""
    short = _SELECTED.sub(r"\1 … \2", " ".join(sql.split()), count=1)
    return short if len(short) <= _SQL else f"{short[: _SQL - 1]}…"


def _functions(survey: Survey) -> Table:
    rows = [
        (
            text(row, "name"), _line(row), _share(number(row, "cpu_share")),
            _share(number(row, "cpu_total")), _ms(number(row, "ms")), _share(number(row, "time_share")),
        )
        for item in of_kind(survey, "cpu")
        for row in _ranked(unpack_rows(item.facts, "hot"), "time_share")
        if number(row, "cpu_total") >= _NAMED
    ]  # fmt: skip
    header = ("function", "where", "own\nCPU", "with\ncallees", "a\nrequest", "of the\ntime")
    return Table("Functions, by the CPU time that they take themselves", header, tuple(rows), 2)


def _responses(survey: Survey) -> Table:
    rows = [
        (
            text(row, "endpoint"), text(row, "encoding") or "identity", text(row, "cache_control") or "–",
            show_bytes(number(row, "identity")), show_bytes(number(row, "wire")), show_bytes(number(row, "gzip")),
        )
        for item in of_kind(survey, "payload")
        for row in _ranked(unpack_rows(item.facts, "response"), "wire")
    ]  # fmt: skip
    header = ("endpoint", "encoding", "cache-control", "decoded", "on the\nwire", "with\ngzip")
    return Table("Responses, by bytes on the wire", header, tuple(rows), 3)


def _others(survey: Survey) -> Table:
    shown = {workload.name for workload in survey.workloads}
    rows = [
        (name_metric(item.metric), item.workload, show_figure(item.metric, item.value), str(item.count))
        for item in survey.metrics
        if item.metric not in _TABLED or item.workload not in shown
    ]
    return Table("Other measurements", ("metric", "workload", "value", "samples"), tuple(rows), 2)


def _ranked(rows: Iterable[Row], by: str) -> Sequence[Row]:
    return sorted(rows, key=lambda row: -number(row, by))[:MOST_ROWS]


def metric_rows(survey: Survey) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Every measurement: title, id, value, spread, samples, method."""
    for item in survey.metrics:
        spread = "" if item.spread is None else f"± {show_figure(item.metric, item.spread)}"
        value = show_figure(item.metric, item.value) + ("?" if item.doubt else "")
        yield name_metric(item.metric), item.id, value, spread, f"{item.count:,}", item.method


def doubts(survey: Survey) -> tuple[str, ...]:
    """Why some figures do not count, a line for each reason."""
    found: dict[str, list[str]] = {}
    for item in survey.metrics:
        if item.doubt:
            found.setdefault(item.doubt, []).append(item.id)
    return tuple(f"does not count: {', '.join(ids)}: {reason}" for reason, ids in found.items())


def _workload(item: Evidence) -> str:
    return item.id.partition("@")[2].rpartition("/")[0]


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or share == 0 else "< 1 %"


def _ms(value: float) -> str:
    return f"{show_number(float(f'{value:.3g}'))} ms"
