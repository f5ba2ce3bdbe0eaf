"""A Grafana dashboard of what was improved, with the measured values and the thresholds in its titles and lines.

Grafana's JSON model, schema 39 (Grafana 10.4 and newer): panels on a grid of 24 columns, the data source a variable, so
that an import asks for it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfcrew.handover import queries
from perfcrew.handover.exporters import Exporter
from perfcrew.handover.thresholds import Threshold
from perfcrew.records.target import Workload
from perfcrew.report.figures import name_metric, show_figure

SCHEMA = 39
COLUMNS, HEIGHT = 24, 8
_WINDOW = "$__rate_interval"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SHARES = ((0.5, "P50"), (0.95, "P95"), (0.99, "P99"))
_UID_LENGTH = 40


def write_dashboard(
    target: str, workloads: Sequence[Workload], thresholds: Sequence[Threshold], exporter: Exporter
) -> str:
    """The dashboard as JSON, ready for Grafana's import, of at least one workload."""
    panels = [panel for workload in workloads for panel in _workload_panels(workload, thresholds, exporter)]
    first = workloads[0]
    memory = _limit(thresholds, first.name, "memory.peak_mb")
    resident, cores = queries.memory(exporter, first), queries.cpu(exporter, first, _WINDOW)
    panels.append(_panel("Memory of each process", "bytes", [(resident, "{{instance}}")], memory, 1e6))
    panels.append(_panel("CPU of each process (cores)", "short", [(cores, "{{instance}}")]))
    dashboard = {
        "uid": f"perfcrew-{target.lower()}"[:_UID_LENGTH],
        "title": f"{target}: performance",
        "description": "Made by perfcrew from a measured result; docs/perfcrew/README.md has the figures.",
        "tags": ["performance", "perfcrew"],
        "timezone": "browser",
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}
        ]},
        "annotations": {"list": []},
        "panels": [_placed(panel, number) for number, panel in enumerate(panels)],
    }  # fmt: skip
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def _workload_panels(
    workload: Workload, thresholds: Iterable[Threshold], exporter: Exporter
) -> Iterable[dict[str, Any]]:
    known = tuple(thresholds)
    p95 = _limit(known, workload.name, "http.p95_ms")
    times = [(queries.response_time(exporter, workload, share, _WINDOW), name) for share, name in _SHARES]
    yield _panel(f"{workload.name}: response time{_told(p95)}", "s", times, p95, 1e-3)
    yield _panel(
        f"{workload.name}: requests a second", "reqps", [(queries.request_rate(exporter, workload, _WINDOW), "")]
    )
    errors = _limit(known, workload.name, "http.error_rate")
    shares = [(queries.error_share(exporter, workload, _WINDOW), "failed")]
    yield _panel(f"{workload.name}: failed requests", "percentunit", shares, errors)


def _limit(thresholds: Iterable[Threshold], workload: str, metric: str) -> Threshold | None:
    return next((each for each in thresholds if (each.workload, each.metric) == (workload, metric)), None)


def _told(threshold: Threshold | None) -> str:
    if threshold is None:
        return ""
    base, measured = (show_figure(threshold.metric, value) for value in (threshold.base, threshold.measured))
    return f" ({name_metric(threshold.metric)} measured {base} before, {measured} after)"


def _panel(
    title: str, unit: str, asked: Iterable[tuple[str, str]], limit: Threshold | None = None, scale: float = 1.0
) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if limit is not None:
        steps.append({"color": "red", "value": limit.value * scale})
    return {
        "type": "timeseries",
        "title": title,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": {"thresholdsStyle": {"mode": "line" if limit else "off"}},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend or "all",
            }
            for number, (expression, legend) in enumerate(asked)
        ],
    }


def _placed(panel: dict[str, Any], number: int) -> dict[str, Any]:
    width = COLUMNS // 3
    place = {"x": width * (number % 3), "y": HEIGHT * (number // 3), "w": width, "h": HEIGHT}
    return {"id": number + 1, "gridPos": place, **panel}


def expressions_of(text: str) -> list[str]:
    """All that a dashboard asks Prometheus."""
    return [each["expr"] for panel in json.loads(text)["panels"] for each in panel.get("targets", ())]


def check_dashboard(text: str) -> list[str]:
    """What would keep Grafana from importing a dashboard or showing its panels."""
    try:
        board = json.loads(text)
    except ValueError as error:
        return [f"not JSON: {error}"]
    if not isinstance(board, Mapping):
        return ["not an object"]
    problems = [f"no {key}" for key in ("title", "uid") if not board.get(key)]
    if len(str(board.get("uid", ""))) > _UID_LENGTH:
        problems.append(f"uid is longer than {_UID_LENGTH} characters")
    if not isinstance(board.get("schemaVersion"), int):
        problems.append("no schemaVersion")
    variables = {each.get("name") for each in board.get("templating", {}).get("list", ())}
    panels = board.get("panels") or []
    ids = [panel.get("id") for panel in panels]
    if not panels or len(set(ids)) < len(ids):
        problems.append("no panels" if not panels else "two panels have one id")
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        problems += [f"{panel.get('title') or 'a panel'}: {why}" for why in _check_panel(panel, variables, taken)]
    return problems


def _check_panel(panel: Mapping[str, Any], variables: set[Any], taken: set[tuple[int, int]]) -> list[str]:
    problems = [f"no {key}" for key in ("title", "type", "targets", "gridPos") if not panel.get(key)]
    place = panel.get("gridPos") or {"x": 0, "y": 0, "w": 0, "h": 0}
    cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
    if place["x"] + place["w"] > COLUMNS or not cells:
        problems.append(f"does not fit into {COLUMNS} columns")
    if cells & taken:
        problems.append("lies on another panel")
    taken |= cells
    source = str((panel.get("datasource") or {}).get("uid", ""))
    if source.strip("${}") not in variables:
        problems.append(f"data source {source!r} is no variable of the dashboard")
    wanted = [each.get("refId") for each in panel.get("targets", ())]
    if len(set(wanted)) < len(wanted) or not all(wanted):
        problems.append("queries need a refId each")
    if not all(str(each.get("expr", "")).strip() for each in panel.get("targets", ())):
        problems.append("a query is empty")
    return problems
