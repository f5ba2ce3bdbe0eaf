"""The end of a round and of the run: the judge, and the report that it reads."""

from langgraph.runtime import Runtime

from agents.crew import Crew
from graphs.phase import Context, Node, Run, given
from graphs.state import RunState, Update
from perfcrew.records.evidence import Measurement
from perfcrew.records.report import PageDuel, Report
from perfcrew.records.work import PlanStep
from perfcrew.report.build import Comparison, Material, build_report
from perfcrew.verdict import decide
from prompts import prompt_digest, prompt_names
from tools.duel import Duel
from tools.git import publish


async def judge(state: RunState, crew: Crew) -> Update:
    """Decide about the composed branch, and open another round while goals are unmet and something is left to try."""
    final = state["final"]
    pages = (effect for page in state["pages"] for effect in page.effects)
    checks = tuple(state["checks"].values())
    verdict = decide((*final.effects, *pages), checks, samples=final.samples) if final else None
    if verdict:
        crew.tell("measured", f"the whole branch: {verdict.reason}", phase="judge")
    notes: list[str] = []
    if verdict and not verdict.accepted:
        notes.append(f"the composed branch is not offered: {verdict.reason}")
    update = Update(verdict=verdict, notes=notes)
    if goes_on(state, crew):
        return {**update, "round": state["round"] + 1}
    return update


def goes_on(state: RunState, crew: Crew) -> bool:
    """Whether another round is worth its cost: goals unmet, the last round kept something, rounds and budget left."""
    if state["round"] + 1 >= crew.limits.rounds or crew.budget.exceeded() or not state["approved"]:
        return False
    if conclude(state, crew, 0.0).goals_met:
        return False
    return any(change.kept for change in state["changes"] if change.step in _latest_steps(state))


def _latest_steps(state: RunState) -> set[str]:
    steps: tuple[PlanStep, ...] = state["plans"][-1].steps if state["plans"] else ()
    return {step.id for step in steps}


def conclude(state: RunState, crew: Crew, wall_seconds: float, branch: str | None = None) -> Report:
    """The report of the run as it stands."""
    workspace = crew.workspace
    kept = any(change.kept for change in state["changes"])
    return build_report(
        Material(
            run_id=workspace.run_id,
            target=workspace.target,
            request=state["request"],
            base_commit=state["base"],
            head_commit=state["head"],
            branch=branch,
            phases=tuple(state["phases"]),
            wall_seconds=wall_seconds,
            usage=crew.budget.total(),
            models=tuple(sorted({model for _, model in crew.budget.usage()})),
            answered_by=str(crew.journal.fact("label")),
            plans=tuple(state["plans"]),
            changes=tuple(state["changes"]),
            findings=tuple(state["findings"].values()),
            evidence=tuple(state["evidence"].values()),
            measurements=_measurements(state),
            pages=tuple(
                PageDuel(workload=page.workload, effects=page.effects, samples=page.samples)
                for page in state["pages"]
                if kept
            ),
            final=_comparison(state["final"]) if kept else None,
            noise=_comparison(state["noise"]),
            checks=tuple(state["checks"].values()),
            reviews=tuple(state["reviews"].values()),
            snapshot=state["snapshot"],
            board=tuple(state["board"].values()),
            prompts={name: prompt_digest(name) for name in prompt_names()},
            notes=(*state["notes"], *_drift(crew)),
            environment={"digest": workspace.environment},
            failures=tuple(f"{name}: {why}" for name, why in state["failures"].items() if why),
        )
    )


def _measurements(state: RunState) -> tuple[Measurement, ...]:
    """What the duels of the composed branch measured."""
    duels = [state["final"]] if state["final"] else []
    return tuple(item for duel in (*duels, *state["pages"]) for item in duel.measurements)


def _drift(crew: Crew) -> tuple[str, ...]:
    """How far what a recording was asked differs from what it had been asked. Live figures always differ in history."""
    drift = crew.journal.drift
    if not drift:
        return ()
    prompts = sorted({parts for parts in drift.values() if parts != "history"})
    rewritten = f"; also in {', '.join(prompts)}: the prompts changed since" if prompts else ""
    return (f"replay: {len(drift)} requests differ from the recorded ones in what was measured{rewritten}",)


def deliver(context: Context = given) -> Node:
    """The last node: give the user's repository the branch, if there is one to offer, and conclude."""

    async def report(state: RunState, *, runtime: Runtime[Run]) -> Update:
        run = await context(runtime)
        crew, branch = run.crew, f"perfcrew/{run.crew.workspace.run_id}"
        offered = state["verdict"] is not None and state["verdict"].accepted and state["head"] != state["base"]

        async def publish_branch() -> bool:
            await publish(crew.workspace.clone, state["head"], run.repo, branch)
            return True

        if offered:
            await crew.journal.effect("report", f"publish {state['head']}", bool, publish_branch)
        return Update(report=conclude(state, crew, run.clock(), branch if offered else None))

    return report


def _comparison(duel: Duel | None) -> Comparison | None:
    return Comparison(effects=duel.effects, samples=duel.samples) if duel else None
