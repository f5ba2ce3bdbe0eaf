"""What a comparison of two revisions comes to, over all its workloads and checks."""

from collections.abc import Iterable, Sequence

from perfcrew.artifacts import Artifacts
from perfcrew.duel_stats import guard_effects
from perfcrew.records.base import Outcome
from perfcrew.records.evidence import Check
from perfcrew.records.survey import Bout
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
