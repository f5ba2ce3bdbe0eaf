"""Trees of processes: killing all of one, finding what left its group, ending what a crash left behind."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

MARK = "PERFCREW_PROCESS"
"""Environment variable by which the descendants of an unsandboxed process are found again."""


def kill_tree(pid: int, mark: str) -> None:
    """Kill a group and, where they carry a mark, the processes that left it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    # A few turns, since a process may fork while we look.
    for _ in range(10 if mark else 0):
        found = list(_marked(mark))
        for stray in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(stray, signal.SIGKILL)
        if not found:
            return


def _marked(mark: str) -> Iterator[int]:
    needle = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if needle in (folder / "environ").read_bytes().split(b"\0") and is_running(int(folder.name)):
                yield int(folder.name)


def _stat(pid: int) -> list[str]:
    # The command name, in brackets, may itself hold blanks and brackets.
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended: one that only waits for its parent to notice does not count."""
    try:
        return _stat(pid)[0] not in "ZX"
    except OSError:
        return False


def list_process(register: Path, pid: int, mark: str) -> Path | None:
    """List a process in a folder, so that `end_leftovers` finds it there; None if it has ended already."""
    register.mkdir(parents=True, exist_ok=True)
    path = register / f"{pid}.json"
    try:
        path.write_text(json.dumps({"pid": pid, "identity": _identity(pid), "mark": mark}))
    except OSError:
        return None
    return path


def _identity(pid: int) -> str:
    """What tells this process from a later one with the same number: boot and start time in clock ticks."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{_stat(pid)[19]}"


def end_leftovers(register: Path) -> int:
    """Kill what a crashed run left behind, and say how many that were. A number that was reused is left alone."""
    ended = 0
    for path in sorted(register.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            entry = json.loads(path.read_text())
            pid, mark = int(entry["pid"]), str(entry["mark"])
            strays = list(_marked(mark)) if mark else []
            with contextlib.suppress(OSError):
                if _identity(pid) == entry["identity"] and is_running(pid):
                    os.killpg(pid, signal.SIGKILL)
                    ended += 1
            for stray in strays:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(stray, signal.SIGKILL)
        path.unlink(missing_ok=True)
    return ended
