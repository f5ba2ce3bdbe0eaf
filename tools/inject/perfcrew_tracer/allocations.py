"""Memory by call site: what stays after requests, and what one holds at its peak; or how often memory is allocated.

Two ways, each in a start of its own. `count_calls` reads a counter around CPython's allocators, exact and cheap.
`install` uses tracemalloc, which knows every block's call site and makes everything several times slower.
"""

# pathlib would be one more module that the target did not ask for.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import gc
import os
import threading
import time
import tracemalloc
from typing import Any

from . import control
from .record import find_short, in_flight, measure_with

COUNTER = "allocation_counter.so"
_FRAMES = 25
_POLL_S = 0.002
_STEP = 1.2
"""A new look at the call sites is worth it when the request holds this many times as much as at the last."""
_LEAST = 16_384
_SITES = 40
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def count_calls(folder: str) -> None:
    """Count allocator calls by the library in `folder`; each request's line tells its own."""
    import ctypes

    library = ctypes.CDLL(os.path.join(folder, COUNTER))
    library.perfcrew_calls.restype = ctypes.c_ulonglong
    access = [
        ctypes.cast(getattr(ctypes.pythonapi, f"PyMem_{what}Allocator"), ctypes.c_void_p) for what in ("Get", "Set")
    ]
    library.perfcrew_count.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.perfcrew_count(*access)
    calls = library.perfcrew_calls

    def opening() -> int:
        # A collection within a request, or not, would be the chance of its start.
        # Not a full one, which would empty the free lists that a running server lives on.
        gc.collect(1)
        gc.disable()
        before: int = calls()
        return before

    def closing(before: int) -> dict[str, Any]:
        counted = calls() - before
        gc.enable()
        return {"allocations": counted}

    measure_with(opening, closing)


def install(folder: str) -> None:
    """Let `control` ask: to trace blocks from then on, for what is held, and for the peaks of single requests.

    Tracing begins late, because imports would take many times as long under it.
    """
    peak = _Peak()
    control.serve(folder, {"trace": _trace, "held": _held, "peaks": peak.begin})


def _trace() -> dict[str, Any]:
    tracemalloc.start(_FRAMES)
    return {}


def _held() -> dict[str, Any]:
    gc.collect()
    return {"sites": _sum_sites(), "bytes": tracemalloc.get_traced_memory()[0]}


def _sum_sites() -> list[list[Any]]:
    """Blocks and bytes by the target's innermost line, or the allocating line where no line of the target's called."""
    found: dict[str, list[int]] = {}
    names: dict[Any, str] = {}
    for trace in tracemalloc.take_snapshot().traces:
        frames = trace.traceback
        site = names.get(frames)
        if site is None:
            site = names[frames] = _name_site(frames)
        if not site:
            continue
        entry = found.setdefault(site, [0, 0])
        entry[0] += 1
        entry[1] += trace.size
    return [[site, blocks, size] for site, (blocks, size) in found.items()]


def _name_site(frames: Any) -> str:
    """`path:line` of the target's, with ` < path:line` of the library that it called; the library's alone if none.

    Empty for what this tracer allocates.
    """
    # Oldest first: see tracemalloc.Traceback.
    last = frames[-1]
    if last.filename.startswith(_HERE):
        return ""
    library = f"{find_short(last.filename)[0]}:{last.lineno}"
    for frame in reversed(frames):
        path, own = find_short(frame.filename)
        if own:
            place = f"{path}:{frame.lineno}"
            return place if frame == last else f"{place} < {library}"
    return f"< {library}"


class _Peak:
    """The most that a single request held at a time, and where it was allocated. Requests must come one by one."""

    def __init__(self) -> None:
        self.sites: list[list[Any]] = []
        self.looked = 0

    def begin(self) -> dict[str, Any]:
        measure_with(self.open, self.close)
        threading.Thread(target=self.follow, name="perfcrew-peak", daemon=True).start()
        return {}

    def open(self) -> int:
        gc.collect()
        tracemalloc.clear_traces()
        self.sites, self.looked = [], 0
        return 0

    def close(self, _before: int) -> dict[str, Any]:
        held, peak = tracemalloc.get_traced_memory()
        if held > _STEP * self.looked:
            self.look(held)
        ranked = sorted(self.sites, key=lambda site: -site[2])[:_SITES]
        return {"peak_bytes": peak, "looked_bytes": self.looked, "sites": ranked}

    def look(self, held: int) -> None:
        self.sites, self.looked = _sum_sites(), held

    def follow(self) -> None:
        while True:
            time.sleep(_POLL_S)
            held = tracemalloc.get_traced_memory()[0] if in_flight else 0
            if held > max(_LEAST, _STEP * self.looked):
                self.look(held)
