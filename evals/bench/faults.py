"""`python -m evals.bench.faults [--quick] [--runs N] [--seed N]`: whole runs of the recipe under random faults.

Each run is the recorded dashboard with frozen tool results, but its model is asked over a real wire, of an endpoint
that spoils answers at random: refused, reset, cut off, erroneous in mid-stream, slow, malformed, empty, declined. Every
run has to end with the report of the undisturbed one, up to timings and to what the faults cost in tokens; those have
to be all accounted for. Wires take turns, plain and streamed. Waits between tries are shortened; nothing else is.
Prints a table and, as its last line, one JSON object. Exit code 1 where a run ended differently.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.bench.fault_schedule import Schedule
from evals.bench.recorded_crew import FrozenTools, Speaker
from evals.case import find_case
from evals.replay import replay
from graphs.assembly import Routed, at_work
from graphs.attempts import OUT_OF_BOUNDS
from graphs.checkpoints import open_checkpoints
from graphs.engine import RunOptions, drive, prepare
from graphs.recipe import build
from graphs.runs import Manifest
from perfcrew.llm.choice import choose
from perfcrew.llm.recording import Recording
from perfcrew.records.events import Event
from perfcrew.records.report import Report
from perfcrew.settings import Settings
from tests.llm_endpoint import ScriptedEndpoint
from tools.target import load_target

CASE = find_case("dashboard")
WIRES = {"messages": "anthropic/recorded", "responses": "openai/recorded", "chat": "openai-chat/recorded"}
SHARE = 0.4
"""Of requests that are spoilt."""
SHORT_S = 0.01
TIMED = ("run_id", "phases", "sequential_seconds", "wall_seconds", "usage", "models", "answered_by", "seal")
"""Parts of a report that differ from run to run, from wire to wire, or by what the faults cost."""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    report: Report
    events: tuple[Event, ...]
    folder: Path
    seconds: float


async def run_recorded(schedule: Schedule, model: str, home: Path, *, stream: bool, run_id: str | None = None) -> Ended:
    """One run of the recorded dashboard over a wire; with `run_id` the rest of one that stopped.

    Raises:
        PerfcrewError: the run could not go on.
    """
    events: list[Event] = []
    began = time.monotonic()
    with ScriptedEndpoint(schedule.script) as endpoint:
        settings = _settings(schedule.speaker.recording, model, home, endpoint.base_url, stream)
        options = RunOptions(
            repo=CASE.app, config=CASE.config, replay=CASE.recording, frozen=True, live_model=True, run_id=run_id
        )
        manifest, folder = await prepare(options, settings)
        report = await _drive(manifest, folder, schedule.speaker, settings, events.append)
        if endpoint.refused:
            raise AssertionError(f"requests that a service would refuse: {endpoint.refused[:3]}")
    return Ended(report, tuple(events), folder, time.monotonic() - began)


def _settings(recording: Recording, model: str, home: Path, url: str, stream: bool) -> Settings:
    limits = recording.value("limits")
    return Settings(
        home=home,
        model=model,
        model_quick=model,
        anthropic_base_url=url,
        openai_base_url=url,
        stream_replies=stream,
        max_rounds=limits["rounds"],
        max_attempts=limits["attempts"],
        max_steps=limits["steps"],
    )


async def _drive(
    manifest: Manifest, folder: Path, speaker: Speaker, settings: Settings, watch: Callable[[Event], None]
) -> Report:
    target, _ = load_target(CASE.app, CASE.config)

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, SHORT_S))

    async with open_checkpoints(folder) as checkpoints, at_work(manifest, folder, settings, watch) as context:
        context.crew.journal.close()
        journal = FrozenTools(folder / "journal.jsonl", speaker)
        llm = Routed(settings, choose(settings, target.models), context.crew.budget, watch, sleep)
        context.crew = replace(context.crew, llm=llm, journal=journal)
        try:
            state = await drive(build(checkpoints), manifest, context, None)
        finally:
            await llm.aclose()
            journal.close()
    assert state["report"] is not None
    return state["report"]


def essence(report: Report) -> str:
    """What must not depend on faults: the report without timings, token counts and notes about what was asked.

    A tool that does not exist is one of the faults, and a report names who asked for one.
    """
    plain = report.model_dump(mode="json", by_alias=True)
    kept = {name: value for name, value in plain.items() if name not in TIMED}
    kept["notes"] = [note for note in kept["notes"] if not note.startswith(("replay:", OUT_OF_BOUNDS))]
    kept["branch"] = str(plain["branch"]).replace(report.run_id, "RUN")
    # A probe whose call was spoilt is said again after its siblings: the same evidence, gathered in another order.
    kept["evidence"] = sorted(plain["evidence"], key=lambda item: json.dumps(item, sort_keys=True))
    kept["phase_names"] = sorted(row["name"] for row in plain["phases"])
    return json.dumps(kept, sort_keys=True)


def unaccounted(report: Report, schedule: Schedule) -> int:
    """Tokens that were given and are not in the report; negative where it has more."""
    given = sum(usage.input_tokens + usage.output_tokens for usage in schedule.given)
    return given - report.usage.input_tokens - report.usage.output_tokens


async def drill(runs: int, seed: int, home: Path) -> dict[str, Any]:
    """All runs; prints a line for each."""
    recording = Recording(CASE.recording, frozen=True, replies=False)
    replayed, _ = await replay(CASE, settings=Settings(home=home), watch=lambda _: None)
    assert replayed is not None
    expected = essence(replayed)
    for wire, model in WIRES.items():
        undisturbed = await run_recorded(Schedule(Speaker(recording), 0, 0.0), model, home, stream=False)
        if essence(undisturbed.report) != expected:
            raise AssertionError(f"{wire}: even without faults the run does not end like the replayed one")
    print(f"{'wire':<10} {'way':<9} {'seed':>5} {'faults':>7} {'retries':>8} {'seconds':>8}  ended")
    equal, faults = 0, Counter[str]()
    for number in range(runs):
        wire = list(WIRES)[number % len(WIRES)]
        stream = number // len(WIRES) % 2 == 1
        schedule = Schedule(Speaker(recording), seed + number, SHARE)
        ended = await run_recorded(schedule, WIRES[wire], home, stream=stream)
        same, lost = essence(ended.report) == expected, unaccounted(ended.report, schedule)
        equal += same and lost == 0
        faults += schedule.counts
        retries = sum("again in" in event.text for event in ended.events)
        told = "equal" if same else "DIFFERS"
        told += f", {lost} tokens unaccounted for" if lost else ""
        way = "streamed" if stream else "plain"
        struck = schedule.counts.total()
        print(f"{wire:<10} {way:<9} {seed + number:>5} {struck:>7} {retries:>8} {ended.seconds:>8.1f}  {told}")
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    return {"runs": runs, "finished_equal": equal, "faults": faults.total(), "kinds": len(faults)}


def main() -> int:
    """Parse the command line and run; 1 where a run did not end like the undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench.faults", description="the recipe under random faults")
    parser.add_argument("--quick", action="store_true", help="fewer runs: within a minute")
    parser.add_argument("--runs", type=int, help="how many runs; default 60, with --quick 9")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others count up")
    given = parser.parse_args()
    runs = given.runs or (9 if given.quick else 60)
    with tempfile.TemporaryDirectory(prefix="perfcrew-faults-") as home:
        figures = asyncio.run(drill(runs, given.seed, Path(home)))
    print(json.dumps(figures))
    return 0 if figures["finished_equal"] == figures["runs"] else 1


if __name__ == "__main__":
    sys.exit(main())
