"""Processes end with all their descendants, and see no environment but their own."""

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from perfcrew.errors import InstrumentError, UserError
from tools.command_line import fill
from tools.process import probe, run, start
from tools.process_tree import end_leftovers, list_process
from tools.sandbox import Sandbox, available

ENVIRONMENT = {"PATH": os.defpath}
FAMILY = """
import os, sys, time
folder = sys.argv[1]
def note(name):
    open(os.path.join(folder, name), "w").write(str(os.getpid()))
if os.fork() == 0:
    note("child")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note("daemon")
            open(os.path.join(folder, "beat"), "w").close()
            while True:
                os.utime(os.path.join(folder, "beat"))
                time.sleep(0.02)
        os._exit(0)
    time.sleep(600)
note("parent")
sys.stdout.write("ready\\n"); sys.stdout.flush()
time.sleep(600 if sys.argv[2] == "stay" else 0.2)
"""
"""A parent, a child, and a daemon that left session and group: its beat shows whether it lives, in any namespace."""


def _sandboxes(folder: Path) -> list[Sandbox]:
    everywhere = tuple(Path(path) for path in {sys.base_prefix, sys.prefix})
    loose = Sandbox(writable=(folder,), confined=False)
    return [loose, Sandbox(writable=(folder,), readable=everywhere)] if available() else [loose]


async def _beats(folder: Path) -> bool:
    """Whether the daemon still lives, told by its beat."""
    before = (folder / "beat").stat().st_mtime_ns
    await asyncio.sleep(0.15)
    return (folder / "beat").stat().st_mtime_ns != before


async def _stops(folder: Path) -> bool:
    """Whether the daemon ends without our help; the kernel passes a death on from parent to child in its time."""
    latest = folder / "beat"
    seen, since = latest.stat().st_mtime_ns, time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while time.monotonic() - since < 1:
                await asyncio.sleep(0.05)
                if (now := latest.stat().st_mtime_ns) != seen:
                    seen, since = now, time.monotonic()
            return True
    return False


async def _until(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.01)


async def test_output_code_and_stdin(tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('oops'); print(sys.stdin.read()[::-1]); sys.exit(3)"
    done = await run([sys.executable, "-c", script], cwd=tmp_path, environment=ENVIRONMENT, timeout=30, stdin=b"abc")
    assert (done.code, done.out, done.err, done.timed_out, done.ok) == (3, "cba\n", "oops", False, False)
    assert done.last_line == "oops"


async def test_environment_is_only_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    for sandbox in [None, *_sandboxes(tmp_path)]:
        done = await run(
            ["/usr/bin/env"], cwd=tmp_path, environment={"PATH": os.defpath, "A": "1"}, timeout=30, sandbox=sandbox
        )
        names = {line.split("=")[0] for line in done.out.splitlines()}
        assert names - {"PERFCREW_PROCESS", "PWD"} == {"PATH", "A"}


async def test_long_output_keeps_both_ends(tmp_path: Path) -> None:
    script = "print('first'); print('x' * 1_000_000); print('last')"
    done = await run([sys.executable, "-c", script], cwd=tmp_path, environment=ENVIRONMENT, timeout=30, cap=1000)
    assert done.out.startswith("first\n") and done.out.endswith("last\n")
    assert len(done.out) < 1100
    left_out = int(done.out.split("[")[1].split()[0])
    assert left_out == len("first\nlast\n") + 1_000_001 - 1000


async def test_short_output_is_whole_at_any_cap(tmp_path: Path) -> None:
    for size in (9, 10, 11):
        script = f"import sys; sys.stdout.write('ab' * {size // 2} + 'c' * {size % 2})"
        done = await run([sys.executable, "-c", script], cwd=tmp_path, environment=ENVIRONMENT, timeout=30, cap=10)
        assert ("left out" in done.out) == (size > 10)


async def test_timeout_kills_child_and_daemon(tmp_path: Path) -> None:
    for number, sandbox in enumerate(_sandboxes(tmp_path)):
        folder = tmp_path / str(number)
        folder.mkdir()
        argv = [sys.executable, "-c", FAMILY, str(folder), "stay"]
        for timeout in (2, 30):
            done = await run(argv, cwd=tmp_path, environment=ENVIRONMENT, timeout=timeout, sandbox=sandbox)
            if done.out:
                break
        assert done.timed_out and done.out == "ready\n"
        assert not await _beats(folder)


async def test_end_of_the_parent_kills_the_daemon(tmp_path: Path) -> None:
    for number, sandbox in enumerate(_sandboxes(tmp_path)):
        folder = tmp_path / str(number)
        folder.mkdir()
        argv = [sys.executable, "-c", FAMILY, str(folder), "leave"]
        done = await run(argv, cwd=tmp_path, environment=ENVIRONMENT, timeout=60, sandbox=sandbox)
        assert done.ok and done.seconds < 30
        assert not await _beats(folder)


async def test_cancelled_means_killed(tmp_path: Path) -> None:
    for number, sandbox in enumerate(_sandboxes(tmp_path)):
        folder = tmp_path / str(number)
        folder.mkdir()
        argv = [sys.executable, "-c", FAMILY, str(folder), "stay"]
        task = asyncio.create_task(run(argv, cwd=tmp_path, environment=ENVIRONMENT, timeout=60, sandbox=sandbox))
        await _until(folder / "beat")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await _beats(folder)


async def test_stop_kills_all_and_pids_are_the_programs(tmp_path: Path) -> None:
    for number, sandbox in enumerate(_sandboxes(tmp_path)):
        folder = tmp_path / str(number)
        folder.mkdir()
        register = folder / "register"
        process = await start(
            [sys.executable, "-c", FAMILY, str(folder), "stay"],
            cwd=tmp_path, environment=ENVIRONMENT, log=folder / "log", sandbox=sandbox, register=register,
        )  # fmt: skip
        await _until(folder / "beat")
        await _until(folder / "parent")
        assert process.alive and list(register.iterdir())
        commands = {psutil.Process(pid).cmdline()[1] for pid in process.pids()}
        assert commands == {"-c"} and len(process.pids()) >= 2
        await process.stop(grace_s=0.3)
        assert not process.alive and not list(register.iterdir())
        assert not await _beats(folder)
        assert (folder / "log").read_text() == "ready\n"


async def test_stop_lets_a_polite_program_end_itself(tmp_path: Path) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))\n"
        "print('up', flush=True)\ntime.sleep(600)"
    )
    for number, sandbox in enumerate(_sandboxes(tmp_path)):
        log = tmp_path / f"log{number}"
        process = await start(
            [sys.executable, "-c", script], cwd=tmp_path, environment=ENVIRONMENT, log=log, sandbox=sandbox
        )
        async with asyncio.timeout(20):
            while "up" not in log.read_text():
                await asyncio.sleep(0.01)
        await process.stop(grace_s=20)
        assert log.read_text() == "up\nbye\n"
        assert process.code == 0


async def test_cores_are_set_from_the_first_instruction(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    script = "import os; print(sorted(os.sched_getaffinity(0)))"
    process = await start(
        [sys.executable, "-c", script],
        cwd=tmp_path, environment=ENVIRONMENT, log=tmp_path / "log", cpus=frozenset({core}),
    )  # fmt: skip
    assert await process.wait() == 0
    await process.stop()
    assert json.loads((tmp_path / "log").read_text()) == [core]


async def test_sandboxed_server_dies_with_its_parent(tmp_path: Path) -> None:
    """Kill -9 of perfcrew: the tree goes down without anyone's help."""
    if not available():
        pytest.skip("bubblewrap does not work here")
    script = f"""
import asyncio, sys
from pathlib import Path
from tools.process import start
from tools.sandbox import Sandbox
async def main():
    folder = Path({str(tmp_path)!r})
    sandbox = Sandbox(writable=(folder,), readable=(Path(sys.base_prefix), Path(sys.prefix)))
    await start([sys.executable, "-c", {FAMILY!r}, str(folder), "stay"], cwd=folder,
                environment={{"PATH": "/usr/bin:/bin"}}, log=folder / "log", sandbox=sandbox)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    parent = await start([sys.executable, "-c", script], cwd=root, environment=ENVIRONMENT, log=tmp_path / "outer")
    await _until(tmp_path / "beat")
    os.kill(parent.pid, 9)
    await parent.wait()
    assert await _stops(tmp_path)
    await parent.stop(grace_s=0)


async def test_leftovers_are_ended_once_and_strangers_spared(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    left = await start(argv, cwd=tmp_path, environment=ENVIRONMENT, log=tmp_path / "log", register=tmp_path / "list")
    stranger = await start(argv, cwd=tmp_path, environment=ENVIRONMENT, log=tmp_path / "log")
    listed = list_process(tmp_path / "list", stranger.pid, "")
    assert listed is not None
    entry = json.loads(listed.read_text())
    listed.write_text(json.dumps({**entry, "identity": entry["identity"] + "0"}))
    try:
        assert end_leftovers(tmp_path / "list") == 1
        assert await asyncio.wait_for(left.wait(), 10) == -9
        assert stranger.alive and not list((tmp_path / "list").iterdir())
        assert end_leftovers(tmp_path / "list") == 0
    finally:
        await stranger.stop(grace_s=0)


async def test_what_cannot_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="no-such-program: can't be started"):
        await run(["no-such-program"], cwd=tmp_path, environment=ENVIRONMENT, timeout=5)
    with pytest.raises(InstrumentError, match="folder to run true in is missing"):
        await run(["true"], cwd=tmp_path / "nowhere", environment=ENVIRONMENT, timeout=5)
    assert probe(["no-such-program"])[0] == 127


async def test_many_at_once_do_not_mix(tmp_path: Path) -> None:
    async def echo(number: int) -> str:
        done = await run(["echo", str(number)], cwd=tmp_path, environment=ENVIRONMENT, timeout=30)
        return done.out.strip()

    assert await asyncio.gather(*(echo(number) for number in range(20))) == [str(number) for number in range(20)]


def test_fill() -> None:
    known = {"env": "/e v", "port": "80"}
    assert fill("{env}/bin/python -p {port} 'a b' {{port}} ${HOME}", known) == [
        "/e v/bin/python", "-p", "80", "a b", "{port}", "${HOME}",
    ]  # fmt: skip
    assert fill("""python -c 'print({1: 2}, {})'""", known) == ["python", "-c", "print({1: 2}, {})"]
    with pytest.raises(UserError, match=r"unknown placeholder \{prt\}; known here: \{env\}, \{port\}"):
        fill("serve {prt}", known)
    with pytest.raises(UserError, match="No closing quotation"):
        fill("echo 'x", known)
    with pytest.raises(UserError, match="empty"):
        fill("  ", known)
