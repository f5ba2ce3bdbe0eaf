"""What a confined program can't do, tried by real programs."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from tools import sandbox as module
from tools.process import run, start
from tools.process_output import Finished
from tools.sandbox import Sandbox, available, describe, wrap

ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8"}
PYTHONS = (Path(sys.base_prefix), Path(sys.prefix))
needs_bwrap = pytest.mark.skipif(not available(), reason="bubblewrap does not work on this machine")


async def _python(script: str, cwd: Path, sandbox: Sandbox) -> Finished:
    return await run([sys.executable, "-c", script], cwd=cwd, environment=ENVIRONMENT, timeout=60, sandbox=sandbox)


TRY_TO_WRITE = """
import json, os, sys
out = {}
for path in sys.argv[1:]:
    try:
        with open(path, "a") as file: file.write("x")
        out[path] = "written"
    except OSError as error:
        out[path] = type(error).__name__
print(json.dumps(out))
"""


@needs_bwrap
async def test_only_listed_folders_can_be_written(tmp_path: Path) -> None:
    work, other = tmp_path / "work", tmp_path / "other"
    for folder in (work, other, work / ".git"):
        folder.mkdir()
    (other / "seen").write_text("content")
    (work / "link").symlink_to(other)
    targets = [
        work / "mine", work / ".git" / "config", work / "link" / "x", other / "x",
        Path("/etc/x"), Path("/usr/x"), Path("/x"), Path.home() / "x",
    ]  # fmt: skip
    sandbox = Sandbox(writable=(work,), readable=(other, *PYTHONS))
    argv = [sys.executable, "-c", TRY_TO_WRITE, *map(str, targets)]
    done = await run(argv, cwd=work, environment=ENVIRONMENT, timeout=60, sandbox=sandbox)
    result = json.loads(done.out)
    assert [path for path, outcome in result.items() if outcome == "written"] == [str(work / "mine")]
    assert (work / "mine").read_text() == "x"
    assert list(tmp_path.rglob("x")) == []
    assert (other / "seen").read_text() == "content"


WRITABLE_SETTINGS = """
import os
for top in ("/proc", "/sys"):
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if not (folder == "/proc" and (name.isdigit() or "self" in name))]
        for name in files:
            path = os.path.join(folder, name)
            # Asked, never tried: a real write would change the machine that runs this test.
            if os.access(path, os.W_OK, effective_ids=True) and not os.path.islink(path):
                print(path)
"""


@needs_bwrap
async def test_settings_of_the_machine_are_read_only_even_for_root(tmp_path: Path) -> None:
    done = await _python(WRITABLE_SETTINGS, tmp_path, Sandbox(writable=(tmp_path,), readable=PYTHONS))
    assert done.ok, done.err
    assert done.out == ""


@needs_bwrap
async def test_worktree_marker_can_be_neither_changed_nor_moved(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /somewhere\n")
    script = """
import os
for attempt in (lambda: os.unlink(".git"), lambda: os.rename(".git", "x")):
    try:
        attempt()
    except OSError:
        print("refused")
"""
    done = await _python(script, tmp_path, Sandbox(writable=(tmp_path,), readable=PYTHONS))
    assert done.out == "refused\nrefused\n"
    assert (tmp_path / ".git").read_text() == "gitdir: /somewhere\n"


@needs_bwrap
async def test_home_secrets_sockets_and_processes_are_hidden(tmp_path: Path) -> None:
    secret = Path("/etc/shadow")
    script = f"""
import json, os
from pathlib import Path
home = Path({str(Path.home())!r})
print(json.dumps({{
    "home": sorted(p.name for p in home.iterdir()) if home.exists() else [],
    "shadow": Path({str(secret)!r}).exists(),
    "run": os.listdir("/run"), "tmp": os.listdir("/tmp"),
    "pids": [int(p) for p in os.listdir("/proc") if p.isdigit()],
    "others": os.path.exists("/proc/{os.getpid()}/cmdline") and "pytest" in open("/proc/{os.getpid()}/cmdline").read(),
}}))
"""
    beside = tmp_path / "beside"
    beside.mkdir()
    (tmp_path / "key").write_text("sk-secret")
    done = await _python(script, beside, Sandbox(writable=(beside,), readable=PYTHONS))
    seen = json.loads(done.out)
    runtimes = {
        part
        for python in PYTHONS
        if python.is_relative_to(Path.home())
        for part in python.relative_to(Path.home()).parts[:1]
    }
    assert set(seen["home"]) <= runtimes
    assert not seen["shadow"] and seen["run"] == [] and not seen["others"]
    assert len(seen["pids"]) <= 4
    listed = {path.parts[2] for path in (tmp_path, *PYTHONS) if path.is_relative_to("/tmp")}
    assert set(seen["tmp"]) <= listed, "only the way to what was listed"
    peek = await _python(f"open({str(tmp_path / 'key')!r})", beside, Sandbox(writable=(beside,), readable=PYTHONS))
    assert "FileNotFoundError" in peek.err


@needs_bwrap
async def test_masked_paths_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "perfcrew.toml").write_text("held out")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "check.py").write_text("held out")
    script = """
import os
try: print(repr(open('perfcrew.toml').read()))
except OSError as error: print('refused')
print(os.listdir('hidden'))
try: open('perfcrew.toml', 'w').write('mine')
except OSError as error: print('refused')
"""
    masked = (tmp_path / "perfcrew.toml", tmp_path / "hidden", tmp_path / "absent")
    done = await _python(script, tmp_path, Sandbox(writable=(tmp_path,), readable=PYTHONS, masked=masked))
    assert "held out" not in done.out and "[]" in done.out
    assert (tmp_path / "perfcrew.toml").read_text() == "held out"
    assert not (tmp_path / "absent").exists()


CONNECT = """
import socket, sys
ours = socket.create_server(("127.0.0.1", 0))
socket.create_connection(ours.getsockname(), timeout=5)
print("own loopback")
for host, port in (("127.0.0.1", int(sys.argv[1])), ("192.0.2.1", 80)):
    try:
        socket.create_connection((host, port), timeout=1)
        print("reached", host)
    except OSError:
        print("refused", host)
"""


@needs_bwrap
async def test_network_none_is_loopback_of_its_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as host:
        port = str(host.getsockname()[1])
        for network, answer in (("none", "refused 127.0.0.1"), ("host", "reached 127.0.0.1")):
            sandbox = Sandbox(writable=(tmp_path,), readable=PYTHONS, network=network)  # type: ignore[arg-type]
            argv = [sys.executable, "-c", CONNECT, port]
            done = await run(argv, cwd=tmp_path, environment=ENVIRONMENT, timeout=60, sandbox=sandbox)
            assert done.out.splitlines()[:2] == ["own loopback", answer]
            if network == "none":
                assert done.out.splitlines()[2] == "refused 192.0.2.1"


@needs_bwrap
async def test_more_narrow_rules_win(tmp_path: Path) -> None:
    (tmp_path / "env" / "data").mkdir(parents=True)
    script = "open('env/data/x', 'w')\ntry: open('env/x', 'w')\nexcept OSError: print('refused')"
    sandbox = Sandbox(writable=(tmp_path / "env" / "data",), readable=(tmp_path, *PYTHONS))
    done = await _python(script, tmp_path, sandbox)
    assert done.out == "refused\n" and (tmp_path / "env" / "data" / "x").exists()


@needs_bwrap
async def test_root_is_nobody_inside(tmp_path: Path) -> None:
    done = await _python("import os; print(os.getuid())", tmp_path, Sandbox(writable=(tmp_path,), readable=PYTHONS))
    assert int(done.out) == (os.getuid() or module.NOBODY)


async def test_limits_hold_with_and_without_confinement(tmp_path: Path) -> None:
    script = """
import resource
print(resource.getrlimit(resource.RLIMIT_CORE)[1], resource.getrlimit(resource.RLIMIT_FSIZE)[1])
try:
    hoard = bytearray(1 << 45)
except MemoryError:
    print("refused")
"""
    for confined in (True, False):
        sandbox = Sandbox(writable=(tmp_path,), readable=PYTHONS, confined=confined)
        done = await _python(script, tmp_path, sandbox)
        assert done.out.splitlines() == [f"0 {module.FILE_BYTES}", "refused"]


@needs_bwrap
async def test_a_profiler_outside_sees_the_program(tmp_path: Path) -> None:
    """What py-spy needs: the program's own process id as seen from here, with its memory maps readable."""
    sandbox = Sandbox(writable=(tmp_path,), readable=PYTHONS)
    process = await start(
        [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
        cwd=tmp_path, environment=ENVIRONMENT, log=tmp_path / "log", sandbox=sandbox,
    )  # fmt: skip
    try:
        while not (tmp_path / "log").read_text():
            assert process.alive
        (pid,) = process.pids()
        spy = await run(
            [str(Path(sys.executable).parent / "py-spy"), "dump", "--pid", str(pid)],
            cwd=tmp_path, environment=ENVIRONMENT, timeout=60,
        )  # fmt: skip
        assert spy.code == 0, spy.err
        assert "<module>" in spy.out
    finally:
        await process.stop(grace_s=0)


def test_without_bubblewrap_it_says_so_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bwrap", lambda: None)
    available.cache_clear()
    try:
        assert not available()
        assert describe().startswith("NO SANDBOX: bwrap is not installed")
        words = wrap(["echo", "hello"], Sandbox(writable=()))
        assert words[-2:] == ["echo", "hello"] and not any("bwrap" in word for word in words)
    finally:
        available.cache_clear()


@needs_bwrap
def test_description_names_the_means_and_the_gaps() -> None:
    line = describe()
    assert line.startswith("bubblewrap ") and "\n" not in line
    assert line.endswith("with the declared services only")
    shared = describe(shared="other hosts send the load")
    assert shared.endswith("NOT cut off, they share the machine's network: other hosts send the load")
    off = describe(confined=False)
    assert off.startswith("NO SANDBOX: it was switched off (PERFCREW_SANDBOX=off)")
    assert "home folder, keys" in off and "reach the network" in off
