"""The runs on this machine: where each lives, and what is needed to go on with it."""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from perfcrew.artifacts import write_whole
from perfcrew.errors import UserError
from perfcrew.records.base import Record
from perfcrew.records.report import Report
from perfcrew.records.survey import Comparison, Survey
from perfcrew.records.work import RecipeRequest

MANIFEST, REPORT, SURVEY, COMPARISON = "run.json", "report.json", "measure.json", "compare.json"
LOCK = "run.lock"
R = TypeVar("R", bound=Record)


class Manifest(Record):
    """How a run was started."""

    run_id: str
    repo: Path
    config: Path | None
    base: str
    request: RecipeRequest
    replay: Path | None
    frozen: bool
    strict: bool = False
    live_model: bool = False
    answered_by: str
    quick: bool
    kind: Literal["run", "measure", "compare"] = "run"


def new_run_id() -> str:
    """A name that sorts by time and can be typed."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def run_folder(home: Path, run_id: str, *, new: bool = False) -> Path:
    """Where a run lives.

    Raises:
        UserError: there is no such run.
    """
    folder = home / "runs" / run_id
    if new:
        folder.mkdir(parents=True)
    elif not (folder / MANIFEST).exists():
        known = ", ".join(path.name for path in list_runs(home)) or "none"
        raise UserError(f"there is no run {run_id!r} in {home / 'runs'}; there is: {known}")
    return folder


def list_runs(home: Path, most: int = 20) -> list[Path]:
    """Folders of the newest runs, newest first."""
    folders = (path for path in (home / "runs").glob("*") if (path / MANIFEST).exists())
    return sorted(folders, reverse=True)[:most]


@contextmanager
def claim_run(folder: Path) -> Iterator[None]:
    """Be the only process at work on a run. The kernel frees it when its holder dies, however it dies.

    Raises:
        UserError: another process is at work on it.
    """
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"run {folder.name}: another process is at work on it; wait for it or end it") from None
        yield


def is_at_work(folder: Path) -> bool:
    """Whether a process is at work on a run, without disturbing one that begins: the kernel's list of locks tells."""
    try:
        inode = (folder / LOCK).stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(line.split()[1] == "FLOCK" and line.split()[5].endswith(f":{inode}") for line in locks.splitlines()
               if "->" not in line)  # fmt: skip


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write down how the run was started."""
    write_whole(folder / MANIFEST, manifest.model_dump_json(indent=1).encode())


def read_manifest(folder: Path) -> Manifest:
    """How the run was started.

    Raises:
        UserError: the manifest is from another version, or damaged.
    """
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(f"{folder / MANIFEST}: not readable by this version ({error.error_count()} problems)") from None


def read_report(folder: Path) -> Report:
    """The report of a finished run.

    Raises:
        UserError: the run has none yet, or it was damaged.
    """
    return read_result(folder, REPORT, Report)


def read_result(folder: Path, name: str, kind: type[R]) -> R:
    """What a finished run, measure or comparison gave.

    Raises:
        UserError: it has not finished, or the file was damaged.
    """
    path = folder / name
    if not path.exists():
        go_on = f"; go on with it: perfcrew run --resume {folder.name}" if kind is Report else ""
        raise UserError(f"run {folder.name} has no report yet{go_on}")
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(f"{path}: not a report: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def read_any(folder: Path) -> Report | Survey | Comparison:
    """What is in a finished folder, whatever kind it is.

    Raises:
        UserError: it has not finished, or it was damaged.
    """
    match read_manifest(folder).kind:
        case "measure":
            return read_result(folder, SURVEY, Survey)
        case "compare":
            return read_result(folder, COMPARISON, Comparison)
    return read_result(folder, REPORT, Report)


def write_result(folder: Path, name: str, result: Record) -> None:
    """Write a result, whole or not at all."""
    write_whole(folder / name, result.model_dump_json(by_alias=True, indent=1).encode())


def finished_runs(home: Path) -> Iterator[tuple[Manifest, Report | None]]:
    """Runs of the recipe with their reports where they have one, newest first."""
    for folder in list_runs(home):
        manifest = read_manifest(folder)
        if manifest.kind == "run":
            yield manifest, read_report(folder) if (folder / REPORT).exists() else None


def is_finished(folder: Path) -> bool:
    """Whether a run, measure or comparison has its result."""
    return any((folder / name).exists() for name in (REPORT, SURVEY, COMPARISON))
