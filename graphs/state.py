"""The recipe's shared state: total, typed, merged by reducers where parallel branches write."""

from typing import Annotated, TypedDict, TypeVar

from perfcrew.records.base import Record, Role
from perfcrew.records.evidence import Check, Evidence, Verdict
from perfcrew.records.report import PhaseRow, Report
from perfcrew.records.work import Card, Change, Finding, Order, Plan, RecipeRequest, Review, Snapshot
from tools.duel import Duel

T = TypeVar("T")


def merge(old: dict[str, T], new: dict[str, T]) -> dict[str, T]:
    """Later values of a key win; keys of parallel branches never collide by construction."""
    return {**old, **new}


def append(old: list[T], new: list[T]) -> list[T]:
    """New items at the end, without repeats, so that a node that runs twice adds once."""
    return [*old, *(item for item in new if item not in old)]


def amend(old: list[Change], new: list[Change]) -> list[Change]:
    """As `append`, but what is new about a commit takes the place of what was known of it."""
    told = {change.commit: change for change in new if change.commit}
    known = {change.commit for change in old}
    kept = [told.get(change.commit, change) if change.commit else change for change in old]
    return append(kept, [change for change in new if change.commit not in known or not change.commit])


class Composed(Record):
    """A branch as a whole that was accepted, with all that says so."""

    round: int
    head: str
    final: Duel
    pages: tuple[Duel, ...]
    verdict: Verdict
    checks: dict[str, Check]
    reviews: dict[str, Review]
    evidence: dict[str, Evidence]


class RunState(TypedDict):
    """Everything that nodes pass on. Big things are files; here are digests and references."""

    request: RecipeRequest
    base: str
    head: str
    """Newest kept commit; the base while nothing is kept."""
    round: int
    evidence: Annotated[dict[str, Evidence], merge]
    findings: Annotated[dict[str, Finding], merge]
    snapshot: Snapshot | None
    plans: Annotated[list[Plan], append]
    approved: bool
    changes: Annotated[list[Change], amend]
    noise: Duel | None
    """The base against itself: the noise floor of this machine."""
    final: Duel | None
    pages: list[Duel]
    """The vitals of each page in the composed branch against the base."""
    verdict: Verdict | None
    accepted: Composed | None
    """The newest composed branch that was accepted, should a later round spoil it."""
    checks: Annotated[dict[str, Check], merge]
    reviews: Annotated[dict[str, Review], merge]
    board: Annotated[dict[str, Card], merge]
    phases: Annotated[list[PhaseRow], append]
    failures: Annotated[dict[str, str], merge]
    """Branch name to why it failed; empty text once it has succeeded."""
    notes: Annotated[list[str], append]
    report: Report | None
    orders: list[Order]
    """The commands that the phase at work comes from; none in the recipe."""


class Update(TypedDict, total=False):
    """What a node returns: the keys that it changes. A key that is not here is a type error, not a silent loss."""

    head: str
    round: int
    evidence: dict[str, Evidence]
    findings: dict[str, Finding]
    snapshot: Snapshot | None
    plans: list[Plan]
    approved: bool
    changes: list[Change]
    noise: Duel | None
    final: Duel | None
    pages: list[Duel]
    verdict: Verdict | None
    accepted: Composed | None
    checks: dict[str, Check]
    reviews: dict[str, Review]
    board: dict[str, Card]
    phases: list[PhaseRow]
    failures: dict[str, str]
    notes: list[str]
    report: Report | None
    orders: list[Order]


def words_for(state: RunState, role: Role) -> str:
    """What the user said to a role with the command that is at work."""
    return "\n".join(order.said for order in state.get("orders", []) if order.role == role and order.said)


def start(request: RecipeRequest, base: str) -> RunState:
    """The state before the first node."""
    return RunState(
        request=request,
        base=base,
        head=base,
        round=0,
        evidence={},
        findings={},
        snapshot=None,
        plans=[],
        approved=True,
        changes=[],
        noise=None,
        final=None,
        pages=[],
        verdict=None,
        accepted=None,
        checks={},
        reviews={},
        board={},
        phases=[],
        failures={},
        notes=[],
        report=None,
        orders=[],
    )
