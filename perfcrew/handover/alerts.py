"""Alert rules for Prometheus: a gain that is gone, with thresholds from the measured result."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from perfcrew.handover import queries
from perfcrew.handover.exporters import Exporter
from perfcrew.handover.places import PAGE
from perfcrew.handover.thresholds import Threshold
from perfcrew.records.target import Workload
from perfcrew.report.figures import name_metric, show_figure

WINDOW = "5m"
HOLDS = "10m"
"""How long a condition has to hold before anybody is called: a deploy or a cold cache is no regression."""
_QUANTILES = {"http.p50_ms": 0.5, "http.p95_ms": 0.95, "http.p99_ms": 0.99}
_NAMES = {"http.p50_ms": "MedianSlow", "http.p95_ms": "P95Slow", "http.p99_ms": "P99Slow"}
_WORD = re.compile(r"[A-Za-z0-9]+")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*$")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+$")


def write_alerts(
    target: str, workloads: Iterable[Workload], thresholds: Iterable[Threshold], exporter: Exporter
) -> str:
    """The rules as YAML."""
    known = {workload.name: workload for workload in workloads}
    set_ = [threshold for threshold in thresholds if threshold.workload in known]
    rules = [rule for each in set_ if (rule := _rule(target, each, known[each.workload], exporter))]
    watched = dict.fromkeys(threshold.workload for threshold in set_)
    rules += [_silent(target, known[name], exporter) for name in watched]
    content = {"groups": [{"name": f"{target}-performance", "rules": rules}]}
    head = f"# Alerts for regressions of what was measured; {PAGE} says where each threshold comes from.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def _rule(target: str, threshold: Threshold, workload: Workload, exporter: Exporter) -> dict[str, Any] | None:
    expression, name, what = _condition(threshold, workload, exporter)
    if not expression:
        return None
    base, measured, limit = (
        show_figure(threshold.metric, value) for value in (threshold.base, threshold.measured, threshold.value)
    )
    return {
        "alert": f"{_camel(target)}{_camel(workload.name)}{name}",
        "expr": expression,
        "for": HOLDS,
        "labels": {"severity": "warning", "workload": workload.name},
        "annotations": {
            "summary": f"{what} of {workload.name} is above {limit}",
            "description": f"Measured were {base} before and {measured} after the change. See {PAGE}.",
        },
    }


def _condition(threshold: Threshold, workload: Workload, exporter: Exporter) -> tuple[str, str, str]:
    """Expression, ending of the name, and what it is about; no expression where Prometheus can't tell."""
    metric, title = threshold.metric, name_metric(threshold.metric)
    if metric in _QUANTILES:
        measured = queries.response_time(exporter, workload, _QUANTILES[metric], WINDOW)
        return f"{measured} > {threshold.value / 1000:g}", _NAMES[metric], title
    if metric == "http.error_rate":
        return f"{queries.error_share(exporter, workload, WINDOW)} > {threshold.value:g}", "Failing", title
    if metric == "memory.peak_mb":
        return f"max({queries.memory(exporter, workload)}) > {threshold.value * 1e6:.0f}", "Memory", title
    return "", "", ""


def _silent(target: str, workload: Workload, exporter: Exporter) -> dict[str, Any]:
    return {
        "alert": f"{_camel(target)}{_camel(workload.name)}Unwatched",
        "expr": queries.missing(exporter, workload),
        "for": "30m",
        "labels": {"severity": "info", "workload": workload.name},
        "annotations": {
            "summary": f"no response times of {workload.name} reach Prometheus, so no alert about them can fire",
            "description": f"Export {exporter.histogram}, or put your own name for it into these rules. See {PAGE}.",
        },
    }


def check_alerts(text: str) -> list[str]:
    """What is wrong with rules, as far as their form shows; the expressions are promtool's business."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [f"not YAML: {str(error).splitlines()[0]}"]
    groups = content.get("groups") if isinstance(content, Mapping) else None
    if not isinstance(groups, list) or not groups:
        return ["no groups"]
    rules = [rule for group in groups for rule in (group.get("rules") or ())]
    problems = [] if rules else ["no rule, as nothing was measured that Prometheus could watch"]
    names = [str(rule.get("alert")) for rule in rules]
    problems += [f"{name}: named twice" for name in sorted({name for name in names if names.count(name) > 1})]
    for rule in rules:
        problems += _check_rule(rule)
    return problems


def _check_rule(rule: Mapping[str, Any]) -> list[str]:
    name = str(rule.get("alert", ""))
    problems = [] if _METRIC.match(name) else [f"{name or 'a rule'}: no name for an alert"]
    if not str(rule.get("expr", "")).strip():
        problems.append(f"{name}: no expression")
    if not _DURATION.match(str(rule.get("for", ""))):
        problems.append(f"{name}: no duration")
    if not (rule.get("annotations") or {}).get("summary"):
        problems.append(f"{name}: no summary")
    return problems


def as_rules(expressions: Iterable[str]) -> str:
    """Expressions of a dashboard as recording rules, so that promtool can parse them."""
    plain = [expression.replace("$__rate_interval", WINDOW) for expression in expressions]
    rules = [{"record": f"checked:{number}", "expr": expression} for number, expression in enumerate(plain)]
    return yaml.safe_dump({"groups": [{"name": "checked", "rules": rules}]}, sort_keys=False)


def _camel(text: str) -> str:
    words = "".join(word[0].upper() + word[1:] for word in _WORD.findall(text))
    return words if not words[:1].isdigit() else f"N{words}"
