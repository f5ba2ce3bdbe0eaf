"""Recordings of a running Python server by py-spy, from outside."""

import os
import shutil
import sysconfig
from pathlib import Path

from perfcrew.errors import InstrumentError
from tools.process import run
from tools.workspace import Workspace

RATE = 100
"""Samples a second: a loss of 1 to 9 % in our trials, and 200 samples in 2 s."""
START_S = 30.0


def find_spy() -> str:
    """The program, beside perfcrew or on the path.

    Raises:
        InstrumentError: there is none.
    """
    beside = Path(sysconfig.get_path("scripts")) / "py-spy"
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise InstrumentError("py-spy is not installed beside perfcrew; remedy: pip install py-spy")
    return found


async def record_stacks(workspace: Workspace, program: str, pid: int, mode: str, seconds: float) -> str:
    """Record a process and its children, and give the collapsed stacks.

    Args:
        workspace: the run.
        program: py-spy.
        pid: the outermost Python process.
        mode: its switches: `--gil` for who holds the interpreter, `--idle` for all threads, `--native` for C frames.
        seconds: how long; whole seconds, as py-spy takes no fractions.

    Raises:
        InstrumentError: it may not attach, or failed.
    """
    output = workspace.folder / "profiles" / f"{pid}{mode.replace(' ', '')}.raw"
    output.parent.mkdir(parents=True, exist_ok=True)
    argv = [
        program, "record", "--pid", str(pid), "--format", "raw", "--output", str(output),
        "--duration", str(max(1, round(seconds))), "--rate", str(RATE), "--subprocesses", "--full-filenames",
        *mode.split(),
    ]  # fmt: skip
    for _ in range(2):
        done = await run(argv, cwd=workspace.folder, environment={"PATH": os.defpath}, timeout=seconds + START_S)
        said = f"{done.err}\n{done.out}"
        # Now and then it overlooks a process that it finds when asked again.
        if "No python processes found" not in said:
            break
    if not done.ok or not output.exists():
        if "ermission" in said:
            raise InstrumentError(
                "py-spy may not attach to the server; remedy: run perfcrew as root, or "
                "`sysctl kernel.yama.ptrace_scope=0` (Docker: --cap-add SYS_PTRACE)"
            )
        raise InstrumentError(f"py-spy failed: {done.last_line}")
    text = output.read_text(encoding="utf-8", errors="replace")
    output.unlink()
    return text
