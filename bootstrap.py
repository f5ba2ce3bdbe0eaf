"""Everything on a bare machine with one command: python3 bootstrap.py demo | test | run … | any perfcrew command.

Needs Python 3.11 or newer and nothing else: uv is taken from the PATH, or installed by pip into .bootstrap/ here.
What is installed goes to .venv/ and .bootstrap/ in this folder; nothing outside it is changed.
"""

import os
import re
import shutil
import subprocess  # noqa: TID251  runs before anything of perfcrew is installed
import sys
from pathlib import Path

FLOOR = (3, 11)
UV_FLOOR = (0, 9)
HERE = Path(__file__).resolve().parent
SIDE_BY_SIDE = ["-n", "3", "--dist", "loadscope", "--no-loadscope-reorder"]
"""Tests mostly wait: for servers, browsers, load that takes its time. Three workers keep two cores busy."""
CHECKS = (["ruff", "check", "."], ["mypy"], ["lint-imports"], ["pytest", *SIDE_BY_SIDE])
WANTED = {"git": "git", "bwrap": "bubblewrap", "initdb": "postgresql"}
"""Program → Debian package. What is missing is reported; the instruments that need it say so as well."""


def main(words):
    """Set up and hand over; the exit code."""
    if sys.version_info < FLOOR:
        return fail(f"perfcrew needs Python {FLOOR[0]}.{FLOOR[1]} or newer; this is {sys.version.split()[0]}")
    if not words or words[0] in ("-h", "--help"):
        print((__doc__ or "").strip())
        return 0
    uv = find_uv() or install_uv()
    if uv is None:
        return fail("uv is missing and pip could not install it: apt install python3-pip, or install uv yourself")
    report_missing()
    return run_checks(uv, words[1:]) if words[0] == "test" else run_perfcrew(uv, words)


def fail(line, code=3):
    """Say what went wrong in one line; the exit code."""
    sys.stderr.write(f"bootstrap: {line}\n")
    return code


def find_uv():
    """A uv that works and is new enough, from the PATH or from an earlier call; None without one."""
    for path in (shutil.which("uv"), shutil.which("uv", path=str(HERE / ".bootstrap" / "bin"))):
        if path:
            done = subprocess.run([path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            found = re.search(rb"(\d+)\.(\d+)", done.stdout)
            if done.returncode == 0 and found and tuple(map(int, found.groups())) >= UV_FLOOR:
                return path
    return None


def install_uv():
    """Install uv into .bootstrap/, which works on externally managed Pythons as well."""
    folder = str(HERE / ".bootstrap")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--root-user-action",
        "ignore",
        "--target",
        folder,
        "uv>=0.13",
    ]
    return find_uv() if call(command) == 0 else None


def call(command, **options):
    """Say a command and run it; its exit code."""
    sys.stderr.write(f"+ {' '.join(command)}\n")
    sys.stderr.flush()
    return subprocess.run(command, check=False, **options).returncode


def report_missing():
    """Say which Debian packages would make more of the instruments work."""
    present = {name for name in WANTED if shutil.which(name)}
    if any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        present.add("initdb")
    missing = [package for name, package in WANTED.items() if name not in present]
    if missing:
        sys.stderr.write(f"bootstrap: not everything can be measured yet: apt install {' '.join(missing)}\n")


def sync(uv, *options):
    """Make .venv what uv.lock says; the exit code. Tried with uv's own certificates, then with the system's."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_PROJECT_ENVIRONMENT=".venv")  # noqa: TID251
    environment.pop("VIRTUAL_ENV", None)
    command = [uv, "sync", "--frozen", "--quiet", "--python", sys.executable, *options]
    code = call(command, env=environment, cwd=HERE)
    return code and call([*command, "--system-certs"], env=environment, cwd=HERE)


def run_perfcrew(uv, words):
    """Install what perfcrew needs to run, and become it."""
    if sync(uv, "--no-dev", "--inexact") != 0:
        return fail("the dependencies could not be installed; see above")
    perfcrew = str(HERE / ".venv" / "bin" / "perfcrew")
    return os.execv(perfcrew, [perfcrew, *words])


def run_checks(uv, words):
    """Lint, types, imports, tests; the first that fails ends it. Further words go to pytest."""
    if sync(uv) != 0:
        return fail("the dependencies could not be installed; see above")
    for check in CHECKS:
        more = words if check[0] == "pytest" else []
        code = call([str(HERE / ".venv" / "bin" / check[0]), *check[1:], *more], cwd=HERE)
        if code != 0:
            return fail(f"{check[0]} failed", code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
