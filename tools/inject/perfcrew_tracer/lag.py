"""Measures how late an event loop is while it serves, and which stacks held it.

A thread gives the loop a callback every 10 ms and notes how long after its due time it ran. Times that were due while
the loop was held are counted as well, each with what was left of the wait, so that the figures are those of somebody
who comes at any moment. When a callback is late, the thread looks at the loop's stack every 5 ms until it runs.
"""

# pathlib would be one more module that the target did not ask for.
# ruff: noqa: PTH110, PTH123, PTH208

from __future__ import annotations

import os
import sys
import threading
import time
from types import FrameType, ModuleType
from typing import Any

from .loop import watch_loop, watch_with
from .record import guarded, write_line

_BEAT_S = 0.01
_LATE_S = 0.02
_LOOK_S = 0.005
_GIVE_UP_S = 30.0
_FLUSH_S = 0.25
_DEEPEST = 80
_THREADS = 64


def install() -> dict[str, Any]:
    """Watch loops for lag; gives the import hooks that find those which no request of ours announces."""
    watch_with(_monitor)
    return {"asyncio.base_events": _hook_loops}


def _hook_loops(module: ModuleType) -> None:
    run = module.BaseEventLoop.run_forever

    def running(self: Any) -> Any:
        guarded(watch_loop, self)
        return run(self)

    module.BaseEventLoop.run_forever = running


def _monitor(running: Any, thread: int) -> None:
    due = flushed = time.perf_counter()
    lags: list[list[float]] = []
    while not running.is_closed():
        due += _BEAT_S
        time.sleep(max(due - time.perf_counter(), 0.0))
        ran = guarded(_beat, running, thread, due)
        if ran is None:
            # The loop stands still between two runs: nobody waits for it.
            time.sleep(_BEAT_S)
            due = time.perf_counter()
            continue
        while due <= ran:
            lags.append([round(_wall(due), 4), round((ran - due) * 1000, 3)])
            due += _BEAT_S
        due -= _BEAT_S
        if ran - flushed > _FLUSH_S:
            write_line({"kind": "lag", "beats": lags})
            flushed, lags = ran, []


def _wall(moment: float) -> float:
    return time.time() - time.perf_counter() + moment


def _beat(running: Any, thread: int, due: float) -> float | None:
    """When the callback ran; None for a loop that does not run."""
    ran: list[float] = []
    beat = threading.Event()

    def sign() -> None:
        ran.append(time.perf_counter())
        beat.set()

    try:
        running.call_soon_threadsafe(sign)
    except RuntimeError:
        return None
    if not beat.wait(_LATE_S):
        _follow(running, thread, beat, due)
    return ran[0] if ran else None


def _clocks(thread: int, tasks: dict[str, bool]) -> tuple[float, float, float]:
    """Seconds: now, of work in the loop's thread, of work in all threads that were there when the stretch began.

    Work is time on a core or in the queue for one: a busy machine must not make what computes look as if it waited.
    `tasks` are the threads, with whether they are the loop's; where the system shows none, CPU time has to do.
    """
    if not tasks:
        own = time.clock_gettime(time.pthread_getcpuclockid(thread)) if hasattr(time, "pthread_getcpuclockid") else 0.0
        return time.perf_counter(), own, time.process_time()
    work = [(_work(task), own) for task, own in tasks.items()]
    return time.perf_counter(), sum(spent for spent, own in work if own), sum(spent for spent, _ in work)


def _work(task: str) -> float:
    try:
        # Nanoseconds on a core and in its queue: see proc-schedstat in the kernel's documentation.
        with open(f"/proc/self/task/{task}/schedstat") as file:
            running, queued, _ = file.read().split()
    except (OSError, ValueError):
        return 0.0
    return (int(running) + int(queued)) / 1e9


def _follow(running: Any, thread: int, beat: threading.Event, due: float) -> None:
    stacks: dict[str, list[float]] = {}
    tasks = _list_tasks(thread)
    first = before = _clocks(thread, tasks)
    while not beat.is_set() and before[0] - due < _GIVE_UP_S and running.is_running():
        stack = _collapse(sys._current_frames().get(thread))
        beat.wait(_LOOK_S)
        now = _clocks(thread, tasks)
        spent = stacks.setdefault(stack, [0.0, 0.0, 0.0])
        for which in range(3):
            spent[which] += (now[which] - before[which]) * 1000
        before = now
    if before[0] > first[0]:
        # What went before the first look is taken to have been like the rest, as nobody saw it.
        stretched = (before[0] - due) / (before[0] - first[0])
        looks = [[stack, *(round(ms * stretched, 2) for ms in spent)] for stack, spent in stacks.items() if stack]
        write_line({"kind": "held", "at": _wall(due), "ms": round((before[0] - due) * 1000, 2), "looks": looks})


def _list_tasks(thread: int) -> dict[str, bool]:
    own = {str(one.native_id) for one in threading.enumerate() if one.ident == thread}
    try:
        tasks = os.listdir("/proc/self/task")
    except OSError:
        return {}
    readable = os.path.exists("/proc/self/schedstat") and own.intersection(tasks)
    return {task: task in own for task in tasks[:_THREADS]} if readable else {}


def _collapse(frame: FrameType | None) -> str:
    """A stack in the form of profilers: `function (file:line);…`, outermost first."""
    frames: list[str] = []
    while frame is not None and len(frames) < _DEEPEST:
        code = frame.f_code
        frames.append(f"{getattr(code, 'co_qualname', code.co_name)} ({code.co_filename}:{frame.f_lineno})")
        frame = frame.f_back
    return ";".join(reversed(frames))
