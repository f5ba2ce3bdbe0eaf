"""Finds what holds the event loop while a request is answered.

A thread asks the loop for a sign of life every 20 ms while requests are in flight, and looks at the loop's stack when
none comes within 50 ms. It works for any loop, as it uses nothing but `call_soon_threadsafe`.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from .record import RequestTrace, find_site, guarded, in_flight, note_blocked

BLOCKED_S = 0.05
_SAMPLE_S = 0.01
_BEAT_S = 0.02
_GIVE_UP_S = 30.0

_watched: set[int] = set()


def watch() -> None:
    """Watch the running loop from its first request on."""
    # Whoever serves requests on a loop has imported asyncio; who does not must not be made to.
    running = sys.modules["asyncio"].get_running_loop()
    if id(running) in _watched:
        return
    _watched.add(id(running))
    arguments = (running, threading.get_ident())
    threading.Thread(target=_keep_watch, args=arguments, name="perfcrew-loop-watch", daemon=True).start()


def _keep_watch(running: Any, thread: int) -> None:
    while not running.is_closed():
        time.sleep(_BEAT_S)
        if in_flight:
            beat = threading.Event()
            started = time.perf_counter()
            try:
                running.call_soon_threadsafe(beat.set)
            except RuntimeError:
                return
            if not beat.wait(BLOCKED_S):
                guarded(_follow, beat, thread, started)


def _follow(beat: threading.Event, thread: int, started: float) -> None:
    # Only a request that was alone can be named: with several in flight nobody knows whose step it was.
    alone: RequestTrace | None = next(iter(in_flight)) if len(in_flight) == 1 else None
    seen: dict[str, int] = {}
    samples = 0
    while not beat.is_set() and time.perf_counter() - started < _GIVE_UP_S:
        frame = sys._current_frames().get(thread)
        site, _ = find_site(frame)
        samples += 1
        if site:
            seen[site] = seen.get(site, 0) + 1
        beat.wait(_SAMPLE_S)
    if alone is None or not seen:
        return
    site = max(seen, key=lambda place: seen[place])
    milliseconds = (time.perf_counter() - started) * 1000 * sum(seen.values()) / samples
    note_blocked(alone, site, milliseconds)
