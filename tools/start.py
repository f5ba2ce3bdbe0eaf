"""How long the target takes to become ready, and what it weighs then: fresh starts, one after the other."""

from perfcrew.errors import InstrumentError
from perfcrew.quantiles import mad, median
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from tools.arm import Arm, serves, start_arm
from tools.cpu import find_runtime
from tools.workspace import Workspace

STARTS = 3


async def time_start(workspace: Workspace, commit: str, workload: Workload, arm_name: str) -> Evidence:
    """Seconds from starting the command to the first answer, the median of fresh starts, each on its own data.

    Raises:
        InstrumentError: the target serves nothing, or does not start; the first line says why.
    """
    if not serves(workspace):
        raise InstrumentError("the target serves nothing, so there is no start to time")
    seconds: list[float] = []
    memory: list[float] = []
    runtime: str | None = None
    for _ in range(1 if workspace.quick else STARTS):
        async with start_arm(workspace, commit, arm_name) as arm:
            seconds.append(arm.ready_seconds)
            memory.append(arm.uss_mb())
            runtime = _runtime(arm)
    raw = {"kind": "start", "arm": arm_name, "commit": commit, "seconds": seconds, "uss_mb": memory}
    samples = workspace.artifacts.put_json(raw)
    name = workspace.target.target.name
    metric = METRICS["start.seconds"]
    measurement = Measurement(
        id=f"start@{name}/{arm_name}", metric=metric.name, unit=metric.unit, better=metric.better,
        workload=workload.name, arm=arm_name, commit=commit, value=median(seconds),
        spread=mad(seconds), count=len(seconds), method="median:/seconds", samples=samples,
        instrument="perfcrew start 1", environment=workspace.environment,
    )  # fmt: skip
    title = f"{name} on {arm_name}: ready after {median(seconds):.2f} s, {median(memory):.0f} MB"
    return Evidence(
        id=f"start@{name}/{arm_name}", kind="start", title=title, measurements=(measurement,), artifact=samples,
        digest=f"{title} (USS before the first request)\nstarts in s: {', '.join(f'{s:.2f}' for s in seconds)}",
        facts={"seconds": median(seconds), "uss_mb": median(memory), "runtime": runtime},
    )  # fmt: skip


def _runtime(arm: Arm) -> str | None:
    try:
        return find_runtime(arm.pids())[0]
    except InstrumentError:
        return None
