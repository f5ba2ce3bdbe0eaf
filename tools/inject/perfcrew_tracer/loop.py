"""Finds what holds the event loop while a request is answered.

A thread asks the loop for a sign of life every 20 ms while requests are in flight, and looks at the loop's stack when
none comes within 50 ms. It works for any loop, as it uses nothing but `call_soon_threadsafe`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
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
    watch_loop(sys.modules["asyncio"].get_running_loop())


def watch_loop(running: Any) -> None:
    """Watch a loop that runs, or is about to run, in this thread."""
    if id(running) in _watched:
        return
    _watched.add(id(running))
    arguments = (running, threading.get_ident())
    threading.Thread(target=_Watch.keep, args=arguments, name="perfcrew-loop-watch", daemon=True).start()


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


class _Watch:
    keep: Callable[[Any, int], None] = staticmethod(_keep_watch)


def watch_with(keep: Callable[[Any, int], None]) -> None:
    """Watch in another way: `keep` gets the loop and its thread's id, in a thread of its own."""
    _Watch.keep = staticmethod(keep)


def _follow(beat: threading.Event, thread: int, started: float) -> None:
    # Only a request that was alone can be named: with several in flight nobody knows whose step it was.
    alone: RequestTrace | None = next(iter(in_flight)) if len(in_flight) == 1 else None
    seen: dict[str, float] = {}
    first = looked = time.perf_counter()
    while not beat.is_set() and looked - started < _GIVE_UP_S:
        site, _ = find_site(sys._current_frames().get(thread))
        beat.wait(_SAMPLE_S)
        now = time.perf_counter()
        seen[site] = seen.get(site, 0.0) + now - looked
        looked = now
    if alone is None or looked <= first:
        return
    # What went before the first look is taken to have been like the rest, as nobody saw it.
    stretched = 1000 * (looked - started) / (looked - first)
    for site, seconds in seen.items():
        if site:
            note_blocked(alone, site, seconds * stretched)
