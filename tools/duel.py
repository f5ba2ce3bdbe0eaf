"""Duels: two versions of the target side by side, loaded by turns, over several fresh starts.

In each start both arms run at once, each with its own copy of the data, on the same cores; only one is loaded at a
time. Rounds alternate between them, and which goes first alternates from round to round and from start to start, so
that the machine's drift hits both. Both are sent the same sequence of requests. What does not depend on time (queries
a request, bytes a response) is counted beforehand on traced arms that nobody times. How the raw rounds become effects
is `perfcrew.duel_stats`'s work; after each look of the protocol it also says whether going on could change the answer.
"""

import asyncio
import json
import time
import typing
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from perfcrew.artifacts import write_whole
from perfcrew.duel_stats import duel_effects, is_clear
from perfcrew.errors import InstrumentError
from perfcrew.records.base import ArtifactRef, Record
from perfcrew.records.evidence import Effect, Evidence, Measurement
from perfcrew.records.target import Workload
from perfcrew.stats import start_pairs
from perfcrew.verdict import describe
from tools.arm import start_arm
from tools.generator import Loaded, Round, split_cores, tell_failures
from tools.lease import quiet_lease
from tools.loaders import Loader, open_loader
from tools.protocol import FULL, NOISE, QUICK, Protocol
from tools.queries import count_queries
from tools.workspace import Workspace

__all__ = ["FULL", "NOISE", "QUICK", "Duel", "Protocol", "run_duel"]

Side = Literal["base", "candidate"]
SIDES: tuple[Side, Side] = ("base", "candidate")
Counts = dict[str, list[float]]
Count = Callable[[Workspace, str, Workload, Path | None], Awaitable[Counts]]


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


class Duel(Record):
    """A duel's outcome by metric, with the raw file that it can be computed from again."""

    name: str
    workload: str
    base: str
    candidate: str
    effects: tuple[Effect, ...]
    samples: ArtifactRef
    digest: str
    """The first line is a headline."""
    measurements: tuple[Measurement, ...]

    @property
    def evidence(self) -> Evidence:
        """The duel as evidence to cite."""
        return Evidence(
            id=f"duel@{self.workload}/{self.name}", kind="duel", title=self.digest.splitlines()[0], digest=self.digest,
            measurements=self.measurements, artifact=self.samples,
            facts={effect.metric: effect.ratio for effect in self.effects},
        )  # fmt: skip


@dataclass
class _Bout:
    """A duel under way."""

    workspace: Workspace
    workload: Workload
    protocol: Protocol
    commits: Mapping[Side, str]
    worktrees: Mapping[Side, Path | None]
    start_arm: StartArm
    loader: Loader
    rounds: int | None = None
    cells: list[dict[str, Any]] = field(default_factory=list)
    starts: list[dict[str, Any]] = field(default_factory=list)
    served: dict[Side, int] = field(default_factory=dict)

    async def run_start(self, number: int) -> None:
        """Start both arms afresh, warm them up, and load them by turns."""
        async with AsyncExitStack() as stack:
            arms = await self._start_both(stack)
            for side in _order(number):
                self.served[side] = await self.loader.warm_up(arms[side])
                self.starts.append(
                    {
                        "start": number,
                        "arm": side,
                        "seconds": arms[side].ready_seconds,
                        **self._memory(arms[side], side),
                    }
                )
            done = 0
            while done < (self.rounds or 1):
                began = time.monotonic()
                for order, side in enumerate(_order(number + done)):
                    await self._run_round(number, done, order, side, arms[side])
                if self.rounds is None:
                    self.rounds = self.protocol.rounds_for(time.monotonic() - began)
                done += 1

    async def _start_both(self, stack: AsyncExitStack) -> dict[Side, Starting]:
        cores = split_cores()[0]

        async def enter(side: Side) -> Starting:
            return await stack.enter_async_context(
                self.start_arm(
                    self.workspace, self.commits[side], f"duel-{side}", worktree=self.worktrees[side], cpus=cores
                )
            )

        # Exceptions are collected, so that the other arm is inside the stack before it unwinds.
        started = await asyncio.gather(*(enter(side) for side in SIDES), return_exceptions=True)
        for result in started:
            if isinstance(result, BaseException):
                raise result
        return {side: arm for side, arm in zip(SIDES, started, strict=True) if not isinstance(arm, BaseException)}

    def _memory(self, arm: Starting, side: Side) -> dict[str, float]:
        return {"uss_mb": arm.uss_mb(), "served": self.served[side]}

    async def _run_round(self, start: int, number: int, order: int, side: Side, arm: Starting) -> None:
        before = arm.cpu_seconds()
        # Equal seeds for both sides: both are asked the same.
        seen = await self.loader.round(arm, self.protocol.round_s, 1 + 1000 * start + number)
        cpu_s = arm.cpu_seconds() - before + seen.command_cpu_s
        self.served[side] += len(seen.requests)
        if side == "base" and not seen.latencies:
            raise InstrumentError(f"workload {self.workload.name}: the base answers no request ({tell_failures(seen)})")
        self.cells.append(
            {
                "start": start, "arm": side, "round": number, "order": order, "cpu_s": cpu_s,
                "cores": len(split_cores()[0]), **_cell(seen), **self._memory(arm, side),
            }
        )  # fmt: skip


def _order(number: int) -> tuple[Side, Side]:
    return SIDES if number % 2 == 0 else (SIDES[1], SIDES[0])


def _cell(seen: Round) -> dict[str, Any]:
    return {
        "seconds": seen.seconds, "latency_ms": seen.latencies, "requests": len(seen.requests) + seen.cut,
        "errors": seen.errors, "failures": seen.failures, "cut": seen.cut,
        "bytes": sum(row[3] for row in seen.requests), "client_cpu_s": seen.client_cpu_s,
    }  # fmt: skip


async def run_duel(
    workspace: Workspace, base: str, candidate: str, workload: Workload, *,
    name: str, protocol: Protocol, floors: Mapping[str, float], candidate_worktree: Path | None = None,
    start: StartArm = start_arm, count: Count = count_queries,
) -> Duel:  # fmt: skip
    """Run a duel between two commits and give its effects. Holds the quiet lease.

    Args:
        workspace: where the arms run.
        base: commit of the base.
        candidate: commit of the candidate; equal to the base for a duel that measures noise.
        workload: what both are asked.
        name: names the duel in ids: `noise`, `final`, or a plan step's id.
        protocol: how long it goes on.
        floors: metric to relative change that counts as noise, from `noise_floors` of the A/A duel.
        candidate_worktree: uncommitted work to run as the candidate.
        start: starts an arm.
        count: counts queries and bytes on a traced arm.

    Raises:
        InstrumentError: an arm does not start, or nothing that it answers is as expected.
    """
    if workspace.quick:
        protocol = protocol.shortened()
    commits: dict[Side, str] = {"base": base, "candidate": candidate}
    worktrees: dict[Side, Path | None] = {"base": None, "candidate": candidate_worktree}
    async with quiet_lease(workspace), open_loader(workspace, workload) as loader:
        counts = {side: await _count(workspace, commits[side], workload, worktrees[side], count) for side in SIDES}
        bout = _Bout(workspace, workload, protocol, commits, worktrees, start, loader)
        raw: dict[str, Any] = {
            "kind": "duel", "name": name, "workload": workload.name, "commits": commits, "counts": counts,
            "cells": bout.cells, "starts": bout.starts,
            "protocol": {
                **protocol.model_dump(mode="json"), "kind": workload.kind, "floors": dict(floors),
                "users": workload.users, "think_s": workload.think_s, "instrument": loader.instrument,
                "cores": {"arms": sorted(split_cores()[0]), "load": sorted(split_cores()[1])},
            },
        }  # fmt: skip
        began = time.monotonic()
        effects = await _run_until_clear(bout, raw)
    raw["seconds"] = time.monotonic() - began
    return _conclude(workspace, raw, effects)


async def _run_until_clear(bout: _Bout, raw: Any) -> tuple[Effect, ...]:
    protocol = bout.protocol
    began = time.monotonic()
    for number in range(protocol.looks[-1]):
        await bout.run_start(number)
        done = number + 1
        if done < protocol.looks[0]:
            continue
        spent = time.monotonic() - began
        out_of_time = spent + spent / done > protocol.limit_s
        if done in protocol.looks or out_of_time:
            effects = duel_effects(raw)
            if out_of_time or is_clear(effects, kind=bout.workload.kind, thorough=protocol.thorough):
                return effects
    return duel_effects(raw)


async def _count(workspace: Workspace, commit: str, workload: Workload, worktree: Path | None, count: Count) -> Counts:
    """Counts of a commit, taken once a run; a worktree's content may have changed, so its counts are not kept."""
    if workload.kind != "http":
        return {}
    digest = sha256(workload.model_dump_json().encode()).hexdigest()[:12]
    kept = workspace.folder / "counts" / f"{commit}-{digest}.json"
    if worktree is None and kept.exists():
        known: Counts = json.loads(kept.read_text())
        return known
    counts = await count(workspace, commit, workload, worktree)
    if worktree is None:
        write_whole(kept, json.dumps(counts).encode())
    return counts


_SHORT = {"http.p50_ms": "p50", "http.p95_ms": "p95", "cpu.ms_per_request": "cpu", "db.queries_per_request": "queries"}


def _conclude(workspace: Workspace, raw: dict[str, Any], effects: tuple[Effect, ...]) -> Duel:
    samples = workspace.artifacts.put_json(raw)
    name, workload = raw["name"], raw["workload"]
    measurements = tuple(
        Measurement(
            id=f"{_SHORT.get(effect.metric, effect.metric)}@{workload}/{name}/{side}", metric=effect.metric,
            unit=effect.unit, better=effect.better, workload=workload, arm=side, commit=raw["commits"][side],
            value=effect.base if side == "base" else effect.candidate,
            count=len(raw["counts"][side].get(effect.metric, ())) or len(start_pairs(raw, "cpu.ms_per_request")),
            method=f"duel:{side}/{effect.metric}", samples=samples, instrument=raw["protocol"]["instrument"],
            environment=workspace.environment,
        )
        for effect in effects
        for side in SIDES
    )  # fmt: skip
    return Duel(
        name=name, workload=workload, base=raw["commits"]["base"], candidate=raw["commits"]["candidate"],
        effects=effects, samples=samples, digest=_render(raw, effects), measurements=measurements,
    )  # fmt: skip


def _render(raw: dict[str, Any], effects: tuple[Effect, ...]) -> str:
    starts = len({cell["start"] for cell in raw["cells"]})
    told = {effect.metric: effect for effect in effects}
    headline = [told[metric] for metric in ("http.p95_ms", "command.seconds", "cpu.ms_per_request") if metric in told]
    first = "; ".join(describe(effect) for effect in headline)
    rounds = f"{starts} starts, {len(raw['cells']) // 2} rounds a side, {raw['seconds']:.0f} s"
    lines = [f"{raw['workload']}: {first}; {rounds}"]
    lines += [f"{effect.outcome}: {describe(effect)}" for effect in effects]
    return "\n".join(lines)
