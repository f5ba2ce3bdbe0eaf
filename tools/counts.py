"""What does not depend on time, counted once for each version that a duel compares."""

import contextlib
import json
import typing
from hashlib import sha256
from pathlib import Path

from perfcrew.artifacts import write_whole
from perfcrew.errors import InstrumentError
from perfcrew.records.target import Workload
from tools.allocations import count_allocations
from tools.queries import count_queries
from tools.workspace import Workspace

Counts = dict[str, list[float]]


class Count(typing.Protocol):
    """How a version's counts are taken: `count_costs`, or `count_queries`, which takes half the time."""

    __name__: str

    async def __call__(self, workspace: Workspace, commit: str, workload: Workload, worktree: Path | None, /) -> Counts:
        """Counts by metric name."""
        ...


async def count_costs(workspace: Workspace, commit: str, workload: Workload, worktree: Path | None = None) -> Counts:
    """By metric name, one value for each request of the workload's mix: queries, bytes, and allocations.

    What can't be counted here, such as the allocations of a server that is no Python program, is left out.
    """
    counts = await count_queries(workspace, commit, workload, worktree)
    with contextlib.suppress(InstrumentError):
        counts["memory.allocations_per_request"] = await count_allocations(workspace, commit, workload, worktree)
    return counts


async def keep_counts(
    workspace: Workspace, commit: str, workload: Workload, worktree: Path | None, count: Count
) -> Counts:
    """Counts of a commit, taken once a run; a worktree's content may have changed, so its counts are not kept."""
    if workload.kind != "http":
        return {}
    digest = sha256(workload.model_dump_json().encode()).hexdigest()[:12]
    kept = workspace.folder / "counts" / f"{commit}-{digest}-{count.__name__}.json"
    if worktree is None and kept.exists():
        known: Counts = json.loads(kept.read_text())
        return known
    counts = await count(workspace, commit, workload, worktree)
    if worktree is None:
        write_whole(kept, json.dumps(counts).encode())
    return counts
