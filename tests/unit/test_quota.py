"""What uses too much is ended whole. Every attempt here is bounded by itself, should the limit not hold."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.process import run, start
from tools.process_tree import Tree
from tools.quota import Quota, Watch, take_stock
from tools.sandbox import Sandbox, available, standard_quota

ENVIRONMENT = {"PATH": os.defpath}
PYTHONS = (Path(sys.base_prefix), Path(sys.prefix))
CONFINED = [pytest.param(True, marks=pytest.mark.skipif(not available(), reason="no bubblewrap")), False]
MANY = """
import os, time
for _ in range(40):
    if os.fork() == 0:
        os.setsid()
        time.sleep(20)
        os._exit(0)
print("all alive", flush=True)
time.sleep(20)
"""
THREADS = """
import threading, time
for _ in range(40):
    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
time.sleep(20)
"""
HOARD = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        hoard = os.urandom(24 << 20)
        time.sleep(20)
        os._exit(0)
time.sleep(20)
"""
FILL = """
import time
files = [open("fill" + str(number), "wb") for number in range(4)]
for file in files:
    file.write(b"x" * (3 << 20)); file.flush()
AFTER
time.sleep(20)
"""
DELETE = "import os\nfor number in range(4): os.unlink('fill' + str(number))"


@pytest.fixture
def quiet_disk() -> Iterator[Path]:
    """A folder on a file system that nobody else fills or empties meanwhile."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def _sandbox(folder: Path, confined: bool, **quota: int) -> Sandbox:
    return Sandbox((folder,), PYTHONS, confined=confined, quota=replace(standard_quota(), **quota))


@pytest.mark.parametrize("confined", CONFINED)
@pytest.mark.parametrize(
    ("script", "quota", "told"),
    [
        (MANY, {"tasks": 20}, "it ran over 20 processes and threads at once"),
        (THREADS, {"tasks": 20}, "it ran over 20 processes and threads at once"),
        (HOARD, {"memory_bytes": 64 << 20}, "it used over 64 MiB of memory"),
        (FILL.replace("AFTER", ""), {"disk_bytes": 8 << 20}, "it wrote over 8 MiB to disk"),
        (FILL.replace("AFTER", DELETE), {"disk_bytes": 8 << 20}, "it wrote over 8 MiB to disk"),
    ],
)  # fmt: skip
async def test_too_much_is_ended_whole(
    quiet_disk: Path, script: str, quota: dict[str, int], told: str, confined: bool
) -> None:
    sandbox = _sandbox(quiet_disk, confined, **quota)
    argv = [sys.executable, "-c", script]
    done = await run(argv, cwd=quiet_disk, environment=ENVIRONMENT, timeout=15, sandbox=sandbox)
    # Where we are not root the kernel itself refuses the last fork, which Python tells as an error.
    refused = "BlockingIOError" in done.err or "can't start new thread" in done.err
    assert refused or (told in done.exceeded and told in done.last_line), done
    assert not done.ok and not done.timed_out


async def test_a_server_that_uses_too_much_says_so_in_its_log(quiet_disk: Path) -> None:
    sandbox = _sandbox(quiet_disk, False, disk_bytes=8 << 20)
    process = await start(
        [sys.executable, "-c", FILL.replace("AFTER", "")],
        cwd=quiet_disk, environment=ENVIRONMENT, log=quiet_disk / "log", sandbox=sandbox,
    )  # fmt: skip
    try:
        assert await asyncio.wait_for(process.wait(), 15) != 0
        await asyncio.sleep(0)
        assert process.exceeded == "it wrote over 8 MiB to disk"
    finally:
        await process.stop(grace_s=0)
    assert f"[perfcrew ended it: {process.exceeded}]" in (quiet_disk / "log").read_text()


async def test_what_lay_there_before_is_not_counted(quiet_disk: Path) -> None:
    (quiet_disk / "data").write_bytes(b"x" * (2 << 20))
    stock = take_stock((quiet_disk,))
    for began, least, most in ((time.time() + 2, 0, 0), (time.time() - 5, 2 << 20, 3 << 20)):
        watch = Watch(Tree(os.getpid()), Quota(10_000, 1 << 50, 1 << 20), (quiet_disk,), replace(stock, time=began))
        assert least <= watch._written(()) <= most


def test_what_is_written_before_the_first_look_counts(quiet_disk: Path) -> None:
    stock = take_stock((quiet_disk,))
    (quiet_disk / "data").write_bytes(b"x" * (3 << 20))
    watch = Watch(Tree(os.getpid()), Quota(10_000, 1 << 50, 1 << 20), (quiet_disk,), stock)
    assert watch.look() == "it wrote over 1 MiB to disk"


@pytest.mark.skipif(not available(), reason="no bubblewrap")
async def test_a_look_costs_next_to_nothing(tmp_path: Path) -> None:
    process = await start(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        cwd=tmp_path, environment=ENVIRONMENT, log=tmp_path / "log", sandbox=_sandbox(tmp_path, True),
    )  # fmt: skip
    try:
        assert process._watch is not None
        opened = []
        for _ in range(20):
            before = time.thread_time()
            assert process._watch.look() == ""
            opened.append(time.thread_time() - before)
        # CPU time, and the least of many: a busy machine does not change it.
        assert min(opened) < 0.005
    finally:
        await process.stop(grace_s=0)
