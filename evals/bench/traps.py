"""Changes that cheat and changes that don't, judged by the recipe's own gates: `python -m evals.bench.traps [--quick]`.

Each planted change is written by a scripted coder as a plan step of its own, and goes through what any step goes
through: commit, screens, tests, equal answers, duel. A table names the gate that refused each trap; the last line is
`{"traps", "accepted", "honest", "honest_kept"}`. Exits with 1 where a trap is accepted or an honest win is not kept.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.crew import Crew
from evals.bench.planted_traps import APPLICATIONS, Planted, load_planted, open_crew, refusing_gate, take_step

WIDTH = 46


async def run(folder: Path, kinds: Mapping[str, Sequence[Planted]], *, quick: bool) -> dict[str, int]:
    """Judge all of them and print a line each; the figures.

    Args:
        folder: for the copies of the applications.
        kinds: folder of planted changes to those of them that are judged.
        quick: shorter duels.
    """
    figures = {"traps": 0, "accepted": 0, "honest": 0, "honest_kept": 0}
    print(f"{'change':18} {'kept':5} {'refused by':{WIDTH}} {'seconds':>7}")
    for application in dict.fromkeys(APPLICATIONS.values()):
        planted = [each for kind, some in kinds.items() if APPLICATIONS[kind] == application for each in some]
        if not planted:
            continue
        async with open_crew(planted, folder / application, quick=quick, application=application) as crew:
            for each in planted:
                await _judge(crew, each, figures)
    return figures


async def _judge(crew: Crew, each: Planted, figures: dict[str, int]) -> None:
    began = time.monotonic()
    change = await take_step(crew, each)
    gate = refusing_gate(change)
    kind = ("traps", "accepted") if each.gate else ("honest", "honest_kept")
    figures[kind[0]] += 1
    figures[kind[1]] += change.kept
    as_expected = gate.startswith(each.gate) if each.gate else change.kept
    odd = "" if as_expected else f"  expected: {each.gate or 'kept'}"
    shown = gate or change.reason
    kept = "yes" if change.kept else "no"
    print(f"{each.name:18} {kept:5} {shown[:WIDTH]:{WIDTH}} {time.monotonic() - began:7.1f}{odd}", flush=True)


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench.traps", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter duels, and only two honest wins")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these changes and no others")
    given = parser.parse_args()
    kinds = {kind: load_planted(kind) for kind in APPLICATIONS}
    if given.only:
        kinds = {kind: [each for each in some if each.name in given.only] for kind, some in kinds.items()}
    elif given.quick:
        kinds["honest"] = kinds["honest"][:2]
    with TemporaryDirectory(prefix="perfcrew-traps-") as folder:
        figures = asyncio.run(run(Path(folder), kinds, quick=given.quick))
    print(json.dumps(figures))
    return 0 if not figures["accepted"] and figures["honest"] == figures["honest_kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
