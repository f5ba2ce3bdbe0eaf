"""What a comparison of two revisions comes to, over all its workloads and checks."""

from collections.abc import Iterable, Sequence

from perfcrew.records.base import Outcome
from perfcrew.records.evidence import Check
from perfcrew.records.survey import Bout

_WORST_FIRST: tuple[Outcome, ...] = ("regressed", "improved", "underpowered", "no_significant_change")


def conclude(bouts: Sequence[Bout], checks: Iterable[Check]) -> tuple[Outcome, str]:
    """The outcome and its reason.

    `regressed` where any workload did, or where the answers of the two differ: a faster version that answers otherwise
    is no improvement. `improved` where one did and none became worse; `underpowered` where nothing was shown and some
    workload was too noisy to tell.
    """
    failed = [check for check in checks if not check.passed]
    if failed:
        detail = (failed[0].detail.splitlines() or [""])[0]
        return "regressed", f"check {failed[0].name} failed{f': {detail}' if detail else ''}"
    for outcome in _WORST_FIRST:
        telling = [bout for bout in bouts if bout.outcome == outcome]
        if telling:
            return outcome, "; ".join(f"{bout.workload}: {bout.reason.rstrip('.')}" for bout in telling)
    return "underpowered", "nothing was compared"
