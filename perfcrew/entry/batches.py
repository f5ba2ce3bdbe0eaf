"""`perfcrew batch`: several targets, one after the other, a JSON line for each."""

import difflib
import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console

from graphs.engine import run
from perfcrew.entry.drive import drive, exit_code, settings_of
from perfcrew.entry.recipes import options_of
from perfcrew.entry.screen import Screen
from perfcrew.entry.shelf import write_pages
from perfcrew.errors import UserError
from perfcrew.records.base import Record
from perfcrew.records.report import Report
from perfcrew.records.work import Variation


class Entry(Record):
    """One target of a batch. Paths are relative to the batch's file."""

    path: str
    config: str | None = None
    context: str | None = None
    variation: Variation = "full"
    security: bool = False
    replay: str | None = None
    model: str | None = None
    quick: bool = False


class Result(Record):
    """What became of one target."""

    path: str
    exit_code: int
    run_id: str | None = None
    outcome: str = "incomplete"
    goals_met: bool = False
    reason: str
    branch: str | None = None
    report: str | None = None
    """The page's path."""


def run_batch(given: Mapping[str, Any]) -> int:
    """Run all targets; the worst of their exit codes."""
    file: Path = given["file"]
    entries = read_entries(file)
    results = _open_results(given["out"])
    worst = 0
    for number, entry in enumerate(entries, 1):
        click.echo(f"{number} of {len(entries)}: {entry.path}", err=True)
        result = _run_entry(entry, file.resolve().parent, given)
        line = result.model_dump_json()
        click.echo(line)
        if results is not None:
            with results.open("a", encoding="utf-8") as lines:
                lines.write(line + "\n")
        worst = max(worst, result.exit_code)
    return worst


def _open_results(out: Path | None) -> Path | None:
    if out is None:
        return None
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.jsonl").write_text("", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: can't be written: {error.strerror}") from None
    return out / "results.jsonl"


def _run_entry(entry: Entry, folder: Path, given: Mapping[str, Any]) -> Result:
    try:
        settings = settings_of({**given, "model": entry.model or given.get("model")})
        values: dict[str, Any] = entry.model_dump() | {
            name: folder / value if (value := getattr(entry, name)) else None
            for name in ("config", "context", "replay")
        }
        options = options_of({**values, "path": folder / entry.path}, settings)
        screen = Screen(Console(stderr=True, highlight=False))
        report, home = drive(lambda watch: run(options, settings=settings, watch=watch), options, settings, screen)
        page = write_pages(home, report)
        if given["out"] is not None:
            page = _copy(page, report, given["out"])
    except UserError as error:
        return Result(path=entry.path, exit_code=2, reason=str(error))
    except Exception as error:  # noqa: BLE001  one failed target must not stop the others
        notes = " ".join(getattr(error, "__notes__", ()))
        return Result(path=entry.path, exit_code=3, reason=f"{type(error).__name__}: {error} {notes}".strip())
    return Result(
        path=entry.path,
        exit_code=exit_code(report),
        run_id=report.run_id,
        outcome=report.outcome,
        goals_met=report.goals_met,
        reason=report.reason,
        branch=report.branch,
        report=str(page),
    )


def _copy(page: Path, report: Report, out: Path) -> Path:
    """Copy a report's page and JSON into the batch's folder; the copied page's path."""
    (out / f"{report.run_id}.json").write_text(report.model_dump_json(by_alias=True, indent=1), encoding="utf-8")
    return Path(shutil.copyfile(page, out / f"{report.run_id}.html"))


def read_entries(file: Path) -> list[Entry]:
    """The targets of a batch file.

    Raises:
        UserError: one line for the first mistake, with its place.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: can't be read: {error}") from None
    entries = [_entry(value, f"{file}, {where}") for where, value in _split(file, text)]
    if not entries:
        raise UserError(f"{file}: expected at least one target, got none")
    return entries


def _split(file: Path, text: str) -> list[tuple[str, Any]]:
    try:
        if file.suffix == ".toml":
            found = tomllib.loads(text).get("target", [])
            return [(f"target {number}", value) for number, value in enumerate(found, 1)]
        if text.lstrip().startswith("["):
            return [(f"entry {number}", value) for number, value in enumerate(json.loads(text), 1)]
        lines = enumerate(text.splitlines(), 1)
        return [(f"line {number}", _decode(line, f"{file}, line {number}")) for number, line in lines if line.strip()]
    except ValueError as error:
        kind = "TOML" if file.suffix == ".toml" else "JSON"
        raise UserError(f"{file}: not valid {kind}: {error}") from None


def _decode(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not valid JSON: {error}") from None


def _entry(value: Any, where: str) -> Entry:
    try:
        return Entry.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
        key = str(problem["loc"][-1]) if problem["loc"] else "entry"
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, Entry.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(Entry.model_fields)}"
            raise UserError(f"{where}, {key}: no such key; {hint}") from None
        raise UserError(f"{where}, {key}: {problem['msg'][0].lower()}{problem['msg'][1:]}") from None
