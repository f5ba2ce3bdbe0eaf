"""The sandbox around everything that a model may have written: bubblewrap with limits, detected by running it.

Inside, only system folders, the interpreter and what is listed can be seen at all; home folders, keys, our own
environment, the sockets below /run and other processes can't. Only what is listed as writable can be written.
"""

import os
import resource
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tools.process import probe
from tools.quota import LOOK_S, Quota
from tools.run_network import Network, RunNetwork, problem

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store")
"""Folders of programs: readable in every sandbox."""
ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "group", "host.conf",
    "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "magic", "mime.types",
    "nsswitch.conf", "os-release", "passwd", "pip.conf", "pki", "postgresql-common", "protocols", "resolv.conf",
    "services", "ssl", "timezone",
)  # fmt: skip
"""What programs need of /etc. The rest of it holds secrets, such as /etc/shadow."""
VISIBLE = (*SYSTEM, *(f"/etc/{name}" for name in ETC), "/proc", "/dev", "/sys")
"""What every sandbox shows, if in part."""
KERNEL = ("acpi", "asound", "bus", "fs", "irq", "mtrr", "pressure", "scsi", "sys", "sysrq-trigger")
"""What below /proc concerns the whole machine: read-only, also for root."""
SCRATCH_BYTES = 2 << 30
"""Size of the private /tmp and of /dev/shm."""
FILE_BYTES = 8 << 30
"""Largest file that a process may write."""
PROCESSES = 1024
"""Processes and threads of one sandbox at once."""
DISK_BYTES = 8 << 30
"""What one sandbox may write and keep; never over half of what is free."""
LOOSE_PROCESSES = 4096
"""Without bubblewrap the kernel counts everything that the user runs, browser and all."""
_COUNTED = {True: "; for root the kernel itself counts no processes", False: ""}
NOBODY = 65534
"""User inside when perfcrew runs as root: some servers refuse to be root, and every system knows this one."""


@dataclass(frozen=True)
class Sandbox:
    """What a confined process may touch.

    Attributes:
        writable: folders and files it may change. Their own `.git` stays read-only.
        readable: what it may read beside system folders.
        network: `none` is loopback of its own, `host` the machine's network, else that of a run.
        masked: paths below the others that must look empty.
        confined: False where the user has switched the sandbox off: limits only.
        quota: what its processes may use together.
    """

    writable: tuple[Path, ...]
    readable: tuple[Path, ...] = ()
    network: Network = "none"
    masked: tuple[Path, ...] = ()
    confined: bool = True
    quota: Quota = field(default_factory=lambda: standard_quota())

    @property
    def contained(self) -> bool:
        """Whether bubblewrap holds it, so that no descendant outlives it."""
        return self.confined and available()

    def wrap(self, argv: Sequence[str], report: int | None = None) -> list[str]:
        """The command line that runs `argv` inside; the first process there is told to the descriptor `report`.

        Raises:
            InstrumentError: the run's network has ended.
        """
        if not self.contained:
            return [*_dies_with_us(), *_limits(self.quota, LOOSE_PROCESSES), *argv]
        # Parents come before what lies below them; at equal paths the later, narrower rule holds.
        mounts = sorted(self._mounts(), key=lambda mount: len(Path(mount[-1]).parts))
        enter = self.network.enter() if isinstance(self.network, RunNetwork) else ()
        network = ("--unshare-net",) if self.network == "none" else ()
        options = [word for mount in mounts for word in mount]
        told = () if report is None else ("--info-fd", str(report))
        limits = _limits(self.quota, self.quota.tasks)
        bwrap = [*_namespaces(), *told, *network, *_system(), *self._hosts(), *options, "--remount-ro", "/", "--"]
        return [*enter, *bwrap, *limits, *argv]

    def _hosts(self) -> tuple[str, ...]:
        named = self.network.hosts if isinstance(self.network, RunNetwork) else None
        return () if named is None else ("--ro-bind", str(named), "/etc/hosts")

    def _mounts(self) -> Iterator[tuple[str, ...]]:
        for path in self.readable:
            if path.exists() and not _is_system(path):
                yield "--ro-bind", str(path), str(path)
        for path in self.writable:
            yield "--bind", str(path), str(path)
            if (path / ".git").exists():
                yield "--ro-bind", str(path / ".git"), str(path / ".git")
        for path in self.masked:
            if path.is_dir():
                yield "--tmpfs", str(path)
            elif path.exists():
                yield "--ro-bind", "/dev/null", str(path)


def wrap(argv: Sequence[str], sandbox: Sandbox) -> list[str]:
    """The command line that runs `argv` inside a sandbox."""
    return sandbox.wrap(argv)


def standard_quota() -> Quota:
    """What a sandbox may use of this machine: three quarters of its memory, `PROCESSES`, `DISK_BYTES`."""
    return Quota(tasks=PROCESSES, memory_bytes=_memory() * 3 // 4, disk_bytes=DISK_BYTES)


@cache
def available() -> bool:
    """Whether bubblewrap works here, found out by running it once with all that we ask of it."""
    return sys.platform == "linux" and _bwrap() is not None and _failure() == ""


def describe(*, confined: bool = True, shared: str = "") -> str:
    """One line: what protects here, and what it does not protect from.

    Args:
        confined: False where the user has switched the sandbox off.
        shared: why running applications share the machine's network; empty where they don't.
    """
    limits = f"limits on memory, processes, disk and time (looked at every {LOOK_S:g} s{_COUNTED[os.getuid() == 0]})"
    if confined and available():
        return (
            f"{probe([str(_bwrap()), '--version'])[1]}: files read-only except worktree and data, home hidden, private "
            f"/tmp and process list, {limits}; model-written commands have no network but a loopback of their own; "
            f"running applications {_apart(shared)}"
        )
    missing = "bwrap is not installed (Debian: apt-get install bubblewrap)" if _bwrap() is None else _failure()
    reason = missing if confined else "it was switched off (PERFCREW_SANDBOX=off)"
    return (
        f"NO SANDBOX: {reason}. Model-written code runs as you: it can read your home folder, keys and other files, "
        f"write wherever you can, and reach the network. Only these hold: {limits}, an environment without your "
        "variables, and the end of all processes that it starts, but for one that leaves its group with no environment"
    )


def why_shared(network: RunNetwork | None, load_workers: str = "") -> str:
    """Why applications share the machine's network; empty where they have one of their own."""
    if network is not None:
        return ""
    return "other hosts send the load" if load_workers else problem() or "none was made"


def _apart(shared: str) -> str:
    if not shared:
        return "and tests with a database server have one without other networks, with the declared services only"
    return f"and tests with a database server are NOT cut off, they share the machine's network: {shared}"


@cache
def _bwrap() -> str | None:
    return shutil.which("bwrap")


@cache
def _failure() -> str:
    code, output = probe([*_namespaces(), "--unshare-net", *_system(), "--remount-ro", "/", "--", "true"])
    return "" if code == 0 else f"bwrap does not work here ({output.splitlines()[0] if output else f'exit {code}'})"


@cache
def _namespaces() -> tuple[str, ...]:
    user = str(os.getuid() or NOBODY)
    group = str(os.getgid() or NOBODY)
    return (
        _bwrap() or "bwrap", "--die-with-parent", "--unshare-user", "--uid", user, "--gid", group, "--unshare-pid",
        "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    )  # fmt: skip


@cache
def _system() -> tuple[str, ...]:
    words: list[str] = []
    for name in SYSTEM:
        path = Path(name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), name]
        elif path.exists():
            words += ["--ro-bind", name, name]
    for name in ETC:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    # Runtimes size their pools and caches from these two.
    for name in ("/sys/devices/system/cpu", "/sys/fs/cgroup"):
        words += ["--ro-bind-try", name, name]
    words += ["--proc", "/proc", "--dev", "/dev"]
    # Where perfcrew runs as root the kernel's settings belong to "us", inside as well as outside.
    for name in KERNEL:
        words += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    sized = ("--size", str(SCRATCH_BYTES)) if _has_size() else ()
    for name in ("/tmp", "/dev/shm", "/var/tmp", "/run"):
        words += [*sized, "--tmpfs", name]
    return tuple(words)


@cache
def _has_size() -> bool:
    # bubblewrap before 0.7 can't limit a tmpfs; the kernel's own limit is half the memory.
    return "--size" in probe([_bwrap() or "bwrap", "--help"])[1]


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(name) for name in SYSTEM)


@cache
def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def _limits(quota: Quota, tasks: int) -> tuple[str, ...]:
    """The kernel's part: what a single process may use, and where we are not root how many there may be."""
    program = next((name for name in ("/usr/bin/prlimit", "/bin/prlimit") if Path(name).exists()), None)
    if program is None:
        return ()
    wanted = {
        # Address space is no measure of memory: V8 and the JVM reserve terabytes. Writable private memory is.
        "data": (resource.RLIMIT_DATA, quota.memory_bytes),
        "fsize": (resource.RLIMIT_FSIZE, min(FILE_BYTES, quota.disk_bytes)),
        "nproc": (resource.RLIMIT_NPROC, tasks),
        "core": (resource.RLIMIT_CORE, 0),
    }
    words = []
    for name, (kind, value) in wanted.items():
        hard = resource.getrlimit(kind)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        words.append(f"--{name}={limit}:{limit}")
    return (program, *words, "--")


@cache
def _dies_with_us() -> tuple[str, ...]:
    program = next((name for name in ("/usr/bin/setpriv", "/bin/setpriv") if Path(name).exists()), None)
    if program is None or probe([program, "--pdeathsig", "KILL", "true"])[0] != 0:
        return ()
    return (program, "--pdeathsig", "KILL", "--")
