"""Asks the tracer inside a target's processes for something, by files in the trace's folder.

See `tools/inject/perfcrew_tracer/control.py` for the other end; processes of Node answer in the same way.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
LIVING_S = 2.0
"""A process that has not shown itself for so long is gone, or busy with the question."""
POLL_S = 0.03


async def ask_processes(folder: Path, what: str, **more: Any) -> dict[str, Any]:
    """What each process of the target answers, by its process id as it knows it; what fails there is left out.

    Waits for all that were alive when asked; for one that ends meanwhile no longer than for the others.
    """
    number = 1 + len(list(folder.glob("ask-*.json")))
    living = {path.name.removeprefix("alive-") for path in folder.glob("alive-*") if _age(path) < LIVING_S}
    partial = folder / f"ask-{number}.partial"
    partial.write_text(json.dumps({"do": what, **more}))
    partial.rename(folder / f"ask-{number}.json")
    answers: dict[str, Any] = {}
    end = time.monotonic() + TIMEOUT_S
    while living - answers.keys() and time.monotonic() < end:
        await asyncio.sleep(POLL_S)
        for path in folder.glob(f"answer-{number}-*.json"):
            answers.setdefault(path.stem.rpartition("-")[2], json.loads(path.read_text()))
        if answers and all(_age(folder / f"alive-{pid}") > LIVING_S * 5 for pid in living - answers.keys()):
            break
    return {pid: answer for pid, answer in answers.items() if "error" not in answer}


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")
