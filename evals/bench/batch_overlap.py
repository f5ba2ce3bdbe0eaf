"""What do several jobs at a time save a batch? `python -m evals.bench.batch_overlap [--jobs N] [--reply-seconds S]`.

Each job lives through the recorded run of the dashboard case again, 300 times as fast: it waits while a model answers,
and holds the quiet lease while a tool was at work, one after the other as in the recording. So what overlaps is what
would overlap in a batch: waits for models. By default replies take what they took when recorded; those were slow, so
`--reply-seconds` gives each the time of a faster model.

Prints a line for each number of workers and, as its last line, one JSON object.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from evals.case import find_case
from perfcrew.artifacts import Artifacts
from perfcrew.llm.base import Reply
from perfcrew.llm.entries import read_entries
from perfcrew.records.target import HttpRequest, Settings, Target, Workload
from tools.lease import TURNS, Turns, quiet_lease
from tools.workspace import Workspace

FASTER = 300.0
LEAST_S = 0.5
"""Tools that took less, such as reading a file, need no lease."""
Step = tuple[bool, float]
"""Whether a model was waited for, and seconds."""


def read_steps(recording: Path, reply_s: float | None) -> list[Step]:
    """The waits and the work of a recorded run, in its order."""
    steps: list[Step] = []
    for entry in read_entries(recording):
        if entry.kind == "reply":
            steps.append((True, reply_s if reply_s is not None else Reply.model_validate(entry.value).seconds))
        elif entry.kind == "effect" and (entry.seconds or 0.0) >= LEAST_S:
            steps.append((False, entry.seconds or 0.0))
    return steps


async def live_again(steps: list[Step], workspace: Workspace) -> float:
    """One job; the seconds that it stood still for others."""
    turns = Turns()
    TURNS.set(turns)
    for waits, seconds in steps:
        if waits:
            await asyncio.sleep(seconds / FASTER)
        else:
            async with quiet_lease(workspace):
                await asyncio.sleep(seconds / FASTER)
    return turns.blocked_s


async def overlap(steps: list[Step], jobs: int, workers: int, workspace: Workspace) -> dict[str, Any]:
    """So many jobs by so many workers; times in seconds of the recording."""
    left = list(range(jobs))
    alone = 0.0

    async def work() -> None:
        nonlocal alone
        while left:
            left.pop()
            began = time.monotonic()
            blocked = await asyncio.create_task(live_again(steps, workspace))
            alone += time.monotonic() - began - blocked

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(workers)))
    wall = time.monotonic() - began
    return {
        "workers": workers, "wall_s": round(wall * FASTER), "sequential_s": round(alone * FASTER),
        "saved_share": round(max(0.0, 1 - wall / alone), 3),
    }  # fmt: skip


async def measure(jobs: int, reply_s: float | None) -> list[dict[str, Any]]:
    """The batch by one worker, by two, and by as many as there are jobs."""
    steps = read_steps(find_case("dashboard").recording, reply_s)
    with tempfile.TemporaryDirectory(prefix="perfcrew-bench-") as folder:
        home = Path(folder)
        workload = Workload(name="w", request=(HttpRequest(path="/"),))
        target = Target(target=Settings(name="app", start="true"), workload=(workload,))
        workspace = Workspace(
            run_id="bench", folder=home, home=home, target=target, base_commit="", environment="",
            artifacts=Artifacts(home / "artifacts"),
        )  # fmt: skip
        return [await overlap(steps, jobs, workers, workspace) for workers in dict.fromkeys((1, 2, jobs))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What several jobs at a time save a batch.")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--reply-seconds", type=float, default=None)
    given = parser.parse_args()
    rows = asyncio.run(measure(given.jobs, given.reply_seconds))
    for row in rows:
        print(f"{given.jobs} jobs, {row['workers']} at a time: {row['wall_s']} s of wall clock, one after the other "
              f"{row['sequential_s']} s, saved {row['saved_share']:.0%}")  # fmt: skip
    print(json.dumps({"jobs": given.jobs, "reply_seconds": given.reply_seconds, "rows": rows}))


if __name__ == "__main__":
    main()
