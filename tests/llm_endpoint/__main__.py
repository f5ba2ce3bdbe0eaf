"""The endpoint as a process: `python -m tests.llm_endpoint --script FILE.py [--port 0] [--log FILE]`.

FILE.py defines `reply(request) -> dict`. Prints its port, then serves until it is terminated.
"""

import argparse
import runpy
import signal
import threading
from pathlib import Path

from tests.llm_endpoint.server import ScriptedEndpoint


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.llm_endpoint")
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    script = runpy.run_path(str(given.script))["reply"]
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with ScriptedEndpoint(script, given.port, given.log) as endpoint:
        print(endpoint.port, flush=True)
        done.wait()


if __name__ == "__main__":
    main()
