"""The heap of a Node server under load: which constructor and which function grew, and which allocate most.

Two heap snapshots, before and after load, tell constructors; V8's sampling heap profiler tells functions, once for what
is left at the end and once for everything that was allocated.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import pack_rows
from perfcrew.records.target import Workload
from tools.arm import start_arm
from tools.control import ask_processes
from tools.cpu import find_runtime
from tools.heap_growth import Grown, compare_snapshots, sum_sampling, sum_snapshot
from tools.lease import quiet_lease
from tools.load import LoadWorker, split_cores, warm_up
from tools.workspace import Workspace

SECONDS = 4.0
TOP = 8


async def measure_heap(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Heap growth by constructor and function, and allocation by function, in kB a request.

    Facts: `grown_kb_per_request`, `requests`, rows `grown` (constructor, with `objects`), `stays` and `allocated`
    (site, `own` if it is the target's), each with `kb` a request.

    Raises:
        InstrumentError: the server is not Node, or its start command drops NODE_OPTIONS.
    """
    seconds = SECONDS / 4 if workspace.quick else SECONDS
    workspace.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="trace-", dir=workspace.folder))
    try:
        async with (
            quiet_lease(workspace),
            LoadWorker.start(workspace) as worker,
            start_arm(workspace, commit, arm, trace=folder, watch="profile", cpus=split_cores()[0]) as running,
        ):
            if find_runtime(running.pids())[0] != "node":
                raise InstrumentError("the server runs Python: its memory by call site is what `allocations` measures")
            await warm_up(worker, running.url, workload)
            await worker.round(running.url, workload, seconds=seconds / 2, seed=1)
            before = await _snapshot(folder, "before")
            await ask_processes(folder, "live_start")
            kept = await worker.round(running.url, workload, seconds=seconds, seed=2)
            live = await ask_processes(folder, "live_stop")
            after = await _snapshot(folder, "after")
            await ask_processes(folder, "heap_start")
            made = await worker.round(running.url, workload, seconds=seconds / 2, seed=3)
            allocated = await ask_processes(folder, "heap_stop")
            root = str(running.workdir)
        raw = {
            "kind": "heap", "workload": workload.name, "arm": arm, "commit": commit, "root": root,
            "requests": len(kept.requests), "allocating_requests": len(made.requests), "before": before,
            "after": after, "live": _profiles(live), "allocated": _profiles(allocated),
        }  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return heap_evidence(workspace, raw)


async def _snapshot(folder: Path, name: str) -> dict[str, Any]:
    """Constructor sums of each process, by its id."""
    answers = await ask_processes(folder, "snapshot", name=name)
    if not answers:
        raise InstrumentError("the Node server did not load the profiler; its start command must keep NODE_OPTIONS")
    return {pid: await asyncio.to_thread(_read, folder / answer["file"]) for pid, answer in answers.items()}


def _read(path: Path) -> dict[str, tuple[int, int]]:
    sums = sum_snapshot(json.loads(path.read_text(encoding="utf-8")))
    path.unlink()
    return sums


def _profiles(answers: dict[str, Any]) -> list[Any]:
    return [answer["profile"] for answer in answers.values() if "profile" in answer]


def heap_evidence(workspace: Workspace, raw: dict[str, Any]) -> Evidence:
    """Evidence from a raw file of a Node server's heap."""
    pairs = [(raw["before"][pid], raw["after"][pid]) for pid in raw["before"].keys() & raw["after"].keys()]
    grown = compare_snapshots(pairs, raw["requests"])
    stays = sum_sampling(raw["live"], raw["root"], raw["requests"])
    allocated = sum_sampling(raw["allocated"], raw["root"], raw["allocating_requests"])
    total = sum(one.kb for one in grown)
    place = f"{raw['workload']}/{raw['arm']}"
    lines = [
        f"{place}: heap after {raw['requests']} requests against before, kB a request; growth of all constructors "
        f"together {total:.2f} kB",
        *_listed("\nConstructors that grew:", grown),
        *_listed("\nFunctions whose objects are left (sampled):", stays),
        *_listed("\nFunctions that allocate most, garbage included (sampled):", allocated),
    ]
    rows = {"grown": grown, "stays": stays, "allocated": allocated}
    return Evidence(
        id=f"heap@{place}", kind="heap", title=f"{place}: heap grows by {total:.2f} kB a request",
        digest="\n".join(lines), artifact=workspace.artifacts.put_json(raw),
        facts={
            "grown_kb_per_request": total, "requests": raw["requests"],
            **{key: value for kind, found in rows.items() for key, value in pack_rows(
                kind, [{"site": one.name, "kb": one.kb, "objects": one.objects, "own": int(one.own)}
                       for one in found[:TOP]]).items()},
        },
    )  # fmt: skip


def _listed(head: str, grown: Sequence[Grown]) -> list[str]:
    def show(one: Grown) -> str:
        count = "" if one.objects is None else f"{one.objects:8.2f} objects  "
        return f"  {one.kb:9.3f} kB {count}{one.name[:120]}"

    return [head, *(show(one) for one in grown[:TOP])]
