"""Does anything escape? `python -m evals.bench.escapes [--quick]`.

Each attempt has a run's folders of its own: a worktree, a clone, the user's repository, and beside them what must stay
out of reach. It is tried for real, by programs in the sandbox, by patches, by tool calls, by output that looks like
ours, and by models that do what an instruction in the target told them. What is tried is harmless should it succeed.

Prints a table that names the gate which refused each, and as its last line one JSON object. Exit code 1 where one
escaped. With `--quick` the limits are tried once each and every other kind by every second attempt.
"""

import asyncio
import json
import sys
from collections.abc import Sequence

from evals.bench.escape_attempts import ATTEMPTS, LIMITS
from evals.bench.escape_ground import prepared
from evals.bench.escape_kinds import Attempt, Outcome
from tools.sandbox import available, describe

LONGEST_S = 60.0


async def attempt(one: Attempt) -> Outcome:
    """Try one, on a ground of its own."""
    async with prepared() as ground, asyncio.timeout(LONGEST_S):
        return await one.make(ground)


async def attempt_all(chosen: Sequence[Attempt]) -> list[tuple[Attempt, Outcome]]:
    """Try them one after the other: limits are about the whole machine."""
    return [(one, await attempt(one)) for one in chosen]


def choose(quick: bool) -> list[Attempt]:
    """The attempts that can be made here: without a sandbox no program is let loose."""
    there = [one for one in ATTEMPTS if available() or not one.confined]
    return [one for number, one in enumerate(there) if one in LIMITS or number % 2 == 0] if quick else there


def render(outcomes: Sequence[tuple[Attempt, Outcome]]) -> str:
    """The table: a line for each attempt."""
    lines = [f"{'attempt':<46} {'came':<8} {'named':<6} refused by"]
    for one, outcome in outcomes:
        fate, gate = ("ESCAPED", "nobody") if outcome.escaped else ("refused", outcome.refused_by)
        lines.append(f"{one.name:<46} {fate:<8} {'yes' if outcome.named else 'no':<6} {gate[:150]}")
    return "\n".join(
        [*lines, "named: the report of a run tells of it; what the kernel refuses in silence can't be told"]
    )


def main(arguments: Sequence[str]) -> int:
    """Try, print, and 1 where one escaped."""
    if not available():
        print(f"{describe()}\nNo program was let loose: install bubblewrap to try them all.")
    outcomes = asyncio.run(attempt_all(choose("--quick" in arguments)))
    print(render(outcomes))
    escaped = sum(outcome.escaped for _, outcome in outcomes)
    print(json.dumps({"attempts": len(outcomes), "escaped": escaped}))
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
