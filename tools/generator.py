"""The load generator as a process of our own (`tools.load_worker`): rounds of requests with raw samples.

Closed model: a fixed number of users, each of whom waits for the answer, thinks, and asks again. Open model: a rate of
requests that arrive whether or not earlier ones were answered. The load generator has the last core to itself and the
arms have the others, as far as there are enough.
"""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Protocol, Self

from perfcrew.errors import InstrumentError
from perfcrew.load_stats import answered, failed, generator_faults
from perfcrew.records.target import Workload
from tools.load_channel import Channel
from tools.workspace import Workspace

TIMEOUT_S = 30.0
"""A request without an answer by then has failed."""

DRAIN_S = 35.0
"""How long after its end a round waits for requests under way."""

WARM_UP_S = 0.3
WARM_UP_USERS = 2


class Loaded(Protocol):
    """What load needs of an arm; `tools.arm.Arm` is one."""

    name: str
    commit: str
    url: str

    def cpu_seconds(self) -> float:
        """CPU time so far of the arm's processes."""
        ...

    def uss_mb(self) -> float:
        """Memory that the arm's processes have to themselves."""
        ...


@dataclass(frozen=True)
class Round:
    """One round's raw samples. `requests` has a row a request: see `perfcrew.load_stats`."""

    requests: tuple[tuple[Any, ...], ...]
    seconds: float
    cut: int
    """Requests without an answer when the round was given up."""
    failures: dict[str, int]
    """Kind of failure, such as `status 500` or `ConnectionRefusedError`, to count."""
    client_cpu_s: float
    command_cpu_s: float = 0.0
    """CPU time of the commands themselves, for workloads that are commands."""
    connections: int | None = 0
    """Connections opened; None where nobody knows. So for bytes sent."""
    sent_bytes: int | None = 0
    received_bytes: int = 0
    lags_ms: tuple[float, ...] = ()
    """The longest delay of the generator's event loop in each slice of 50 ms."""
    arrivals: int = 0
    """Requests that were due, answered or not."""
    stopped: bool = False
    """Ended early, because a goal could not be met any more."""
    rate: float | None = None
    """Requests a second in the open model."""
    began_s: float = 0.0
    """When the round began, on the machine's monotonic clock."""
    names: tuple[str, ...] = ()
    """What the rows' index counts, where that is not the workload's requests."""
    ramp_s: float = 0.0
    """How long users were being started before the round; what they sent by then is marked `lead`."""
    workers: int = 1
    """Generator processes."""

    @property
    def latencies(self) -> list[float]:
        """In ms, of the requests that count: answered as expected, and not a user's first."""
        return answered({"requests": self.requests})

    @property
    def errors(self) -> int:
        """Failed requests, cut ones included."""
        return failed({"requests": self.requests, "cut": self.cut})

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the load generator was the bottleneck, so that the round does not count; empty where it was not."""
        return generator_faults(asdict(self)) if self.requests else ()


@dataclass(frozen=True)
class Stop:
    """When a round may end early: more than `slow` requests took over `over_ms`, or more than `failed` failed."""

    over_ms: float
    slow: int
    failed: int


def split_cores() -> tuple[frozenset[int], frozenset[int]]:
    """Cores of the arms and of the load generator: the last is the generator's, unless there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return frozenset(cores[:-1] or cores), frozenset(cores[-1:])


class LoadWorker:
    """The load generator's process, kept over many rounds, each of which gives its raw samples."""

    instrument = f"perfcrew load, httptools {version('httptools')}"

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, workspace: Workspace) -> AsyncIterator[Self]:
        """Start the process, and end it on leaving.

        Raises:
            InstrumentError: it can't be started.
        """
        enter = workspace.network.enter() if workspace.network else ()
        argv = [*enter, sys.executable, "-I", "-m", "tools.load_worker"]
        log = workspace.folder / "logs" / "load_worker.log"
        async with Channel.open(argv, log=log, cpus=split_cores()[1]) as channel:
            yield cls(channel)

    async def round(
        self, url: str, workload: Workload, *,
        seconds: float, seed: int, held_out: bool = False, users: int | None = None, stop: Stop | None = None,
    ) -> Round:  # fmt: skip
        """Drive one round. Equal seeds send equal sequences of requests, whoever answers.

        It takes longer than `seconds` where a user of the closed model has not yet had a second answer.

        Args:
            url: where the arm listens.
            workload: what is asked; its `rate` chooses the open model.
            seconds: how long requests are sent.
            seed: of the sequence of requests.
            held_out: ask the held-out variant.
            users: so many users of the closed model, whatever the workload says.
            stop: when it may end early.

        Raises:
            InstrumentError: the load generator broke off.
        """
        requests, params = asked_of(workload, held_out)
        job = {
            "url": url, "requests": [request.model_dump(mode="json", by_alias=True) for request in requests],
            "params": params, "users": users or workload.users, "think_s": workload.think_s, "seconds": seconds,
            "rate": None if users else workload.rate, "connections": workload.connections, "seed": seed,
            "stop": asdict(stop) if stop else None, "timeout_s": TIMEOUT_S, "drain_s": DRAIN_S,
        }  # fmt: skip
        raw = await self._channel.ask(job, seconds + DRAIN_S + 2 * TIMEOUT_S)
        return to_round(raw)


def to_round(raw: dict[str, Any]) -> Round:
    """A round from what a worker answered."""
    rows = tuple(tuple(row) for row in raw["requests"])
    return Round(**{**raw, "requests": rows, "lags_ms": tuple(raw["lags_ms"]), "names": tuple(raw.get("names", ()))})


def asked_of(workload: Workload, held_out: bool) -> tuple[Sequence[Any], dict[str, tuple[str | int, ...]]]:
    """A workload's requests and parameters, or those of its held-out variant, which keeps what it does not replace."""
    if held_out and workload.held_out:
        return workload.held_out.request or workload.request, {**workload.params, **workload.held_out.params}
    return workload.request, workload.params


async def warm_up(worker: LoadWorker, url: str, workload: Workload, *, held_out: bool = False) -> int:
    """A few requests that nobody counts, so that caches and code paths are as in running service; says how many.

    Raises:
        InstrumentError: none of them was answered as expected.
    """
    users = min(WARM_UP_USERS, workload.users)
    warm = await worker.round(url, workload, seconds=WARM_UP_S, seed=0, held_out=held_out, users=users)
    if not any(row[5] for row in warm.requests):
        raise InstrumentError(
            f"workload {workload.name}: no request was answered as expected ({tell_failures(warm)}); "
            "check its path and `expect` in perfcrew.toml"
        )
    return len(warm.requests)


def tell_failures(seen: Round) -> str:
    """Failures by kind: `12 × status 500, 2 × cut`."""
    kinds = sorted(seen.failures.items(), key=lambda item: -item[1]) + ([("cut", seen.cut)] if seen.cut else [])
    return ", ".join(f"{count} × {kind}" for kind, count in kinds) or "none"
