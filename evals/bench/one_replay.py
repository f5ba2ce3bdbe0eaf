"""One replay of a case with a live model and recorded tool results: `python -m evals.bench.one_replay CASE`.

A process of its own, for `evals.bench.kills` to kill. Settings come from the environment, as for every command.
"""

import asyncio
import sys

from evals.case import find_case
from graphs.engine import RunOptions, run
from perfcrew.settings import load_settings


def main() -> None:
    """Run the case to its end."""
    case = find_case(sys.argv[1])
    options = RunOptions(
        repo=case.app, config=case.config, replay=case.recording, frozen=True, live_model=True, answered_by="recorded"
    )
    asyncio.run(run(options, settings=load_settings(), watch=lambda _: None))


if __name__ == "__main__":
    main()
