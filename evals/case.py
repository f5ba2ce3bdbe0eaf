"""A case: an application with known bottlenecks, how to measure it, what must stay true, and a recorded run."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from perfcrew.errors import UserError
from tools.process import run

CASES = Path(__file__).parent / "cases"
DATE = "2000-01-01T00:00:00Z"
"""The scratch repository's only commit has a fixed date, so that its hash is the same everywhere."""


@dataclass(frozen=True)
class Case:
    """A case on disk."""

    name: str
    folder: Path

    @property
    def app(self) -> Path:
        """The application, as its users would have it."""
        return self.folder / "app"

    @property
    def config(self) -> Path:
        """Its description, outside of what the coder can read."""
        return self.folder / "perfcrew.toml"

    @property
    def recording(self) -> Path:
        """The recorded run's journal."""
        return self.folder / "recording.jsonl"

    @property
    def expectation(self) -> Path:
        """What a replay of the recording must give."""
        return self.folder / "expected.json"

    @property
    def context(self) -> Path:
        """The request in the user's words, in the recipe's template."""
        return self.folder / "context.md"


def list_cases() -> list[Case]:
    """All cases that come with perfcrew."""
    return [Case(path.parent.name, path.parent) for path in sorted(CASES.glob("*/perfcrew.toml"))]


def find_case(name: str) -> Case:
    """A case by name.

    Raises:
        UserError: there is no such case.
    """
    for case in list_cases():
        if case.name == name:
            return case
    known = ", ".join(case.name for case in list_cases()) or "none"
    raise UserError(f"there is no case {name!r}; there is: {known}")


async def make_repository(case: Case, folder: Path) -> Path:
    """Copy a case's application into a new git repository with one commit.

    Raises:
        UserError: the folder exists and is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty; name a folder that does not exist yet")
    shutil.copytree(
        case.app, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache", "*.db")
    )
    identity = {"NAME": "perfcrew demo", "EMAIL": "perfcrew@localhost", "DATE": DATE}
    environment = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in identity.items()}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-q", "-m", f"The {case.name} application"],
    ):
        done = await run(["git", *command], cwd=folder, environment=environment, timeout=60)
        if done.code != 0:
            raise UserError(f"git {command[0]} failed in {folder}: {done.err.strip()}")
    return folder
