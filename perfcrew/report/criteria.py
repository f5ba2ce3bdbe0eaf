"""The success criteria: the recipe's, the target's and the plan's, each judged by code from the recorded figures.

A criterion is met, not met, or not judged (None), and always says why: `not applicable` where the target has no such
layer, else what was not measured. A wanted gain counts when the lower end of
its interval reaches it: the worst that the measurements allow must be good enough. A figure that does not count, as
where the load generator was the bottleneck, decides nothing.
"""

from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.report import CriterionRow, MetricRow, Report
from perfcrew.records.vitals import CORE, Vital, rate
from perfcrew.records.work import Criterion
from perfcrew.report.figures import name_metric, show_figure, show_interval, show_ratio

_RESPONSE = ("http.p50_ms", "http.p95_ms", "command.seconds")
_SERVED = ("http", "locust")
"""Kinds of workload that load a server."""
_TIMED = (*_SERVED, "command")
_HALVED = 2.0
"""More than 50 % less time is more than twice as good."""
_MEMORY_RATIO = 1 / 0.7
"""More than 30 % less memory."""
_CPU_LIMIT = 0.7
_DOUBLED = 2.0
"""More than 100 % more capacity."""


def judge_criteria(report: Report) -> tuple[CriterionRow, ...]:
    """All criteria of a report whose `metrics` are set: the recipe's, then the target's goals, then the plan's."""
    plan = report.plans[-1].criteria if report.plans else ()
    goals = tuple(judge_criterion(report, goal, "goal") for goal in report.goals)
    planned = tuple(judge_criterion(report, item, "plan") for item in plan if item not in report.goals)
    return (*_judge_recipe(report), *goals, *planned)


def goals_of(report: Report) -> tuple[Criterion, ...]:
    """What the run had to reach: the target's goals, or the last plan's criteria where the target sets none."""
    return report.goals or (report.plans[-1].criteria if report.plans else ())


def judge_criterion(report: Report, criterion: Criterion, source: str) -> CriterionRow:
    """One measurable condition against the report's metrics, or against the candidate's own measurement."""
    name = f"{source}: {name_metric(criterion.metric)} of {criterion.workload} {_describe(criterion)}"
    row = _find_row(report, criterion.metric, criterion.workload)
    if doubt := _find_doubt(report, criterion.metric, criterion.workload):
        return _uncounted(name, doubt)
    if criterion.comparison == "improve_by":
        if row is None:
            return _not_measured(name)
        return CriterionRow(name=name, met=row.ratio_low >= criterion.value, detail=_describe_gain(row))
    value = row.candidate if row else _find_value(report, criterion.metric, criterion.workload)
    if value is None:
        return _not_measured(name)
    met = value <= criterion.value if criterion.comparison == "at_most" else value >= criterion.value
    return CriterionRow(name=name, met=met, detail=f"measured {show_figure(criterion.metric, value)}")


def arm_after(report: Report) -> str:
    """The arm that shows the end of the run: the candidate, or the base where nothing was kept."""
    return "candidate" if any(change.kept for change in report.changes) else "base"


def evidence_after(report: Report, kind: str) -> tuple[Evidence, ...]:
    """Evidence of one kind about the version that the run ends with."""
    ending = f"/{arm_after(report)}"
    return tuple(item for item in report.evidence if item.kind == kind and item.id.endswith(ending))


def _judge_recipe(report: Report) -> tuple[CriterionRow, ...]:
    return (
        _judge_gain(report, "response time improved by more than 50 %", _RESPONSE, _HALVED, _TIMED),
        _judge_queries(report),
        _judge_memory(report),
        _judge_cpu(report),
        _judge_vitals(report),
        _judge_regressions(report),
        _judge_gain(report, "load capacity increased by more than 100 %", ("http.rps",), _DOUBLED, _SERVED),
    )


def _judge_gain(
    report: Report, name: str, metrics: tuple[str, ...], ratio: float, kinds: tuple[str, ...]
) -> CriterionRow:
    """Whether each of the metrics became better by more than a ratio, at the workload that decides."""
    first, kind = next(iter(report.workloads.items()), ("", ""))
    if kind and kind not in kinds:
        return _not_applicable(name, f"{first}, the workload that decides, is a {kind}, which has no such figure")
    rows = [row for row in report.metrics if row.name in metrics and row.workload == first]
    if not rows:
        return _not_measured(name)
    if doubt := next((row.doubt for row in rows if row.doubt), ""):
        return _uncounted(name, doubt)
    detail = "; ".join(f"{name_metric(row.name)}: {_describe_gain(row)}" for row in rows)
    return CriterionRow(name=name, met=all(row.ratio_low > ratio for row in rows), detail=detail)


def _judge_queries(report: Report) -> CriterionRow:
    name = "database queries optimised (no N+1)"
    traced = evidence_after(report, "queries")
    if not traced and report.database == "":
        return _not_applicable(name, "the target describes no database")
    if not traced:
        return CriterionRow(name=name, met=None, detail="no queries of the final version were traced")
    left = [pattern for item in traced for pattern in _find_patterns(item)]
    rows = [row for row in report.metrics if row.name == "db.queries_per_request"]
    counts = "; ".join(
        f"{row.workload}: {show_figure(row.name, row.base)} → {show_figure(row.name, row.candidate)} queries a request"
        for row in rows
    )
    detail = f"N+1 patterns left: {'; '.join(left)}" if left else "no N+1 pattern left"
    return CriterionRow(name=name, met=not left, detail=f"{detail}; {counts}" if counts else detail)


def _find_patterns(traced: Evidence) -> list[str]:
    """The statements that a tracer's facts (`statement.0.n_plus_one` and so on) mark as N+1."""
    facts = traced.facts
    marked = [key.removesuffix(".n_plus_one") for key, value in facts.items() if key.endswith(".n_plus_one") and value]
    return [
        f"{facts.get(f'{row}.endpoint')}: {facts.get(f'{row}.max_calls')} × {facts.get(f'{row}.sql')}" for row in marked
    ]


def _judge_memory(report: Report) -> CriterionRow:
    name = "memory usage reduced by more than 30 %"
    first, kind = next(iter(report.workloads.items()), ("", ""))
    if kind == "page":
        return _not_applicable(
            name, f"{first}, the workload that decides, is a page, and no load shows the server's memory"
        )
    if doubt := _find_doubt(report, "memory.peak_mb", first):
        return _uncounted(name, doubt)
    row = _find_row(report, "memory.peak_mb", first)
    if row is not None:
        return CriterionRow(name=name, met=row.ratio_low > _MEMORY_RATIO, detail=_describe_gain(row))
    before = _find_measurement(report, "memory.peak_mb", first, "base")
    after = _find_measurement(report, "memory.peak_mb", first, arm_after(report))
    if before is None or after is None:
        return _not_measured(name)
    figures = f"{show_figure('memory.peak_mb', before.value)} → {show_figure('memory.peak_mb', after.value)}"
    return CriterionRow(name=name, met=before.value > _MEMORY_RATIO * after.value, detail=f"{figures} at peak")


def _judge_cpu(report: Report) -> CriterionRow:
    name = "CPU utilisation below 70 % under load"
    found = [(workload, _find_value(report, "cpu.utilisation", workload)) for workload in report.workloads]
    known = [(workload, value) for workload, value in found if value is not None]
    if report.workloads and not any(kind in _SERVED for kind in report.workloads.values()):
        return _not_applicable(name, "no workload puts a server under load")
    if not known:
        doubts = (_find_doubt(report, "cpu.utilisation", workload) for workload in report.workloads)
        doubt = next(filter(None, doubts), "")
        return _uncounted(name, doubt) if doubt else _not_measured(name)
    detail = "; ".join(f"{workload}: {show_figure('cpu.utilisation', value)}" for workload, value in known)
    return CriterionRow(name=name, met=all(value < _CPU_LIMIT for _, value in known), detail=detail)


def _judge_vitals(report: Report) -> CriterionRow:
    """All three of every page, each as the median of its visits; one that is unknown leaves the rest to decide."""
    name = "all Core Web Vitals in the good range"
    pages = [workload for workload, kind in report.workloads.items() if kind == "page"]
    if not pages:
        return _not_applicable(name, "the target describes no page workload")
    told, ratings = [], []
    for page in pages:
        for vital in CORE:
            value = _find_value(report, vital.metric, page)
            ratings.append(None if value is None else rate(vital, value))
            told.append(f"{page}: {vital.short} {_show_vital(vital, value)}")
    if any(rating not in (None, "good") for rating in ratings):
        met: bool | None = False
    else:
        met = None if None in ratings else True
    return CriterionRow(name=name, met=met, detail="; ".join(told))


def _show_vital(vital: Vital, value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{show_figure(vital.metric, value)} ({rate(vital, value)})"


def _judge_regressions(report: Report) -> CriterionRow:
    name = "zero performance regressions"
    if not report.metrics:
        return _not_measured(name)
    if arm_after(report) == "base":
        return CriterionRow(name=name, met=True, detail="nothing was kept, so nothing was made worse")
    rows = report.metrics
    worse = [f"{row.name} of {row.workload} {show_ratio(row.ratio)}" for row in rows if row.outcome == "regressed"]
    unsure = [f"{row.name} of {row.workload}" for row in rows if row.outcome == "underpowered"]
    detail = f"worse: {', '.join(worse)}" if worse else f"none of {len(report.metrics)} metrics became worse"
    return CriterionRow(
        name=name, met=not worse, detail=f"{detail}; could not tell for {', '.join(unsure)}" if unsure else detail
    )


def _find_row(report: Report, metric: str, workload: str) -> MetricRow | None:
    return next((row for row in report.metrics if row.name == metric and row.workload == workload), None)


def _find_measurement(report: Report, metric: str, workload: str, arm: str) -> Measurement | None:
    """The last measurement of an arm: a later round of the run replaces an earlier one."""
    every = [*(item for evidence in report.evidence for item in evidence.measurements), *report.measurements]
    wanted = (metric, workload, arm)
    return next((item for item in reversed(every) if (item.metric, item.workload, item.arm) == wanted), None)


def _find_end(report: Report, metric: str, workload: str) -> tuple[float, str] | None:
    """What a metric came to in the end, and why that does not count; empty where it does."""
    row = _find_row(report, metric, workload)
    if row is not None:
        return row.candidate, row.doubt
    found = _find_measurement(report, metric, workload, arm_after(report))
    return None if found is None else (found.value, found.doubt)


def _find_doubt(report: Report, metric: str, workload: str) -> str:
    end = _find_end(report, metric, workload)
    return end[1] if end else ""


def _find_value(report: Report, metric: str, workload: str) -> float | None:
    """What a metric came to in the end; None where that is unknown or does not count."""
    end = _find_end(report, metric, workload)
    return end[0] if end and not end[1] else None


def _describe(criterion: Criterion) -> str:
    if criterion.comparison == "improve_by":
        return f"at least {show_ratio(criterion.value)} better"
    words = "at most" if criterion.comparison == "at_most" else "at least"
    return f"{words} {show_figure(criterion.metric, criterion.value)}"


def _describe_gain(row: MetricRow) -> str:
    figures = f"{show_figure(row.name, row.base)} → {show_figure(row.name, row.candidate)}"
    interval = "" if row.exact else f" ({show_interval(row.ratio_low, row.ratio_high)})"
    return f"{figures}, {show_ratio(row.ratio)} better{interval}" if row.ratio >= 1 else f"{figures}, worse{interval}"


def _not_applicable(name: str, why: str) -> CriterionRow:
    return CriterionRow(name=name, met=None, detail=f"not applicable: {why}")


def _not_measured(name: str) -> CriterionRow:
    return CriterionRow(name=name, met=None, detail="not measured in this run")


def _uncounted(name: str, doubt: str) -> CriterionRow:
    return CriterionRow(name=name, met=None, detail=f"measured, but does not count: {doubt}")
