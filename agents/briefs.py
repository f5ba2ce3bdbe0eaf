"""Parts that several roles' briefs share: pure text from records."""

from collections.abc import Iterable

from perfcrew.records.evidence import Effect, Evidence, Verdict
from perfcrew.records.target import Target, Workload
from perfcrew.records.work import Change, Criterion, Finding, PlanStep, RecipeRequest, Variation

FOCUS: dict[Variation, str] = {
    "full": "all layers: database, backend, front end",
    "api": "backend metrics only; leave the front end alone; look at database and caching first",
    "frontend": "web vitals, bundle size and client-side caching; leave the backend alone unless it delays the page",
    "database": "queries in depth: plans, indexes, rewriting, denormalisation",
    "microservices": "calls between services: how many, how large, how chatty; caching across services",
}


def show_request(request: RecipeRequest) -> str:
    """The user's context, without the fields left empty."""
    lines = []
    for title, part in (
        ("Performance context", request.context),
        ("Technical environment", request.environment),
        ("Constraints", request.constraints),
    ):
        filled = [f"- {name.replace('_', ' ')}: {value}" for name, value in part.model_dump().items() if value]
        if filled:
            lines += [f"## {title}", *filled]
    lines.append(f"Recipe variation: {request.variation}: {FOCUS[request.variation]}")
    return "\n".join(lines)


def show_words(said: str) -> str:
    """What a user said to a role by its command, to stand at a brief's end; nothing where nothing was said."""
    return f"\n\n# The user's words for this phase\n\n{said}" if said else ""


def show_target(target: Target) -> str:
    """What is measured. Held-out variants are never shown."""
    lines = [f"# Target: {target.target.name}"]
    lines += [_show_workload(workload) for workload in target.workload]
    if target.database:
        lines.append(f"Database: {target.database.engine}; migrations run by: {target.database.migrate or '(none)'}")
    if target.goal:
        lines.append("Goals: " + "; ".join(show_criterion(goal) for goal in target.goal))
    protected = (*target.protected, *target.target.setup_inputs, *target.locustfiles)
    lines.append("Protected, not to be changed: " + ", ".join(protected))
    return "\n".join(lines)


def _show_workload(workload: Workload) -> str:
    if workload.kind == "command":
        return f"Workload {workload.name}: command `{workload.command}`"
    if workload.page is not None:
        steps = ", ".join(
            f"click {step.click}" if step.click else f"type into {step.fill}" for step in workload.page.step
        )
        throttled = f"throttled as {workload.page.throttling}"
        return f"Workload {workload.name}: page {workload.page.path} in a browser, {throttled}; {steps or 'no steps'}"
    if workload.kind == "locust":
        return f"Workload {workload.name}: {workload.users} users of {workload.locustfile}, run by Locust"
    requests = ", ".join(f"{request.method} {request.path}" for request in workload.request)
    if workload.rate is not None:
        return f"Workload {workload.name}: {workload.rate:g} requests a second by timetable: {requests}"
    return f"Workload {workload.name}: {workload.users} users, think time {workload.think_s} s: {requests}"


def show_criterion(criterion: Criterion) -> str:
    """A criterion as a phrase."""
    words = {"at_most": "at most", "at_least": "at least", "improve_by": "better by a factor of"}
    return f"{criterion.metric} on {criterion.workload} {words[criterion.comparison]} {criterion.value:g}"


def show_evidence(evidence: Iterable[Evidence], kinds: frozenset[str] | None = None) -> str:
    """Digests with their ids, which answers must cite."""
    chosen = [item for item in evidence if kinds is None or item.kind in kinds]
    return "\n\n".join(f"### Evidence `{item.id}`: {item.title}\n{item.digest}" for item in chosen)


def show_findings(findings: Iterable[Finding]) -> str:
    """Findings, the largest share first."""
    ranked = sorted(findings, key=lambda finding: -(finding.share or 0.0))
    return "\n".join(_show_finding(finding) for finding in ranked) or "(none)"


def _show_finding(finding: Finding) -> str:
    share = f"{finding.share:.0%} of end-to-end time" if finding.share is not None else "share not measured"
    place = ", ".join(f"{key} {value}" for key, value in finding.place.model_dump(exclude_none=True).items())
    return (
        f"- `{finding.id}` [{finding.severity}; {share}; by {finding.source}] {finding.claim}\n"
        f"  where: {place}; evidence: {', '.join(finding.evidence)}; remedy: {finding.remedy}"
    )


def show_effects(effects: Iterable[Effect]) -> str:
    """Effects as lines a person can read."""
    return "\n".join(
        f"- {effect.metric} on {effect.workload}: {effect.base:.4g} → {effect.candidate:.4g} {effect.unit}, "
        f"{effect.ratio:.3g} times as good ({effect.ratio_low:.3g} to {effect.ratio_high:.3g}): {effect.outcome}"
        for effect in effects
    )


def show_verdict(verdict: Verdict) -> str:
    """A verdict with what it rests on."""
    failed = "\n".join(f"- failed: {check.name}: {check.shown}" for check in verdict.checks if not check.passed)
    parts = [f"{verdict.outcome}: {verdict.reason}", failed, show_effects(verdict.effects)]
    return "\n".join(part for part in parts if part)


def show_changes(changes: Iterable[Change]) -> str:
    """What was tried so far."""
    return "\n".join(
        f"- {'KEPT' if change.kept else 'DROPPED'} `{change.step}` {change.title}: {change.reason}"
        for change in changes
    )


def show_step(step: PlanStep) -> str:
    """A plan step, every field."""
    return "\n".join(
        f"- {name.replace('_', ' ')}: {', '.join(value) if isinstance(value, tuple) else value}"
        for name, value in step.model_dump().items()
        if value not in ("", ())
    )
