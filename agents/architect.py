"""The `architect` role: bottlenecks ranked by impact and effort, as a plan of small steps."""

from collections.abc import Iterable, Mapping

from pydantic import Field

from agents.agent import Agent
from agents.briefs import show_changes, show_evidence, show_findings, show_request, show_target
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Target
from perfcrew.records.work import (
    Change,
    Criterion,
    Finding,
    Layer,
    Level,
    Plan,
    PlanStep,
    RecipeRequest,
    Snapshot,
)
from tools.explain import explain_query
from tools.index_trial import try_index
from tools.knowledge import query_graph, show_path
from tools.source import list_files, read_file, search_code


class ProposedStep(Record):
    """One idea that becomes one commit and is measured alone."""

    title: str
    findings: tuple[str, ...] = Field(min_length=1, description="ids of the findings that it addresses")
    layer: Layer
    hypothesis: str
    metric: str = Field(description="the metric that should move, by its standard name")
    workload: str
    predicted_ratio: float = Field(gt=1, description="how many times better the metric should become")
    impact: Level
    effort: Level
    risk: Level
    side_effects: str
    rollback: str
    monitoring: str
    test_strategy: str
    files: tuple[str, ...] = ()


class PlanAnswer(Record):
    """The plan: steps in the order to take them, best impact for the effort first."""

    summary: str
    steps: tuple[ProposedStep, ...]
    criteria: tuple[Criterion, ...] = Field(min_length=1, description="measurable criteria for success")
    risks: str
    rollback: str


DESIGN = Agent(
    role="architect",
    prompt="architect",
    tools=(list_files, read_file, search_code, query_graph, show_path, explain_query, try_index),
    answer=PlanAnswer,
    tier="strong",
    turns=16,
)


def brief_design(
    request: RecipeRequest,
    target: Target,
    findings: Iterable[Finding],
    evidence: Iterable[Evidence],
    snapshot: Snapshot | None,
    tried: Iterable[Change],
    strategies: str,
    paths: str,
    limit: int,
) -> str:
    """What the role sees in phase 2; in a later round also what was tried."""
    parts = [
        show_request(request),
        show_target(target),
        f"At most {limit} steps.",
        "# Findings",
        show_findings(findings),
    ]
    parts += ["# Evidence", show_evidence(evidence)]
    if snapshot:
        parts += ["# Architecture", snapshot.summary, *(f"- {pattern}" for pattern in snapshot.patterns)]
    parts += ["# Performance-critical paths", paths, "# Strategies that fit", strategies]
    if changes := show_changes(tried):
        parts += ["# Tried already; propose something else", changes]
    return "\n\n".join(parts)


def check_plan(answer: PlanAnswer, findings: Iterable[Finding], target: Target, limit: int) -> list[str]:
    """Problems of a plan that its type can't show."""
    known = {finding.id: finding for finding in findings}
    workloads = {workload.name for workload in target.workload}
    problems = [f"at most {limit} steps, please"] if len(answer.steps) > limit else []
    for step in answer.steps:
        where = f"step {step.title!r}"
        missing = [name for name in step.findings if name not in known]
        problems += [f"{where}: there is no finding `{name}`; there is: {', '.join(known)}" for name in missing]
        if not missing and all(known[name].share is None for name in step.findings):
            problems.append(f"{where}: none of its findings has a measured share of end-to-end time or a counted cost")
        problems += _check_names(where, step.metric, step.workload, workloads)
    for criterion in answer.criteria:
        problems += _check_names("a criterion", criterion.metric, criterion.workload, workloads)
    return problems


def _check_names(where: str, metric: str, workload: str, workloads: set[str]) -> list[str]:
    problems = []
    if metric not in METRICS:
        problems.append(f"{where}: {metric!r} is no metric; there is: {', '.join(METRICS)}")
    if workload not in workloads:
        problems.append(f"{where}: {workload!r} is no workload; there is: {', '.join(sorted(workloads))}")
    return problems


def to_plan(answer: PlanAnswer, number: int, taken: Mapping[str, object]) -> Plan:
    """The answer as a plan; ids of steps derive from what they address.

    Args:
        answer: what the architect proposed.
        number: round of the recipe, from 0.
        taken: step ids of earlier rounds.
    """
    steps: list[PlanStep] = []
    used = set(taken)
    for proposed in answer.steps:
        name = base = f"fix:{proposed.findings[0]}"
        copy = 2
        while name in used:
            name, copy = f"{base}#{copy}", copy + 1
        used.add(name)
        steps.append(PlanStep(id=name, **proposed.model_dump()))
    return Plan(
        round=number,
        summary=answer.summary,
        steps=tuple(steps),
        criteria=answer.criteria,
        risks=answer.risks,
        rollback=answer.rollback,
    )
