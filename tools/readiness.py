"""Which instruments work on this machine: each is tried for real, quickly, and says what to install where it fails."""

import asyncio
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from perfcrew.artifacts import Artifacts
from perfcrew.errors import PerfcrewError
from perfcrew.records.base import Record
from perfcrew.records.target import Database, Settings, Target, Workload
from tools import mysql, postgres
from tools.allocations import compile_counter
from tools.browser import open_browser
from tools.load import split_cores
from tools.node_programs import find_program, run_program
from tools.process import probe, run, start
from tools.promtool import check_rules
from tools.run_network import network_here, problem
from tools.sandbox import available, describe
from tools.spy import find_spy
from tools.workspace import Workspace

TRY_S = 30.0
OLDEST_GIT, OLDEST_NODE = (2, 34), 18
FREE_GB = 2.0
SANDBOX = "bubblewrap"
_VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")


class Readiness(Record):
    """What was found about one instrument."""

    name: str
    ready: bool
    purpose: str
    """What needs it."""
    detail: str
    """Its version where it is ready; else what is wrong, and the remedy."""
    needed: bool = False
    """Nothing works without it."""


class _Missing(PerfcrewError):
    """It does not work: the line says why, and what to do."""


Try = Callable[[Workspace], Awaitable[str]]
"""Tries an instrument and gives its version."""


async def try_all(home: Path, programs: dict[str, Path]) -> list[Readiness]:
    """Try every instrument, several at a time.

    Args:
        home: perfcrew's folder, which must be writable.
        programs: what the user named: see `Workspace.programs`.
    """
    with tempfile.TemporaryDirectory(prefix="perfcrew-doctor-") as scratch:
        workspace = _make_workspace(Path(scratch), programs)
        # Two at a time: on a small machine servers that start side by side time each other out.
        slots = asyncio.Semaphore(2)
        return list(await asyncio.gather(*(_examine(slots, workspace, *one) for one in _INSTRUMENTS), _home(home)))


def _make_workspace(scratch: Path, programs: dict[str, Path], engine: str = "") -> Workspace:
    database = {"database": Database.model_validate({"engine": engine})} if engine else {}
    target = Target(
        target=Settings(name="doctor", start="true"), workload=(Workload(name="none", kind="command", command="true"),),
        **database,
    )  # fmt: skip
    folder = scratch / (engine or "run")
    return Workspace(
        run_id="doctor", folder=folder, home=scratch / "home", target=target, base_commit="",
        artifacts=Artifacts(folder / "artifacts"), environment="", programs=programs,
        network=network_here() if available() else None,
    )  # fmt: skip


async def _examine(
    slots: asyncio.Semaphore, workspace: Workspace, name: str, purpose: str, needed: bool, attempt: Try
) -> Readiness:
    async with slots:
        try:
            async with asyncio.timeout(TRY_S):
                return Readiness(name=name, ready=True, purpose=purpose, detail=await attempt(workspace), needed=needed)
        except TimeoutError:
            problem = f"gave no answer within {TRY_S:.0f} s"
        except (PerfcrewError, OSError) as error:
            problem = (str(error).splitlines() or [type(error).__name__])[0]
    return Readiness(name=name, ready=False, purpose=purpose, detail=problem, needed=needed)


async def _home(home: Path) -> Readiness:
    purpose = "runs, environments of targets"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home):
            free = shutil.disk_usage(home).free / 1e9
    except OSError as error:
        problem = f"{home} can't be written ({error.strerror}): set PERFCREW_HOME"
        return Readiness(name="home", ready=False, purpose=purpose, detail=problem, needed=True)
    if free < FREE_GB:
        problem = f"{home}: only {free:.1f} GB free; copies of data and environments want {FREE_GB:g}"
        return Readiness(name="home", ready=False, purpose=purpose, detail=problem)
    return Readiness(name="home", ready=True, purpose=purpose, detail=f"{home}, {free:.0f} GB free", needed=True)


async def _try_python(_: Workspace) -> str:
    return f"{sys.version.split()[0]}, {sys.executable}"


async def _try_cores(_: Workspace) -> str:
    arms, load = split_cores()
    if arms & load:
        raise _Missing("one core only: the load generator shares it with the application, so figures are rough")
    return f"{len(arms)} for the application, {len(load)} for the load"


async def _try_git(_: Workspace) -> str:
    said = await _version("git", "apt install git")
    if _numbers(said)[:2] < OLDEST_GIT:
        raise _Missing(f"{said} is too old: install git {'.'.join(map(str, OLDEST_GIT))} or newer")
    return said


async def _try_uv(_: Workspace) -> str:
    return await _version("uv", "pip install uv")


async def _try_node(_: Workspace) -> str:
    said = await _version("node", "apt install nodejs npm")
    if _numbers(said)[0] < OLDEST_NODE:
        raise _Missing(f"node {said} is too old: install Node {OLDEST_NODE} or newer")
    return said


async def _version(name: str, remedy: str) -> str:
    beside = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside) if beside.exists() else None)
    if found is None:
        raise _Missing(f"missing: {remedy}")
    code, output = await asyncio.to_thread(probe, [found, "--version"])
    first = (output.splitlines() or [""])[0]
    if code != 0:
        raise _Missing(f"{found} does not run ({first[:80]}): {remedy}")
    return first[:60]


def _numbers(said: str) -> tuple[int, ...]:
    found = _VERSION.search(said)
    return tuple(int(part) for part in found[0].split(".")) if found else (0,)


async def _try_bwrap(_: Workspace) -> str:
    if not await asyncio.to_thread(available):
        said = describe()
        raise _Missing(said if "install" in said else f"{said}; apt install bubblewrap")
    return describe(shared=await asyncio.to_thread(problem))


async def _try_spy(workspace: Workspace) -> str:
    """Attach to a child of ours, as to a server."""
    program = find_spy()
    workspace.logs.mkdir(parents=True, exist_ok=True)
    child = await start(
        [sys.executable, "-c", "import time; time.sleep(60)"], cwd=workspace.folder, environment={},
        log=workspace.logs / "child.log", register=workspace.processes,
    )  # fmt: skip
    try:
        end = time.monotonic() + 5
        while True:
            done = await run(
                [program, "dump", "--pid", str(child.pids()[0])], cwd=workspace.folder, environment={}, timeout=10
            )
            if done.ok or time.monotonic() > end:
                break
            # The interpreter may not have begun yet.
            await asyncio.sleep(0.2)
    finally:
        await child.stop(grace_s=0)
    if not done.ok:
        raise _Missing(
            f"may not attach ({done.last_line[:100]}): run as the same user with ptrace allowed "
            "(sysctl kernel.yama.ptrace_scope=0, or CAP_SYS_PTRACE in a container)"
        )
    return await _version("py-spy", "pip install py-spy")


def _importing(module: str, remedy: str) -> Try:
    """Import a library in a child: what it patches or prints stays there."""

    async def attempt(workspace: Workspace) -> str:
        code = f"import {module}, importlib.metadata as m; print(m.version({module.partition('.')[0]!r}))"
        done = await run([sys.executable, "-P", "-c", code], cwd=workspace.home.parent, environment={}, timeout=TRY_S)
        if not done.ok:
            raise _Missing(f"does not import ({done.last_line[:100]}): {remedy}")
        return done.out.strip()

    return attempt


async def _try_postgres(workspace: Workspace) -> str:
    own = _make_workspace(workspace.home.parent, {}, "postgresql")
    programs = postgres.find_programs()
    try:
        await postgres.find_server(own)
    finally:
        await postgres.stop_server(own)
    _, output = await asyncio.to_thread(probe, [str(programs / "postgres"), "--version"])
    return f"PostgreSQL {'.'.join(map(str, _numbers(output)))}, started and stopped"


async def _try_mysql(workspace: Workspace) -> str:
    own = _make_workspace(workspace.home.parent, {}, "mysql")
    try:
        await mysql.find_server(own)
    finally:
        await mysql.stop_server(own)
    _, output = await asyncio.to_thread(probe, [mysql.find_program("mariadbd"), "--version"])
    return f"MariaDB {'.'.join(map(str, _numbers(output.partition('Ver')[2])))}, started and stopped"


async def _try_browser(workspace: Workspace) -> str:
    async with open_browser(workspace) as browser:
        return f"Chromium {browser.version}, started and stopped"


def _node_program(name: str) -> Try:
    async def attempt(workspace: Workspace) -> str:
        program = await find_program(workspace, name)
        done = await run_program(workspace, program, ["--version"], workspace.folder / name, timeout=TRY_S)
        if not done.ok:
            raise _Missing(f"does not run ({done.last_line[:100]}): npm install --global {name}")
        return (done.out.strip().splitlines() or ["runs"])[0]

    return attempt


async def _try_promtool(_: Workspace) -> str:
    wrong = await check_rules("groups: []\n")
    if wrong is None:
        raise _Missing("not installed (Debian: apt-get install prometheus)")
    if wrong:
        raise _Missing(f"does not work: {wrong[0]}")
    return "accepts an empty file of rules"


async def _try_counter(workspace: Workspace) -> str:
    return f"compiled {(await compile_counter(workspace)).name}"


_INSTRUMENTS: tuple[tuple[str, str, bool, Try], ...] = (
    ("python", "perfcrew itself", True, _try_python),
    ("cores", "steady figures", False, _try_cores),
    ("git", "source and branches", True, _try_git),
    ("uv", "environments of Python targets", True, _try_uv),
    ("load", "load over HTTP", True, _importing("httptools", "install perfcrew again")),
    ("locust", "locustfiles of yours, load from other hosts", False, _importing("locust", "pip install locust")),
    ("py-spy", "CPU profiles of Python", False, _try_spy),
    (SANDBOX, "confining the target and what agents write", False, _try_bwrap),
    ("postgresql", "PostgreSQL targets, without a server of yours", False, _try_postgres),
    ("mariadb", "MySQL and MariaDB targets, without a server of yours", False, _try_mysql),
    ("compiler", "allocations a request", False, _try_counter),
    ("node", "Node targets, Lighthouse, bundles", False, _try_node),
    ("chromium", "web vitals", False, _try_browser),
    ("lighthouse", "Lighthouse's audits", False, _node_program("lighthouse")),
    ("source-map-explorer", "bundles by module", False, _node_program("source-map-explorer")),
    ("promtool", "checking alert rules", False, _try_promtool),
)
