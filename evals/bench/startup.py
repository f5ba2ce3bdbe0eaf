"""How soon does a command say something? `python -m evals.bench.startup [--quick | --times N]`.

Each command of the command line is started as a user starts it, with sensible arguments, on a small described
application and a finished run, at a terminal; the time is from the start of the process to its first byte of output,
then it is ended.
`--help` of each command is timed to its end. Commands are asked of the command line itself, so none is forgotten. What
counts is the median of several starts; the first, which reads files into the system's cache, is left out.

Prints a table and, as its last line, one JSON object: `help_ms`, of the command whose help takes longest, and
`first_output_ms` by command. Exit code 1 where a limit is exceeded.
"""

import argparse
import asyncio
import json
import os
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from evals.case import find_case
from tools import process
from tools.git_command import git

HELP_MS, FIRST_MS = 150, 300
TIMES, QUICK_TIMES = 7, 2
LONGEST_S = 60.0
POLL_S = 0.001
PROGRAM = (sys.executable, "-P", "-m", "perfcrew")
TARGET = """[target]
name = "small"
start = "{python} -m http.server {{port}}"

[[workload]]
name = "page"
[[workload.request]]
path = "/"
"""
ARGUMENTS: Mapping[str, Sequence[str]] = {
    "batch": ["targets.jsonl"],
    "chat": ["{shop}"],
    "compare": ["HEAD", "HEAD", "{shop}"],
    "eval": ["--replay", "dashboard"],
    "exec": ["/agent:performance", "--path", "{shop}"],
    "init": ["{bare}"],
    "install-commands": ["claude", "--project"],
    "load-worker": ["127.0.0.1:9"],
    "measure": ["{shop}"],
    "run": ["{shop}"],
}
"""Of commands that do nothing, or nothing cheap, without; all others are called without arguments."""


async def main(times: int) -> int:
    """Time every command; the exit code."""
    with tempfile.TemporaryDirectory(prefix="perfcrew-startup-") as name:
        scratch = Path(name)
        environment = _environment(scratch)
        await _prepare(scratch, environment)
        names = await _commands(scratch, environment)
        helps: dict[str, float] = {}
        firsts: dict[str, float] = {}
        for command in names:
            helps[command] = await _median(times, partial(_help, [command], scratch, environment))
            firsts[command] = await _median(times, partial(_first, command, scratch, environment))
            late = "  LATE" if helps[command] > HELP_MS or firsts[command] > FIRST_MS else ""
            print(f"{command:<18} --help {helps[command]:6.0f} ms   first output {firsts[command]:6.0f} ms{late}")
        helps[""] = await _median(times, partial(_help, [], scratch, environment))
    slowest = max(helps.values())
    print(json.dumps({"help_ms": slowest, "first_output_ms": firsts}))
    return int(slowest > HELP_MS or max(firsts.values()) > FIRST_MS)


def _environment(scratch: Path) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "PERFCREW_HOME": str(scratch / "home"),
        "OPENAI_API_KEY": "not-used",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }


async def _prepare(scratch: Path, environment: Mapping[str, str]) -> None:
    """A described application in a repository, one without a description, and a finished run."""
    shop, bare = scratch / "shop", scratch / "bare"
    for folder in (shop, bare):
        folder.mkdir()
        (folder / "index.html").write_text("<p>small</p>\n")
    (shop / "perfcrew.toml").write_text(TARGET.format(python=sys.executable))
    (scratch / "targets.jsonl").write_text(json.dumps({"path": "shop"}) + "\n")
    await git(["init", "--quiet"], shop)
    await git(["add", "."], shop)
    await git(["-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "--quiet", "-m", "Begin"], shop)
    case = find_case("dashboard")
    recorded = ["--config", str(case.config), "--replay", str(case.recording), "--recorded-tools"]
    await process.run(
        [*PROGRAM, "run", str(case.app), *recorded], cwd=scratch, environment=environment, timeout=LONGEST_S * 2
    )


async def _commands(scratch: Path, environment: Mapping[str, str]) -> list[str]:
    ask = "from perfcrew.entry.cli import cli; print('\\n'.join(cli.commands))"
    done = await process.run([sys.executable, "-P", "-c", ask], cwd=scratch, environment=environment, timeout=LONGEST_S)
    return sorted(done.out.split())


async def _median(times: int, measure: Callable[[], Awaitable[float]]) -> float:
    await measure()
    return round(statistics.median([await measure() for _ in range(times)]), 1)


async def _help(words: Sequence[str], scratch: Path, environment: Mapping[str, str]) -> float:
    began = time.monotonic()
    await process.run([*PROGRAM, *words, "--help"], cwd=scratch, environment=environment, timeout=LONGEST_S)
    return 1000 * (time.monotonic() - began)


async def _first(command: str, scratch: Path, environment: Mapping[str, str]) -> float:
    """Milliseconds to the first byte; to the end where there is none."""
    (scratch / "bare" / "perfcrew.toml").unlink(missing_ok=True)
    places = {"shop": str(scratch / "shop"), "bare": str(scratch / "bare")}
    words = [word.format(**places) for word in ARGUMENTS.get(command, ())]
    ours, theirs = os.openpty()
    began = time.monotonic()
    running = await process.start(
        [*PROGRAM, command, *words], cwd=scratch, environment=environment, log=Path(os.ttyname(theirs))
    )
    try:
        while running.alive and not _said(ours) and time.monotonic() - began < LONGEST_S:
            await asyncio.sleep(POLL_S)
        return 1000 * (time.monotonic() - began)
    finally:
        await running.stop(grace_s=0)
        os.close(ours)
        os.close(theirs)


def _said(terminal: int) -> bool:
    return bool(select.select([terminal], [], [], 0)[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m evals.bench.startup")
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(QUICK_TIMES if given.quick else given.times)))
