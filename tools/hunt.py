"""The hunt for differences between two running versions: which comparisons are made, in which order."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from perfcrew.records.evidence import Check
from perfcrew.records.target import Target
from tools.openapi import find_description, lost_promises
from tools.pair import Comparison, Pair
from tools.requests import Asked, open_client, send
from tools.scenarios import (
    MAX_SEQUENCES,
    all_reads,
    around_writes,
    by_user,
    odd_requests,
    probe_sequences,
    racing_writes,
    reads_of,
    workload_requests,
)
from tools.seen import Difference

MAX_AT_ONCE = 16
FEW_SEQUENCES = 3
"""Parameter combinations of a probe for one step; the composed branch is asked `MAX_SEQUENCES`."""
ODD = 6
"""Odd requests for each one of a workload."""
USERS_OF_LOAD = 3
"""Clients a version that keep it busy while it is compared."""
START_UP, DESCRIBED = "start-up does no more work", "the API keeps what it describes"
STATUSES = "statuses"
"""Where bursts of writes differ that were answered otherwise."""
SETTLE_S = 0.25
"""How long a version is left alone after its first answer, so that what it goes on doing shows."""
START_RATIO, START_S = 1.5, 0.1
"""A start that takes more CPU than this many times the base's and so many seconds more is work that was moved there."""


class Running(Protocol):
    """What the hunt needs of an arm."""

    url: str

    def cpu_seconds(self) -> float:
        """CPU time that it has used so far."""
        ...


Found = Comparison | Check
Placed = tuple[Asked, Difference]
Fresh = Callable[[bool], AbstractAsyncContextManager[tuple[object, Pair]]]
"""Starts the base afresh, with the candidate beside it or with the base once more."""


@dataclass(frozen=True)
class Hunt:
    """What is compared."""

    target: Target
    held_out: bool
    """Also what the coder never sees."""
    most: int
    """Requests of one workload."""
    thorough: bool
    """Go on after the first difference, and compare again under load."""

    @property
    def volatile(self) -> set[str]:
        """Keys that may differ in any answer."""
        return {key for probe in self.target.probe for key in probe.volatile}


async def hunt(plan: Hunt, pair: Pair, arms: tuple[Running, Running], fresh: Fresh) -> AsyncIterator[Found]:
    """Make all comparisons, cheap and plain ones first; unless thorough, the first difference ends the hunt.

    Args:
        plan: what is compared.
        pair: clients of base and candidate, which were just started.
        arms: both versions.
        fresh: starts them again on fresh data, for races, which other writes would have decided before.
    """
    yield (started := await _compare_start(arms))
    if not started.passed and not plan.thorough:
        return
    moving: list[Placed] = []
    for part in (_compare_workloads, _compare_sequences, _compare_described, _compare_many):
        async for found in part(plan, pair):
            moving += found.unstable if isinstance(found, Comparison) else ()
            yield found
            if not plan.thorough and not _passed(found):
                return
    if plan.thorough and (reads := reads_of(plan.target, plan.most)):
        loaded = await _compare_loaded(plan, pair, arms, reads)
        alone, met = _split([*loaded.unstable, *loaded.racing], moving)
        yield replace(loaded, unstable=alone, racing=met)
    if bursts := racing_writes(plan.target):
        yield await _compare_races(plan, bursts, fresh)


def _passed(found: Found) -> bool:
    return found.passed if isinstance(found, Check) else not found.differences


async def _compare_start(arms: tuple[Running, Running]) -> Check:
    """CPU time until ready and shortly after: what is computed before the first request is not saved, but hidden."""
    await asyncio.sleep(SETTLE_S)
    base, candidate = (arm.cpu_seconds() for arm in arms)
    detail = f"{base:.2f} s of CPU before the first request became {candidate:.2f} s"
    return Check(name=START_UP, passed=candidate <= max(base * START_RATIO, base + START_S), detail=detail)


async def _compare_workloads(plan: Hunt, pair: Pair) -> AsyncIterator[Found]:
    for held_out in (False, True) if plan.held_out else (False,):
        for workload in plan.target.workload:
            if workload.kind != "http" or (held_out and workload.held_out is None):
                continue
            name = f"same answers: {workload.name}" + (", held out" if held_out else "")
            asked = workload_requests(workload, plan.most, held_out=held_out)
            yield replace(await pair.compare(name, [asked], plan.volatile), held_out=held_out)


async def _compare_sequences(plan: Hunt, pair: Pair) -> AsyncIterator[Found]:
    for probe in plan.target.probe:
        if plan.held_out or not probe.held_out:
            most = MAX_SEQUENCES if plan.thorough else FEW_SEQUENCES
            name, sequences = f"same answers: probe {probe.name}", probe_sequences(probe, most)
            found = await pair.compare(name, sequences, probe.volatile)
            if len(sequences) > 1:
                in_turn = await pair.compare_in_turn(name, sequences[:3], probe.volatile)
                found = _joined(found, in_turn)
            yield replace(found, held_out=probe.held_out)
    if users := by_user(plan.target, held_out=plan.held_out):
        yield await pair.compare("same answers, several users", users, plan.volatile)
    if sequence := around_writes(plan.target, plan.most):
        yield await pair.compare("same answers around writes", [sequence], plan.volatile)


def _joined(first: Comparison, second: Comparison) -> Comparison:
    return replace(
        first,
        requests=first.requests + second.requests,
        differences=[*first.differences, *second.differences],
        unstable=[*first.unstable, *second.unstable],
        racing=[*first.racing, *second.racing],
    )


async def _compare_described(plan: Hunt, pair: Pair) -> AsyncIterator[Found]:
    documents = await find_description(pair)
    if documents is not None:
        lost = lost_promises(*documents)
        detail = "; ".join(lost[:4]) or "no path, parameter or field of its OpenAPI description was lost"
        yield Check(name=DESCRIBED, passed=not lost, detail=detail)
    if odd := odd_requests(plan.target, ODD * plan.most):
        yield await pair.compare("same answers to odd requests", [odd], plan.volatile, odd=True)


async def _compare_many(plan: Hunt, pair: Pair) -> AsyncIterator[Found]:
    if reading := all_reads(plan.target, plan.most):
        # In turn, so that different requests meet; then each endpoint by itself, where state is shared most.
        bursts = [list(itertools.islice(itertools.cycle(reading[:: max(1, len(reading) // MAX_AT_ONCE)]), MAX_AT_ONCE))]
        for endpoint in dict.fromkeys(item.endpoint for item in reading):
            same = [item for item in reading if item.endpoint == endpoint]
            bursts.append(list(itertools.islice(itertools.cycle(same), MAX_AT_ONCE)))
        yield await pair.compare_at_once("same answers, several at once", bursts, plan.volatile, last=not plan.thorough)


async def _compare_loaded(plan: Hunt, pair: Pair, arms: tuple[Running, Running], reads: Sequence[Asked]) -> Comparison:
    """The same reads and probes while others keep the candidate busy with reads; what it should give, the base gives.

    Where they differ, the base is kept busy as well: what it then answers otherwise too is held against nobody.
    """
    sequences = [list(reads), *(each[0] for each in map(probe_sequences, plan.target.probe) if each)]
    async with _kept_busy(arms[1:], reads):
        found = await pair.compare("same answers under load", sequences, plan.volatile)
    if found.differences:
        async with _kept_busy(arms, reads):
            found = await pair.excuse(found, plan.volatile)
    return replace(found, held_out=any(probe.held_out for probe in plan.target.probe))


@asynccontextmanager
async def _kept_busy(arms: Sequence[Running], reads: Sequence[Asked]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_client(arm.url)) for arm in arms]

        async def keep_busy(number: int) -> None:
            for asked in itertools.cycle([*reads[number:], *reads[:number]]):
                await asyncio.gather(*(send(client, asked) for client in clients), return_exceptions=True)

        busy = [asyncio.create_task(keep_busy(number % len(reads))) for number in range(USERS_OF_LOAD)]
        try:
            yield
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)


async def _compare_races(plan: Hunt, bursts: Sequence[Sequence[Asked]], fresh: Fresh) -> Comparison:
    """Bursts of writes, and what is read afterwards. What the base does differently by itself is its own race.

    Who wins a race is chance: a difference counts only where it comes again, and the base gave the same each time.
    """
    async with fresh(True) as (_, pair):
        found, told = await _race(plan, pair, bursts)
    if not found.differences:
        return found
    outcomes, own = [told[0]], list[Placed]()
    kept, fleeting = found.differences, list[Placed]()
    for beside_candidate in (True, False, False):
        async with fresh(beside_candidate) as (_, pair):
            again, told = await _race(plan, pair, bursts)
        outcomes += told[:1] if beside_candidate else told
        if beside_candidate:
            kept, fleeting = _split(kept, again.differences)
        else:
            own += again.differences
    own += [
        (burst[0], Difference(STATUSES, first, other))
        for outcome in outcomes[1:]
        for burst, first, other in zip(bursts, outcomes[0], outcome, strict=True)
        if first != other
    ]
    if any(place.where == STATUSES for _, place in own):
        # Other writes went through: whatever is read afterwards may follow from that.
        return replace(found, differences=[], racing=own)
    _, kept = _split(kept, own)
    _, fleeting = _split(fleeting, own)
    racing, _ = _split(own, found.differences)
    return replace(found, differences=kept, racing=racing, fleeting=fleeting)


def _split(some: Sequence[Placed], others: Sequence[Placed]) -> tuple[list[Placed], list[Placed]]:
    """Those whose place is one of the others' too, and the rest."""
    places = {(asked.name, difference.where) for asked, difference in others}
    shared = [each for each in some if (each[0].name, each[1].where) in places]
    return shared, [each for each in some if each not in shared]


async def _race(plan: Hunt, pair: Pair, bursts: Sequence[Sequence[Asked]]) -> tuple[Comparison, list[list[str]]]:
    """The comparison, and for base and candidate how each burst was answered."""
    found = Comparison("same answers, writes at once")
    told: list[list[str]] = [[], []]
    for burst in bursts:
        base, candidate = await pair.write_at_once(burst)
        told[0].append(base)
        told[1].append(candidate)
        if base != candidate:
            found.differences.append((burst[0], Difference(STATUSES, base, candidate)))
        found.requests += len(burst)
    return _joined(found, await pair.compare(found.name, [reads_of(plan.target, plan.most)], plan.volatile)), told
