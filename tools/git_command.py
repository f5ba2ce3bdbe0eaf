"""How git is called: no configuration but the repository's own, no hooks, no prompts, no locks taken for reading."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from perfcrew.errors import InstrumentError
from tools.process import run
from tools.process_output import Finished

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    # Without it even `status` refreshes the index of the user's repository.
    "GIT_OPTIONAL_LOCKS": "0",
}
SAFE = {
    "core.hooksPath": "/dev/null", "core.fsmonitor": "false", "core.autocrlf": "false", "core.quotePath": "false",
    "core.logAllRefUpdates": "false", "commit.gpgSign": "false", "gc.auto": "0", "maintenance.auto": "false",
    "fetch.writeCommitGraph": "false", "filter.lfs.required": "false", "protocol.file.allow": "always",
    "submodule.recurse": "false", "diff.ignoreSubmodules": "all",
}  # fmt: skip
OPTIONS = tuple(word for key, value in SAFE.items() for word in ("-c", f"{key}={value}"))


async def try_git(
    words: Sequence[str], cwd: Path, extra: Mapping[str, str] | None = None, timeout: float = 600
) -> Finished:
    """Run git, whatever comes of it."""
    argv = ["git", *OPTIONS, *words]
    return await run(argv, cwd=cwd, environment={**ENVIRONMENT, **(extra or {})}, timeout=timeout, cap=50_000_000)


async def git(words: Sequence[str], cwd: Path, extra: Mapping[str, str] | None = None) -> str:
    """Run git and give its output.

    Raises:
        InstrumentError: it failed; the line ends with its last words.
    """
    done = await try_git(words, cwd, extra)
    if not done.ok:
        raise InstrumentError(f"git {words[0]} failed in {cwd}: {done.last_line}")
    return done.out


def split_paths(output: str) -> list[str]:
    """Paths from git's output with `-z`."""
    return [path for path in output.split("\0") if path]
