"""What does a turn of an agent cost beside the model's own time? `python -m evals.bench.turns [--quick]`.

Conversations of 200 turns, one tool call and a result of 300 characters each, against `evals.bench.model_server`, which
answers at once from another process: on each wire through perfcrew's loop without a journal, with the durable one, and
through the vendor's SDK alone. What counts is the wall time of a whole turn, HTTP and the server's part included, in
the least disturbed repeat: whatever else the machine does only adds to it. Beside it stands our process's CPU time.
Each wire has a process of its own; its loops take turns, so that a busy machine is busy for all of them.

Prints a table and, as its last line, one JSON object. Exit code 1 where the bar is missed.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from agents.agent import Agent, converse
from agents.crew import Crew, Limits
from evals.bench.bare_loops import BARE, BRIEF, SYSTEM, Marks, read_note
from perfcrew.artifacts import Artifacts
from perfcrew.llm.budget import Budget
from perfcrew.llm.connect import connect
from perfcrew.llm.journal import Journal
from perfcrew.records.base import Record
from perfcrew.records.events import Event
from perfcrew.records.target import Target
from perfcrew.redaction import OPEN
from tools import process
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

TURNS = 200
LAST = 20
"""Turns at the end whose median is what turn 200 costs."""
BAR_MS, JOURNAL_BAR_MS = 3.0, 6.0
SLOW_BARE = {"openai": 50, "openai-chat": 50}
"""Turns of the bare loop where its cost grows with the square of the history."""
KEYS = ("ms_per_turn", "bare_sdk_ms_per_turn", "ms_at_turn_200", "rss_mb",
        "journal_ms_per_turn", "journal_ms_at_turn_200", "first_ms", "journal_first_ms",
        "cpu_ms_per_turn", "journal_cpu_ms_per_turn", "bare_turns")  # fmt: skip
_START_S = 20.0


class Note(Record):
    """Which note."""

    number: int


class Word(Record):
    """The word."""

    word: str


@tool(Note)
async def read(arguments: Note, _workspace: Workspace) -> ToolOutput:
    """Read a note."""
    return ToolOutput(content=read_note(arguments.number))


READER = Agent(
    role="tester", prompt="tester", tools=(type(read)(**{**vars(read), "name": "read_note"}),), answer=Word, turns=TURNS
)


class NoJournal:
    """Stands in for the journal and remembers nothing: what is left is the loop itself."""

    source, redactor = None, OPEN

    def has(self, *_: Any) -> bool:
        """Nothing was done before."""
        return False

    async def reply(self, *given: Any) -> Any:
        """Ask."""
        return await given[-1]()

    async def effect(self, *given: Any, **_: Any) -> Any:
        """Do it."""
        return await given[-1]()


async def loop_crew(model: str, url: str, folder: Path, *, durable: bool) -> Marks:
    """One conversation through perfcrew's loop: seconds at the start and after each reply was read."""
    marks: Marks = []

    def watch(event: Event) -> None:
        if event.kind == "turn":
            marks.append(time.perf_counter())

    description = {"target": {"name": "x", "start": "x"}, "workload": [{"name": "x", "request": [{"path": "/"}]}]}
    target = Target.model_validate(description)
    workspace = Workspace("bench", folder, folder, target, "", Artifacts(folder / "artifacts"), "bench")
    path = folder / "journal.jsonl"
    path.unlink(missing_ok=True)
    journal: Any = Journal(path) if durable else NoJournal()
    llm: Any = connect(model, anthropic_base_url=url, openai_base_url=url)
    limits = Limits(turns=TURNS)
    crew = Crew({"strong": model, "quick": model}, llm, journal, workspace, Budget(turns=10 * TURNS), watch, limits)
    marks.append(time.perf_counter())
    done = await converse(READER, SYSTEM, BRIEF, crew, "0/bench/tester")
    await llm.aclose()
    if durable:
        journal.close()
    if done.answer.word != "done" or len(marks) != TURNS + 1:
        raise SystemExit(f"{model}: {len(marks) - 1} turns instead of {TURNS}")
    return marks


@contextlib.asynccontextmanager
async def _serve(folder: Path, turns: int) -> AsyncIterator[str]:
    port_file = folder / f"port-{turns}"
    server = await process.start(
        [sys.executable, "-I", "-m", "evals.bench.model_server", str(turns), str(port_file)],
        cwd=folder, environment={"PATH": os.defpath}, log=folder / "server.log",
    )  # fmt: skip
    try:
        async with asyncio.timeout(_START_S):
            while not port_file.exists():
                if not server.alive:
                    raise SystemExit(f"the server did not start: {(folder / 'server.log').read_text()}")
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port_file.read_text()}"
    finally:
        await server.stop()


def _per_turn(marks: Marks) -> list[float]:
    return [1000 * (after - before) for before, after in pairwise(marks)]


async def measure_wire(wire: str, repeats: int) -> dict[str, float]:
    """All figures of a wire: the least of repeats, whose order alternates between the loops."""
    model, runs = f"{wire}/bench", dict[str, list[list[float]]](plain=[], durable=[], bare=[])
    bare_turns, cpu = SLOW_BARE.get(wire, TURNS), dict[str, list[float]](plain=[], durable=[])
    rss = 0.0
    with tempfile.TemporaryDirectory(prefix="perfcrew-bench-") as name:
        folder = Path(name)
        async with _serve(folder, TURNS) as url, _serve(folder, bare_turns) as bare_url:
            # The first conversation also pays for imports and caches of the SDK.
            await loop_crew(model, url, folder, durable=True)
            for number in range(repeats):
                for kind in cpu:
                    began = time.process_time()
                    runs[kind].append(_per_turn(await loop_crew(model, url, folder, durable=kind == "durable")))
                    cpu[kind].append(1000 * (time.process_time() - began) / TURNS)
                if number == 0:
                    rss = psutil.Process().memory_info().rss / 1e6
                    await BARE[wire](bare_url)
                runs["bare"].append(_per_turn(await BARE[wire](bare_url)))
    return {
        "ms_per_turn": _mean(runs["plain"]), "journal_ms_per_turn": _mean(runs["durable"]),
        "bare_sdk_ms_per_turn": _mean(runs["bare"]), "bare_turns": bare_turns,
        "first_ms": _part(runs["plain"], 1, LAST), "journal_first_ms": _part(runs["durable"], 1, LAST),
        "ms_at_turn_200": _part(runs["plain"], -LAST, None),
        "journal_ms_at_turn_200": _part(runs["durable"], -LAST, None), "rss_mb": round(rss, 1),
        "cpu_ms_per_turn": round(min(cpu["plain"]), 3), "journal_cpu_ms_per_turn": round(min(cpu["durable"]), 3),
    }  # fmt: skip


def _mean(runs: list[list[float]]) -> float:
    return round(min(sum(run) / len(run) for run in runs), 3)


def _part(runs: list[list[float]], start: int, end: int | None) -> float:
    return round(min(median(run[start:end]) for run in runs), 3)


async def measure_all(repeats: int) -> dict[str, dict[str, float]]:
    """Each wire in a process of its own, one after the other."""
    found = {}
    for wire in BARE:
        argv = [sys.executable, "-I", "-m", "evals.bench.turns", "--wire", wire, str(repeats)]
        done = await process.run(argv, cwd=Path.cwd(), environment={"PATH": os.defpath}, timeout=300)
        if done.code:
            raise SystemExit(f"{wire}: {done.err}")
        found[wire] = json.loads(done.out.splitlines()[-1])
    return found


def render(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """The table."""
    titles = ("bare SDK", "loop", "CPU", "turns 2-20", "turn 200", "journal", "CPU", "turns 2-20", "turn 200", "RSS MB")
    yield f"{'ms a turn':12}" + "".join(f"{title:>11}" for title in titles)
    keys = ("bare_sdk_ms_per_turn", "ms_per_turn", "cpu_ms_per_turn", "first_ms", "ms_at_turn_200",
            "journal_ms_per_turn", "journal_cpu_ms_per_turn", "journal_first_ms", "journal_ms_at_turn_200",
            "rss_mb")  # fmt: skip
    for wire, row in found.items():
        note = f"   (bare: {row['bare_turns']:.0f} turns)" if row["bare_turns"] != TURNS else ""
        yield f"{wire:12}" + "".join(f"{row[key]:>11.2f}" for key in keys) + note
    yield f"the bar: {BAR_MS:g} ms a turn without the journal, {JOURNAL_BAR_MS:g} with it, at turn {TURNS} as well"


def summarise(found: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The figures of the last line: each key by wire."""
    slowest = max(max(row["ms_per_turn"], row["ms_at_turn_200"]) for row in found.values())
    durable = max(max(row["journal_ms_per_turn"], row["journal_ms_at_turn_200"]) for row in found.values())
    figures: dict[str, Any] = {key: {wire: row[key] for wire, row in found.items()} for key in KEYS}
    return {**figures, "turns": TURNS, "within_bar": slowest <= BAR_MS and durable <= JOURNAL_BAR_MS}


def main(arguments: list[str]) -> int:
    """Run, print, judge."""
    if arguments[:1] == ["--wire"]:
        print(json.dumps(asyncio.run(measure_wire(arguments[1], int(arguments[2])))))
        return 0
    if set(arguments) - {"--quick"}:
        print("usage: python -m evals.bench.turns [--quick]", file=sys.stderr)
        return 2
    found = asyncio.run(measure_all(2 if "--quick" in arguments else 7))
    print("\n".join(render(found)))
    summary = summarise(found)
    print(json.dumps(summary))
    return 0 if summary["within_bar"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
