"""What a comparison of two revisions comes to, over all its workloads and checks."""

from collections.abc import Iterable, Sequence

from perfcrew.artifacts import Artifacts
from perfcrew.duel_stats import guard_effects
from perfcrew.records.base import Outcome
from perfcrew.records.evidence import Check
from perfcrew.records.survey import Bout
from perfcrew.records.work import Criterion
from perfcrew.report.figures import name_metric, show_figure
from perfcrew.verdict import guard_checks

_WORST_FIRST: tuple[Outcome, ...] = ("regressed", "improved", "underpowered", "no_significant_change")


def guarded(bouts: Sequence[Bout], artifacts: Artifacts) -> tuple[Bout, ...]:
    """Several bouts with what each says of its guards, from its raw duel; all guards share one risk of a false alarm.

    A page's vitals, and what a single workload is guarded by, are judged in its own verdict.
    """
    raw = {bout.workload: artifacts.get_json(bout.samples) for bout in bouts if bout.noise_samples}
    effects = guard_effects(tuple(raw.values())) if len(bouts) > 1 else ()
    return tuple(
        bout.model_copy(update={"guards": tuple(effect for effect in effects if effect.workload == bout.workload)})
        for bout in bouts
    )


def goal_checks(bouts: Sequence[Bout], goals: Iterable[Criterion]) -> tuple[Check, ...]:
    """Whether the candidate holds the description's limits (`at_most`, `at_least`), a check for each that was measured.

    A limit that the base misses as well says that this machine, or the base, is slower than where it was set; whether
    the candidate became worse is then for the duel to say.
    """
    effects = {(effect.workload, effect.metric): effect for bout in bouts for effect in bout.effects}
    checks = []
    for goal in goals:
        effect = effects.get((goal.workload, goal.metric))
        if effect is None or effect.doubt or goal.comparison == "improve_by":
            continue
        sign = 1 if goal.comparison == "at_most" else -1
        held, before = (sign * value <= sign * goal.value for value in (effect.candidate, effect.base))
        limit = f"{'at most' if sign > 0 else 'at least'} {show_figure(goal.metric, goal.value)}"
        name = f"goal: {name_metric(goal.metric)} of {goal.workload} {limit}"
        base, candidate = (show_figure(goal.metric, value) for value in (effect.base, effect.candidate))
        missed = "" if held or before else "; the base misses it as well, so it decides nothing here"
        checks.append(Check(name=name, passed=held or not before, detail=f"{candidate}, base {base}{missed}"))
    return tuple(checks)


def conclude(bouts: Sequence[Bout], checks: Iterable[Check]) -> tuple[Outcome, str]:
    """The outcome and its reason.

    `regressed` where any workload did, or where the answers of the two differ: a faster version that answers otherwise
    is no improvement. `improved` where one did and none became worse, the guards of the others included;
    `underpowered` where nothing was shown and some workload was too noisy to tell.
    """
    failed = [check for check in checks if not check.passed]
    if failed:
        detail = (failed[0].detail.splitlines() or [""])[0]
        return "regressed", f"check {failed[0].name} failed{f': {detail}' if detail else ''}"
    for outcome in _WORST_FIRST:
        telling = [bout for bout in bouts if bout.outcome == outcome]
        if telling:
            reason = "; ".join(f"{bout.workload}: {bout.reason.rstrip('.')}" for bout in telling)
            broken = _broken(bouts) if outcome == "improved" else ""
            return ("regressed", f"{broken}, which does not make up for {reason}") if broken else (outcome, reason)
    return "underpowered", "nothing was compared"


def _broken(bouts: Sequence[Bout]) -> str:
    """The guards that broke beside a win. A workload that won by itself has traded its own tail for it."""
    others = [effect for bout in bouts if bout.outcome != "improved" for effect in bout.guards]
    failed = [check for check in guard_checks(others) if not check.passed]
    return "; ".join(f"{check.name}: {check.detail}" for check in failed)
