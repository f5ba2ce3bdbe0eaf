"""`perfcrew eval`: recorded sessions, replayed and graded."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from evals.case import find_case, list_cases
from evals.replay import Grade, replay
from perfcrew.entry.context import read_context
from perfcrew.entry.drive import run_to_end
from perfcrew.errors import UserError
from perfcrew.report.figures import clean
from perfcrew.settings import load_settings


def run_eval(given: Mapping[str, Any]) -> int:
    """Replay the named cases, or all that have a recording; exit code 1 where one fails."""
    cases = [find_case(name) for name in given["cases"]] or [case for case in list_cases() if case.recording.is_file()]
    if not cases:
        raise UserError("no case has a recording")
    grades = []
    with tempfile.TemporaryDirectory(prefix="perfcrew-eval-") as home:
        settings = load_settings(home=Path(home))
        for case in cases:
            options = {name: given[name] for name in ("strict", "live_tools", "record")}
            request = read_context(case.context) if case.context.is_file() else None
            work = replay(case, settings=settings, watch=lambda _: None, request=request, **options)
            _, grade = run_to_end(work)
            grades.append(grade)
            _tell(grade)
            if given["record"] and grade.passed:
                click.echo(f"  recorded: {case.recording}", err=True)
    _write([grade.model_dump(mode="json") for grade in grades], given["json_file"])
    return 0 if all(grade.passed for grade in grades) else 1


def _tell(grade: Grade) -> None:
    click.echo(f"{grade.case}: {'passed' if grade.passed else 'failed'}", err=True)
    for check in grade.checks:
        detail = clean(check.detail).replace("\n", "\n    ")
        click.echo(f"  {'✓' if check.passed else '✗'} {check.name}: {detail}", err=True)
    for line in grade.drift:
        click.echo(f"  drift: {clean(line)}", err=True)


def _write(grades: list[dict[str, Any]], json_file: Path | None) -> None:
    if json_file is None:
        return
    text = json.dumps(grades, indent=1)
    if str(json_file) == "-":
        click.echo(text)
    else:
        json_file.write_text(text + "\n", encoding="utf-8")
