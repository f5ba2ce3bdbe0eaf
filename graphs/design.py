"""Phase 2: the architect turns findings into a plan; a person may be asked before anything is changed."""

from langgraph.types import interrupt

from agents.agent import AgentFailed, converse
from agents.architect import DESIGN, brief_design, check_plan, to_plan
from agents.crew import Crew
from graphs.state import RunState, Update
from perfcrew.errors import ReplayMiss
from perfcrew.records.work import Card
from prompts import circumstances, layers_of, render, strategies_for
from tools.knowledge import describe_paths

PATHS_SHOWN = 12


async def design(state: RunState, crew: Crew) -> Update:
    """Ask the architect for this round's plan."""
    number = state["round"]
    lane = f"{number}/design/architect"
    findings = list(state["findings"].values())
    target = crew.workspace.target

    async def paths() -> str:
        return describe_paths(crew.workspace, PATHS_SHOWN)

    brief = brief_design(
        state["request"],
        target,
        findings,
        state["evidence"].values(),
        state["snapshot"],
        state["changes"],
        strategies_for(
            {finding.kind for finding in findings},
            layers_of(state["request"].variation),
            circumstances(target, state["request"], findings, state["evidence"].values()),
        ),
        await crew.journal.effect(lane, "paths", str, paths),
        crew.limits.steps,
    )
    try:
        done = await converse(
            DESIGN,
            render(DESIGN.prompt),
            brief,
            crew,
            lane,
            lambda answer: check_plan(answer, findings, target, crew.limits.steps),
        )
    except (AgentFailed, ReplayMiss) as error:
        return Update(notes=[f"architect: {error}; no plan for round {number + 1}"])
    plan = to_plan(done.answer, number, {change.step: change for change in state["changes"]})
    cards = {step.id: Card(id=step.id, title=step.title, role="coder", status="TODO") for step in plan.steps}
    for card in cards.values():
        crew.tell("note", f"planned: {card.title}", phase="architect", role="architect")
    return Update(plans=[plan], board=cards, evidence={item.id: item for item in done.evidence}, notes=list(done.stale))


async def approve(state: RunState, _crew: Crew) -> Update:
    """Stop until a person has approved the plan. Resuming carries `{"approved": bool, "note": str}`."""
    plan = state["plans"][-1]
    decision = interrupt({"plan": plan.model_dump(mode="json")})
    approved = bool(decision.get("approved"))
    note = str(decision.get("note") or "")
    said = "approved" if approved else "declined"
    return Update(
        approved=approved, notes=[f"the plan of round {plan.round + 1} was {said}{': ' + note if note else ''}"]
    )
