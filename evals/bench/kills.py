"""Is anything lost, or paid twice, when a run is killed? `python -m evals.bench.kills [--quick | --kills N]`.

A replayed run of the dashboard case asks its model over HTTP, from a process of its own, with recorded tool results. It
is killed with SIGKILL at a random moment and resumed with `perfcrew run --resume`; so often, each time another run.
Moments are spread over the run's duration, over its requests (before, in the middle of, after an answer) and over the
bytes of its journal, and some journals get the torn record that a crash of the machine would leave. The service counts
what is asked (`evals.bench.recorded_model`).

A request counts as *answered* when its answer stands in the journal, or when a later request of the same conversation
shows that it was used. An answer on its way at the kill, sent but never seen to be used, is asked for again: that no
client can avoid, and the table shows how often it happened.

Prints a table and, as its last line, one JSON object. Exit code 1 where a run was not resumed to the same report, or an
answered request was sent again.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.bench.kill_moments import KINDS, LONGEST_S, Moment, kill_at, plan, tear
from evals.bench.recorded_model import Call, Client, RecordedModel, Turn, turn_of
from evals.case import Case, find_case
from graphs.engine import RunOptions, run
from perfcrew.llm.entries import read_entries
from perfcrew.settings import Settings
from tools import process

KILLS, QUICK_KILLS = 100, 6
AT_ONCE = 2
TIMINGS = frozenset({"seconds", "started", "sequential_seconds", "wall_seconds"})
NAMES = frozenset({"run_id", "branch", "seal"})
"""What differs between any two runs: their own names, and the seal over them."""


@dataclass
class Undisturbed:
    """A run that nobody killed: what the others must come to."""

    report: Any
    seconds: float
    requests: int
    journal: bytes


@dataclass
class Outcome:
    """What became of one run."""

    moment: Moment
    killed: bool = False
    answered: int = 0
    """Requests that were answered when it was killed."""
    resumed: bool = False
    resent: list[Turn] = field(default_factory=list)
    in_flight: int = 0
    """Requests asked again because they were not answered yet, or the answer was on its way."""
    problem: str = ""


class Drill:
    """Runs of one case in one folder, against one service."""

    def __init__(self, case: Case, folder: Path, model: RecordedModel, url: str) -> None:
        self.case, self.folder, self.model, self.url = case, folder, model, url

    async def run_undisturbed(self) -> Undisturbed:
        """A run as it is without kills."""
        home, client = self.folder / "undisturbed", self.model.client("undisturbed")
        running = await self._start(home, "undisturbed")
        journal = await _appear(home, running)
        began = time.monotonic()
        await asyncio.wait_for(running.wait(), LONGEST_S)
        seconds = time.monotonic() - began
        report = _report(journal.parent)
        if report is None or client.strange:
            raise SystemExit(f"the undisturbed run failed: {running.log.read_text()[-2000:]}{client.strange[:1]}")
        return Undisturbed(report, seconds, len(client.calls), journal.read_bytes())

    async def disturb(self, name: str, moment: Moment, seen: Undisturbed) -> Outcome:
        """One run, killed and resumed."""
        outcome, home, client = Outcome(moment), self.folder / name, self.model.client(name)
        running = await self._start(home, name)
        try:
            journal = await _appear(home, running)
            await kill_at(running, moment, journal, client)
        finally:
            await running.stop(0)
        client.watch = None
        outcome.killed = running.code == -signal.SIGKILL and _report(journal.parent) is None
        if outcome.killed:
            if moment.kind == "torn":
                tear(journal, seen.journal)
            await self._resume(outcome, home, journal, client, name, seen)
        shutil.rmtree(home, ignore_errors=True)
        return outcome

    async def _resume(
        self, outcome: Outcome, home: Path, journal: Path, client: Client, name: str, seen: Undisturbed
    ) -> None:
        # A moment for the service to notice what was cut off.
        await asyncio.sleep(0.05)
        durable = {turn_of(entry) for entry in read_entries(journal) if entry.kind == "reply"}
        before = list(client.calls)
        answered = durable | used(before)
        outcome.answered = len(answered)
        command = [sys.executable, "-P", "-m", "perfcrew", "run", "--resume", journal.parent.name]
        done = await process.run(command, cwd=home, environment=self._environment(home, name), timeout=LONGEST_S)
        after = client.calls[len(before) :]
        again = [call.turn for call in after if call.turn in {one.turn for one in before}]
        twice = [turn for turn, count in Counter(call.turn for call in after).items() if count > 1]
        outcome.resent = [turn for turn in again if turn in answered] + twice
        outcome.in_flight = len(again) - sum(turn in answered for turn in again)
        report = _report(journal.parent)
        outcome.resumed = done.code in (0, 1) and report == seen.report and not client.strange
        if not outcome.resumed:
            outcome.problem = f"exit {done.code}; {difference(seen.report, report)}; {done.last_line}"

    async def _start(self, home: Path, name: str) -> process.Process:
        home.mkdir(parents=True)
        command = [sys.executable, "-P", "-m", "evals.bench.one_replay", self.case.name]
        return await process.start(
            command, cwd=home, environment=self._environment(home, name), log=self.folder / f"{name}.log"
        )

    def _environment(self, home: Path, name: str) -> dict[str, str]:
        # Neither the user's settings nor keys: the service is on this machine.
        return {
            "PATH": os.defpath, "HOME": str(home), "PERFCREW_HOME": str(home), "PERFCREW_MODEL": "anthropic/recorded",
            "ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": name,
        }  # fmt: skip


async def _appear(home: Path, running: process.Process) -> Path:
    """The journal of a run that has just been started."""
    for _ in range(int(LONGEST_S / 0.005)):
        for path in (home / "runs").glob("*/journal.jsonl"):
            return path
        if not running.alive:
            break
        await asyncio.sleep(0.005)
    raise SystemExit(f"a run did not begin: {running.log.read_text()[-2000:]}")


def used(calls: Sequence[Call]) -> set[Turn]:
    """Requests whose answers were used: the next turn of their conversation was asked."""
    return {(lane, turn - 1) for lane, turn in (call.turn for call in calls) if turn > 0}


def _report(folder: Path) -> Any:
    path = folder / "report.json"
    return strip(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def strip(value: Any) -> Any:
    """A report without timings and without the names of its run."""
    if isinstance(value, dict):
        return {name: strip(item) for name, item in value.items() if name not in TIMINGS | NAMES}
    return [strip(item) for item in value] if isinstance(value, list) else value


def difference(wanted: Any, got: Any, place: str = "report") -> str:
    """The first place where two reports differ."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        names = sorted(wanted.keys() | got.keys())
        found = (difference(wanted.get(name), got.get(name), f"{place}.{name}") for name in names)
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = enumerate(zip(wanted, got, strict=True))
        found = (difference(one, other, f"{place}[{number}]") for number, (one, other) in pairs)
    else:
        return "" if wanted == got else f"{place}: {str(wanted)[:80]!r} became {str(got)[:80]!r}"
    return next((line for line in found if line), "")


async def drill(kills: int, seed: int) -> list[Outcome]:
    """Kill and resume so many runs."""
    case, rng = find_case("dashboard"), random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="perfcrew-kills-"))
    try:
        # What is asked, for recognising it: the recording, replayed without a wire.
        options = RunOptions(repo=case.app, config=case.config, replay=case.recording, frozen=True)
        replayed = await run(options, settings=Settings(home=folder / "replayed"), watch=lambda _: None)
        model = RecordedModel(folder / "replayed" / "runs" / replayed.run_id / "journal.jsonl")
        async with model.serve() as url:
            runs = Drill(case, folder, model, url)
            seen = await runs.run_undisturbed()
            print(
                f"undisturbed: {seen.seconds:.1f} s, {seen.requests} requests, {len(seen.journal):,} bytes of journal"
            )
            moments = plan(kills, seen.seconds, seen.requests, len(seen.journal), rng)
            return await _disturb_all(runs, moments, seen, kills)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _disturb_all(runs: Drill, moments: list[Moment], seen: Undisturbed, kills: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, moment: Moment) -> None:
        async with slots:
            outcome = await runs.disturb(f"run-{number:03d}", moment, seen)
            # A run that ended before its moment came is killed earlier, in its second try.
            if not outcome.killed:
                earlier = Moment(moment.kind, max(1, moment.at * 0.6) if moment.kind != "time" else moment.at * 0.6)
                outcome = await runs.disturb(f"again-{number:03d}", earlier, seen)
            outcomes.append(outcome)
            if outcome.problem or outcome.resent:
                print(f"{outcome.moment}: {outcome.problem} resent: {outcome.resent}")
            elif len(outcomes) % 10 == 0:
                print(f"{len(outcomes)} of {kills}", file=sys.stderr)

    await asyncio.gather(*(one(number, moment) for number, moment in enumerate(moments, 1)))
    return outcomes


def render(outcomes: Sequence[Outcome]) -> str:
    """The table: a line for each kind of moment, and one for all."""
    lines = [f"{'killed at':<10} {'kills':>6} {'resumed':>8} {'resent':>7} {'answered before':>16} {'asked again':>12}"]
    for kind in (*KINDS, "all"):
        chosen = [one for one in outcomes if one.killed and kind in (one.moment.kind, "all")]
        answered = [one.answered for one in chosen]
        spread = f"{min(answered)} to {max(answered)}" if answered else "-"
        lines.append(
            f"{kind:<10} {len(chosen):>6} {sum(one.resumed for one in chosen):>8} "
            f"{sum(len(one.resent) for one in chosen):>7} {spread:>16} {sum(one.in_flight for one in chosen):>12}"
        )
    return "\n".join([*lines, "asked again: requests without an answer at the kill, or with one still on its way"])


def summarise(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """The figures of the last line."""
    killed = [one for one in outcomes if one.killed]
    return {
        "kills": len(killed),
        "resumed": sum(one.resumed for one in killed),
        "resent": sum(len(one.resent) for one in killed),
    }


def main(arguments: Sequence[str]) -> int:
    """Run the drill; 1 where it fails."""
    kills = QUICK_KILLS if "--quick" in arguments else KILLS
    if "--kills" in arguments:
        kills = int(arguments[arguments.index("--kills") + 1])
    outcomes = asyncio.run(drill(kills, seed=int(time.time())))
    print(render(outcomes))
    summary = summarise(outcomes)
    print(json.dumps(summary))
    return 0 if summary == {"kills": kills, "resumed": kills, "resent": 0} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
