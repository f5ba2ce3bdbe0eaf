"""Duels: two versions of the target side by side, loaded by turns, over several fresh starts.

In each start both arms run at once, each with its own copy of the data, on the same cores; only one is loaded at a
time. Rounds of a fraction of a second alternate between them, and which goes first alternates from round to round and
from start to start, so that the machine's drift hits both. Both are sent the same sequence of requests. What does not
depend on time (queries a request, bytes a response) is counted beforehand on traced arms that nobody times. Other
workloads may be loaded in the same starts, for their guards. How the raw rounds become effects is
`perfcrew.duel_stats`'s work; after each look of the protocol it also says whether going on could change the answer.
"""

import sys
import time
import typing
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from perfcrew.duel_stats import duel_effects, noise_floors
from perfcrew.duel_stopping import is_clear, is_promising
from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Effect
from perfcrew.records.target import Workload
from tools.arm import start_arm, start_both
from tools.counts import Count, count_costs, keep_counts
from tools.duel_outcome import Duel, conclude_duel
from tools.generator import Loaded, Round, split_cores, tell_failures
from tools.lease import quiet_lease
from tools.loaders import Loader, open_loader
from tools.protocol import FULL, HELD_OUT, NOISE, QUICK, THOROUGH, Protocol
from tools.queries import count_queries
from tools.workspace import Workspace

__all__ = ["FULL", "NOISE", "QUICK", "THOROUGH", "Duel", "Protocol", "floors_of", "run_duel"]

Side = Literal["base", "candidate"]
SIDES: tuple[Side, Side] = ("base", "candidate")
READING = ("GET", "HEAD", "OPTIONS")
MEMORY_EVERY = 12
"""Memory is read after each such round, and after the last."""


class Starting(Loaded, typing.Protocol):
    """What a duel needs of an arm."""

    ready_seconds: float


class StartArm(typing.Protocol):
    """How an arm is started: `tools.arm.start_arm`."""

    def __call__(
        self,
        workspace: Workspace,
        commit: str,
        name: str,
        *,
        worktree: Path | None = None,
        cpus: frozenset[int] | None = None,
    ) -> AbstractAsyncContextManager[Starting]:
        """Start a version of the target, and stop it on leaving."""
        ...


@dataclass
class _Asked:
    """A workload in a duel under way."""

    workload: Workload
    loader: Loader
    raw: dict[str, Any]
    round_s: float = 0.0
    rounds: int = 0
    starts: int = sys.maxsize
    """In how many starts it is asked."""
    served: dict[Side, int] = field(default_factory=dict)

    @property
    def writing(self) -> frozenset[int]:
        """Which of its requests write."""
        return frozenset(at for at, request in enumerate(self.workload.request) if request.method not in READING)


@dataclass
class _Bout:
    """A duel under way."""

    workspace: Workspace
    protocol: Protocol
    commits: Mapping[Side, str]
    worktrees: Mapping[Side, Path | None]
    start_arm: StartArm
    asked: tuple[_Asked, ...]
    """The duel's own workload first."""

    async def run_start(self, number: int) -> None:
        """Start both arms afresh, and with each workload warm them up and load them by turns."""
        async with AsyncExitStack() as stack:
            arms = await self._start(stack, number)
            for asked in self.asked:
                if number >= asked.starts:
                    continue
                await self._warm_up(number, asked, arms)
                done = 0
                while done < max(asked.rounds, 1):
                    began = time.monotonic()
                    for order, side in enumerate(_order(number + done)):
                        await self._run_round(number, done, order, side, asked, arms[side])
                    if not asked.rounds:
                        self._plan_rounds(asked, time.monotonic() - began)
                    done += 1

    async def _warm_up(self, number: int, asked: _Asked, arms: Mapping[Side, Starting]) -> None:
        rates = []
        for side in _order(number):
            began = time.monotonic()
            asked.served[side] = await asked.loader.warm_up(arms[side])
            rates.append(asked.served[side] / (time.monotonic() - began))
            point = {"start": number, "arm": side, "seconds": arms[side].ready_seconds}
            asked.raw["starts"].append({**point, "uss_mb": arms[side].uss_mb(), "served": asked.served[side]})
        if not asked.round_s:
            asked.round_s = self.protocol.round_for(0.0 if asked.workload.kind == "command" else min(rates))

    def _plan_rounds(self, asked: _Asked, pair_s: float) -> None:
        """After the first pair: how long rounds are from now on, and how many."""
        before = asked.round_s
        if asked.workload.kind != "command":
            # The warm-up has fewer users and opens connections, so what it says of the rate is a lower bound.
            asked.round_s = self.protocol.round_for(
                min(cell["requests"] / cell["seconds"] for cell in asked.raw["cells"])
            )
        pair_s -= 2 * max(before - asked.round_s, 0.0)
        if asked is self.asked[0]:
            asked.rounds = self.protocol.rounds_for(pair_s)
        else:
            asked.rounds = max(1, round(self.protocol.beside_s / pair_s))

    async def _start(self, stack: AsyncExitStack, number: int) -> dict[Side, Starting]:
        cores = split_cores()[0]
        arms = (
            self.start_arm(
                self.workspace, self.commits[side], f"duel-{side}", worktree=self.worktrees[side], cpus=cores
            )
            for side in SIDES
        )
        started = await start_both(stack, *arms, candidate_first=_order(number)[0] == "candidate")
        return dict(zip(SIDES, started, strict=True))

    async def _run_round(self, start: int, number: int, order: int, side: Side, asked: _Asked, arm: Starting) -> None:
        before = arm.cpu_seconds()
        # Equal seeds for both sides: both are asked the same.
        seen = await asked.loader.round(arm, asked.round_s, 1 + 1000 * start + number)
        cpu_s = arm.cpu_seconds() - before + seen.command_cpu_s
        asked.served[side] += len(seen.requests)
        if side == "base" and not seen.latencies:
            name = asked.workload.name + (" (held out)" if asked.raw["protocol"]["name"] == HELD_OUT.name else "")
            raise InstrumentError(f"workload {name}: the base answers no request ({tell_failures(seen)})")
        # Reading memory walks the arm's pages, which takes longer than a short round.
        memory = {"uss_mb": arm.uss_mb()} if number % MEMORY_EVERY == 0 or number + 1 == asked.rounds else {}
        asked.raw["cells"].append(
            {
                "start": start, "arm": side, "round": number, "order": order, "cpu_s": cpu_s,
                "cores": len(split_cores()[0]), **_cell(seen, asked.writing), **memory, "served": asked.served[side],
            }
        )  # fmt: skip


def _order(number: int) -> tuple[Side, Side]:
    return SIDES if number % 2 == 0 else (SIDES[1], SIDES[0])


def _cell(seen: Round, writing: frozenset[int]) -> dict[str, Any]:
    return {
        "seconds": seen.seconds, "latency_ms": seen.latencies, "requests": len(seen.requests) + seen.cut,
        "errors": seen.errors, "failures": seen.failures, "cut": seen.cut,
        "bytes": sum(row[3] for row in seen.requests), "client_cpu_s": seen.client_cpu_s,
        "writes": sum(row[4] in writing and bool(row[5]) for row in seen.requests), "faults": list(seen.faults),
    }  # fmt: skip


def floors_of(workspace: Workspace, noise: Duel | None) -> dict[str, float]:
    """Floors for `run_duel`: what the base showed against itself, metric by metric; none without such a duel."""
    return noise_floors(workspace.artifacts.get_json(noise.samples)) if noise else {}


async def run_duel(
    workspace: Workspace, base: str, candidate: str, workload: Workload, *,
    name: str, protocol: Protocol, floors: Mapping[str, float], candidate_worktree: Path | None = None,
    beside: Sequence[Workload] = (), held_out: bool = False, start: StartArm = start_arm, count: Count | None = None,
) -> Duel:  # fmt: skip
    """Run a duel between two commits and give its effects. Holds the quiet lease.

    Args:
        workspace: where the arms run.
        base: commit of the base.
        candidate: commit of the candidate; equal to the base for a duel that measures noise.
        workload: what both are asked.
        name: names the duel in ids: `noise`, `final`, or a plan step's id.
        protocol: how long it goes on.
        floors: metric to relative change that counts as noise: `floors_of` the A/A duel.
        candidate_worktree: uncommitted work to run as the candidate.
        beside: other workloads to load for a while in each start, for their guards.
        held_out: ask the workload's held-out variant too, where it has one: see `perfcrew.held_out`.
        start: starts an arm.
        count: counts what does not depend on time, on a traced arm; by default what the protocol asks for.

    Raises:
        InstrumentError: an arm does not start, or nothing that it answers is as expected.
    """
    if workspace.quick:
        protocol = protocol.shortened()
    count = count or (count_costs if protocol.allocations else count_queries)
    commits: dict[Side, str] = {"base": base, "candidate": candidate}
    worktrees: dict[Side, Path | None] = {"base": None, "candidate": candidate_worktree}
    async with quiet_lease(workspace), AsyncExitStack() as stack:
        counts = {side: await keep_counts(workspace, commits[side], workload, worktrees[side], count) for side in SIDES}
        asked = []
        for each in (workload, *beside):
            loader = await stack.enter_async_context(open_loader(workspace, each))
            asked.append(_Asked(each, loader, _raw(each, loader, protocol, floors if each is workload else {})))
        if held_out and workload.held_out:
            loader = await stack.enter_async_context(open_loader(workspace, workload, held_out=True))
            held = _Asked(workload, loader, _raw(workload, loader, HELD_OUT, floors), starts=HELD_OUT.looks[0])
            asked.append(held)
            asked[0].raw["held_out"] = held.raw
        bout = _Bout(workspace, protocol, commits, worktrees, start, tuple(asked))
        raw = asked[0].raw
        raw |= {"kind": "duel", "name": name, "commits": commits, "counts": counts}
        if beside:
            raw["beside"] = {each.workload.name: each.raw for each in asked[1 : 1 + len(beside)]}
        began = time.monotonic()
        effects = await _run_until_clear(bout, raw)
    raw["seconds"] = time.monotonic() - began
    return conclude_duel(workspace, raw, effects)


def _raw(workload: Workload, loader: Loader, protocol: Protocol, floors: Mapping[str, float]) -> dict[str, Any]:
    arms, load = split_cores()
    return {
        "workload": workload.name, "cells": [], "starts": [], "counts": {side: {} for side in SIDES},
        "protocol": {
            **protocol.model_dump(mode="json"), "kind": workload.kind, "floors": dict(floors),
            "users": workload.users, "think_s": workload.think_s, "instrument": loader.instrument,
            "cores": {"arms": sorted(arms), "load": sorted(load)},
        },
    }  # fmt: skip


async def _run_until_clear(bout: _Bout, raw: Any) -> tuple[Effect, ...]:
    protocol, kind = bout.protocol, bout.asked[0].workload.kind
    began = time.monotonic()
    for number in range(protocol.looks[-1]):
        await bout.run_start(number)
        done = number + 1
        each_s = (time.monotonic() - began) / done
        if done in protocol.looks:
            effects = duel_effects(raw)
            if is_clear(effects, kind=kind, thorough=protocol.thorough):
                return effects
            limit_s = protocol.limit_s
            if is_promising(effects, raw["protocol"], done):
                limit_s *= protocol.patience
            if each_s * protocol.after(done) > limit_s:
                return effects
        elif done > protocol.looks[0] and protocol.patience == 1 and each_s * (done + 1) > protocol.limit_s:
            break
    return duel_effects(raw)
