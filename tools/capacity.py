"""Capacity: the highest rate of requests that an application answers within its goals, found by stepped load.

Open model: each step sends a constant rate for some seconds, and latencies count from the moment each request was due,
so that a growing queue shows. The rate grows by steps until a goal is missed, then the gap between the highest rate
that held and the lowest that did not is halved (on a scale of ratios) until it is narrow. A step ends early when so
many of its requests were too slow, or failed, that a goal can't be met any more. A miss counts when a second try misses
as well.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.load_stats import QUANTILES, answered, capacity_rps, generator_faults, missed_goals
from perfcrew.quantiles import percentile
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.records.work import Criterion
from tools.generator import Loaded, LoadWorker, Round, Stop
from tools.load_models import count_arrivals
from tools.loaders import HttpLoader, Loader, open_loader
from tools.locust_load import LocustLoader
from tools.workspace import Workspace

STEP_S = 3.0
LIMIT_S = 60.0
GROWTH = 1.6
NARROW = 1.05
"""The search ends when the lowest rate that missed is at most so many times the highest that held."""

SLOWER = 3.0
"""Without a goal for latency, P95 may be so many times what a single user sees."""
ERRORS = 0.01
"""Without a goal for errors, this share may fail."""

_ALONE_S = 0.8
_SETTLED = 2.0
_SETTLE_TRIES = 20
_MOST_RATE = 50_000.0

Goals = list[tuple[str, float]]


async def measure_capacity(
    workspace: Workspace,
    arm: Loaded,
    workload: Workload,
    goals: Sequence[Criterion] = (),
    *,
    worker: LoadWorker | None = None,
    step_s: float = STEP_S,
    limit_s: float = LIMIT_S,
) -> Evidence:
    """The highest rate, in requests a second, at which an arm holds the goals of a workload.

    Facts: `capacity_rps`, `wanted_rps` (the rate that the workload or a goal asks for; None where neither does),
    `broken_rps` (the lowest rate that missed a goal; None where none did), `steps`,
    `generator_bound` (1: the load generator, not the arm, ended the search, and the capacity is higher).

    Args:
        workspace: where the arm runs.
        arm: what is asked.
        workload: an http workload; its own rate and users don't matter.
        goals: those `at_most` for latency percentiles and error rate on this workload are held. Without one for
            latency, P95 may be `SLOWER` times what a single user sees; without one for errors, `ERRORS` may fail.
        worker: the load generator, else one of its own.
        step_s: seconds of a step.
        limit_s: no further step is begun after so many seconds.

    Raises:
        InstrumentError: it is no http workload, or nothing was answered as expected.
    """
    if workload.kind != "http":
        raise InstrumentError(f"workload {workload.name}: capacity is searched with http workloads only")
    async with open_loader(workspace, workload, worker=worker) as loader:
        await loader.warm_up(arm)
        search = _Search(loader, arm, workload, step_s)
        alone = await search.ask_alone(_ALONE_S)
        if not alone.latencies:
            raise InstrumentError(f"workload {workload.name}: no request of a single user succeeded")
        search.goals = choose_goals(goals, workload.name, percentile(alone.latencies, 95))
        search.alone_ms = percentile(alone.latencies, 50)
        with contextlib.suppress(_GeneratorBound):
            await search.run(len(alone.requests) / alone.seconds / 2, limit_s)
    raw = {
        "kind": "capacity", "workload": workload.name, "arm": arm.name, "commit": arm.commit, "goals": search.goals,
        "connections": workload.connections, "wanted": wanted_rate(goals, workload), "steps": search.steps,
        "alone_ms": search.alone_ms,
    }  # fmt: skip
    return capacity_evidence(workspace, raw, loader.instrument)


def wanted_rate(goals: Sequence[Criterion], workload: Workload) -> float | None:
    """Requests a second that the workload or a goal `at_least` asks for, the highest; None where neither does."""
    rates = [goal.value for goal in goals if goal.workload == workload.name and goal.comparison == "at_least"
             and goal.metric in ("http.rps", "http.capacity_rps")]  # fmt: skip
    return max([*rates, *([workload.rate] if workload.rate else [])], default=None)


def choose_goals(goals: Sequence[Criterion], workload: str, alone_p95_ms: float) -> Goals:
    """The goals of a search, as metric and limit: those given, and defaults for what they leave open."""
    fitting = [goal for goal in goals if goal.workload == workload and goal.comparison == "at_most"]
    chosen: Goals = [(goal.metric, goal.value) for goal in fitting if goal.metric in QUANTILES]
    if not chosen:
        chosen = [("http.p95_ms", SLOWER * alone_p95_ms)]
    errors = [(goal.metric, goal.value) for goal in fitting if goal.metric == "http.error_rate"]
    return [*chosen, *(errors or [("http.error_rate", ERRORS)])]


def stop_for(goals: Goals, planned: int) -> Stop:
    """When a step of so many requests can't hold the goals any more: the first of latency, and that of errors."""
    metric, limit = next(goal for goal in goals if goal[0] in QUANTILES)
    below = math.floor(QUANTILES[metric] / 100 * (planned - 1))
    # One more, because the first request of a timetable does not count.
    errors = next(limit for metric, limit in goals if metric == "http.error_rate")
    return Stop(over_ms=limit, slow=planned - below, failed=math.floor(errors * planned))


class _GeneratorBound(Exception):
    """The load generator can't send more."""


@dataclass
class _Search:
    loader: Loader
    arm: Loaded
    workload: Workload
    step_s: float
    goals: Goals = field(default_factory=list)
    alone_ms: float = 0.0
    steps: list[dict[str, Any]] = field(default_factory=list)

    async def run(self, first: float, limit_s: float) -> None:
        """Step upwards, then narrow the gap."""
        began = time.monotonic()
        held, broken, rate = 0.0, math.inf, max(first, 1 / self.step_s)
        while time.monotonic() - began < limit_s and rate <= _MOST_RATE:
            if await self.holds(rate):
                held = rate
            else:
                broken = rate
                await self.settle()
            if held and broken / held <= NARROW:
                return
            if not held and broken * self.step_s <= 1:
                return
            rate = _next_rate(held, broken)

    async def holds(self, rate: float) -> bool:
        """Whether a rate holds the goals; a miss is tried again.

        Raises:
            _GeneratorBound: it does not, and the load generator is why.
        """
        for again in (False, True):
            step = await self._step(rate, again=again)
            if not missed_goals(step, self.goals):
                return True
            if generator_faults(step):
                raise _GeneratorBound
            if not again:
                await self.settle()
        return False

    async def _step(self, rate: float, *, again: bool) -> dict[str, Any]:
        loader = self._with(rate=rate)
        stop = stop_for(self.goals, count_arrivals(rate, self.step_s))
        seen = await loader.round(self.arm, self.step_s, 100 + len(self.steps), stop)
        self.steps.append({**asdict(seen), "rate": rate, "again": again})
        return self.steps[-1]

    async def ask_alone(self, seconds: float) -> Round:
        """What a single user sees who does not think."""
        return await self._with(rate=None, users=1, think_s=0.0).round(self.arm, seconds, 99)

    async def settle(self) -> None:
        """Wait until the arm has worked off what a step left behind."""
        for _ in range(_SETTLE_TRIES):
            seen = await self.ask_alone(0.1)
            if seen.latencies and percentile(seen.latencies, 50) <= _SETTLED * self.alone_ms:
                return

    def _with(self, **changed: Any) -> Loader:
        assert isinstance(self.loader, HttpLoader | LocustLoader)
        return dataclasses.replace(self.loader, workload=self.workload.model_copy(update=changed))


def _next_rate(held: float, broken: float) -> float:
    if math.isinf(broken):
        return held * GROWTH
    return math.sqrt(held * broken) if held else broken / GROWTH


def capacity_evidence(workspace: Workspace, raw: dict[str, Any], instrument: str) -> Evidence:
    """Evidence from a raw file of a capacity search."""
    samples = workspace.artifacts.put_json(raw)
    place = f"{raw['workload']}/{raw['arm']}"
    value = capacity_rps(raw)
    last = raw["steps"][-1]
    bound = bool(missed_goals(last, raw["goals"]) and generator_faults(last))
    faults = f"the load generator was the bottleneck: {', '.join(generator_faults(last))}" if bound else ""
    known = METRICS["http.capacity_rps"]
    measurement = Measurement(
        id=f"capacity@{place}", metric=known.name, unit=known.unit, better=known.better, workload=raw["workload"],
        arm=raw["arm"], commit=raw["commit"], value=value, count=len(raw["steps"]), method="capacity_rps",
        samples=samples, instrument=instrument, environment=workspace.environment, doubt=faults,
    )  # fmt: skip
    broken = [step["rate"] for step in raw["steps"] if missed_goals(step, raw["goals"]) and step["rate"] > value]
    goals = ", ".join(f"{metric} at most {limit:.4g}" for metric, limit in raw["goals"])
    lines = [f"holds {goals} up to {value:.1f} requests a second" + (f"; at least, as {faults}" if bound else "")]
    lines += [_tell_step(step, raw["goals"]) for step in raw["steps"]]
    return Evidence(
        id=f"capacity@{place}", kind="capacity",
        title=f"{place}: holds its goals up to {value:.0f} requests a second{' or more' if bound else ''}",
        digest="\n".join(lines), measurements=(measurement,), artifact=samples,
        facts={
            "capacity_rps": value, "broken_rps": min(broken, default=None), "steps": len(raw["steps"]),
            "generator_bound": int(bound), "wanted_rps": raw.get("wanted"),
        },
    )  # fmt: skip


def _tell_step(step: dict[str, Any], goals: Goals) -> str:
    latencies = answered(step)
    tail = f"P95 {percentile(latencies, 95):.1f} ms" if latencies else "nothing answered"
    missed = missed_goals(step, goals)
    early = ", stopped early" if step["stopped"] else ""
    told = f"misses {'; '.join(missed)}{early}" if missed else "holds"
    return f"{step['rate']:.1f} requests a second{' again' if step['again'] else ''}: {tail}: {told}"
