"""The end of a round and of the run: the judge, and the report that it reads."""

from langgraph.runtime import Runtime

from agents.crew import Crew
from graphs.attempts import name_attempts
from graphs.handover import hand_over
from graphs.phase import Context, Node, Run, given
from graphs.state import Composed, RunState, Update
from perfcrew.llm.accounts import note_prices
from perfcrew.records.evidence import Measurement, Verdict
from perfcrew.records.report import Handover, PageDuel, Report
from perfcrew.records.work import PlanStep
from perfcrew.report.build import Comparison, Material, build_report
from perfcrew.verdict import decide
from prompts import prompt_digest, prompt_names
from tools.duel import Duel
from tools.offering import publish


async def judge(state: RunState, crew: Crew) -> Update:
    """Decide about the composed branch, and open another round while goals are unmet and something is left to try."""
    # A round whose duel could not be fought still has the duel of the round before it.
    final = state["final"] if state["final"] and state["final"].candidate == state["head"] else None
    pages = (effect for page in state["pages"] for effect in page.effects)
    checks = tuple(state["checks"].values())
    verdict = decide((*final.effects, *pages), checks, samples=final.samples) if final else None
    if verdict:
        crew.tell("measured", f"the whole branch: {verdict.reason}", phase="judge")
    update = Update(verdict=verdict)
    if verdict and not verdict.accepted:
        update["notes"] = [_refused(state, verdict)]
    elif verdict and final:
        update["accepted"] = Composed(
            round=state["round"], head=state["head"], final=final, pages=tuple(state["pages"]), verdict=verdict,
            checks=state["checks"], reviews=state["reviews"], evidence=state["evidence"],
        )  # fmt: skip
    if goes_on(state, crew):
        return {**update, "round": state["round"] + 1}
    return update


def _refused(state: RunState, verdict: Verdict) -> str:
    earlier = state.get("accepted")
    offered = f"; that of round {earlier.round + 1} is" if earlier else ""
    return f"the composed branch of round {state['round'] + 1} is not offered{offered}: {verdict.reason}"


def settle(state: RunState) -> RunState:
    """What the run ends with: where the last branch was refused, the newest that was accepted, without what came later.

    Changes made since then are withdrawn: each was kept by itself, but not by the branch as a whole.
    """
    earlier, verdict = state.get("accepted"), state["verdict"]
    if earlier is None or verdict is None or verdict.accepted:
        return state
    later = {step.id for plan in state["plans"] if plan.round > earlier.round for step in plan.steps}
    why = f"withdrawn: the branch as a whole was refused: {verdict.reason}"
    spoilt = {"kept": False, "withdrawn": True, "reason": why}
    changes = [
        change.model_copy(update=spoilt) if change.kept and change.step in later else change
        for change in state["changes"]
    ]
    return {
        **state, "head": earlier.head, "final": earlier.final, "pages": list(earlier.pages), "failures": {},
        "verdict": earlier.verdict, "checks": earlier.checks, "reviews": earlier.reviews,
        "evidence": earlier.evidence, "changes": changes,
    }  # fmt: skip


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


def conclude(
    state: RunState, crew: Crew, wall_seconds: float, branch: str | None = None, handover: Handover | None = None
) -> Report:
    """The report of the run as it stands."""
    workspace, usage = crew.workspace, crew.budget.usage()
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
            usage=usage,
            models=tuple(sorted({row.model for row in usage.rows})),
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
            notes=(*state["notes"], *name_attempts(crew.journal), *_drift(crew)),
            environment={"digest": workspace.environment},
            failures=tuple(f"{name}: {why}" for name, why in state["failures"].items() if why),
            handover=handover,
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
    prompts = sorted({part for parts in drift.values() for part in parts.split(", ")} - {"history"})
    rewritten = f"; also in {', '.join(prompts)}: the prompts changed since" if prompts else ""
    return (f"replay: {len(drift)} requests differ from the recorded ones in what was measured{rewritten}",)


def deliver(context: Context = given) -> Node:
    """The last node: give the user's repository the branch, if there is one to offer, and conclude."""

    async def report(state: RunState, *, runtime: Runtime[Run]) -> Update:
        run = await context(runtime)
        crew, branch = run.crew, f"perfcrew/{run.crew.workspace.run_id}"
        settled = settle(state)
        offered = settled["verdict"] is not None and settled["verdict"].accepted and settled["head"] != state["base"]

        made = await hand_over(settled, crew, conclude(settled, crew, 0.0, branch)) if offered else None
        if offered:
            head = (made and made.commit) or settled["head"]
            await crew.journal.effect(
                "report", f"publish {head}", bool, lambda: _publish(crew, run, head, branch), reapply=True
            )
            if tests := _new_tests(settled):
                await crew.journal.effect(
                    "report",
                    f"publish {tests}",
                    bool,
                    lambda: _publish(crew, run, tests, f"{branch}-tests"),
                    reapply=True,
                )
        note_prices(crew.journal, crew.budget.usage(), crew.catalogue)
        return Update(report=conclude(settled, crew, run.clock(), branch if offered else None, made))

    return report


def _new_tests(state: RunState) -> str:
    """The commit with the tester's new tests, on top of the branch that is offered."""
    evidence = state["evidence"].get("new_tests@candidate")
    on_top = evidence is not None and evidence.facts.get("head") == state["head"]
    return str(evidence.facts.get("commit") or "") if evidence and on_top else ""


async def _publish(crew: Crew, run: Run, commit: str, branch: str) -> bool:
    await publish(crew.workspace.clone, commit, run.repo, branch)
    return True


def _comparison(duel: Duel | None) -> Comparison | None:
    return Comparison(effects=duel.effects, samples=duel.samples) if duel else None
