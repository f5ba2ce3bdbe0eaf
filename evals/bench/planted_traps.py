"""Planted traps and honest wins as files, and a scripted coder that carries them out under the recipe's own gates."""

import re
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.crew import Crew, Limits
from graphs.implementation import implement
from graphs.state import start
from graphs.workplace import prepare
from perfcrew.llm.base import Listener, Reply, Request, ToolCall, Usage
from perfcrew.llm.budget import Budget
from perfcrew.llm.journal import Journal
from perfcrew.records.base import Record
from perfcrew.records.work import Change, Plan, PlanStep, RecipeRequest
from tests.e2e.planted import APPS, opened
from tools.screening import UNTOUCHED

APPLICATIONS = {"traps": "till", "honest": "till", "dashboard_traps": "dashboard"}
"""Folder of planted changes to the application that they are changes of."""
_TITLE = re.compile(r"^- title: (.+)$", re.MULTILINE)


class Edit(Record):
    """A piece of a file that is replaced; without `old` a new file."""

    path: str
    old: str = ""
    new: str


class Planted(Record):
    """A change to the application that a coder may come up with."""

    name: str
    about: str
    gate: str = ""
    """Name of the check that must refuse it, or `duel: METRIC`; empty for an honest win, which must be kept."""
    workload: str
    metric: str
    edit: tuple[Edit, ...]


def load_planted(kind: str) -> list[Planted]:
    """The changes of a folder beside the applications: one of `APPLICATIONS`."""
    paths = sorted((APPS / kind).glob("*.toml"))
    return [Planted(name=path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))) for path in paths]


class ScriptedCoder:
    """A model that carries out the planted change whose name is the step's title, and then says that it is done.

    What the editing tools refuse it tries once more through a command, as a coder might that wants to have its way.
    """

    def __init__(self, planted: Sequence[Planted]) -> None:
        self._planted = {each.name: each for each in planted}

    async def complete(self, request: Request, listener: Listener | None = None) -> Reply:  # noqa: ARG002
        """The next turn of the conversation."""
        brief = request.messages[0].blocks[0].text  # type: ignore[union-attr]
        title = _TITLE.search(brief)
        assert title is not None
        planted = self._planted[title[1]]
        turn = sum(message.role == "assistant" for message in request.messages)
        if turn == 0:
            return _reply(*(_edit(number, each) for number, each in enumerate(planted.edit)))
        refused = [each for each in planted.edit if each.path.startswith("tests/")]
        if turn == 1 and refused:
            return _reply(*(_force(number, each) for number, each in enumerate(refused)))
        answer = {"title": planted.name, "body": planted.about}
        return _reply(ToolCall(id=f"answer-{turn}", name="answer", arguments=answer))

    async def aclose(self) -> None:
        """There is nothing to close."""


def _reply(*calls: ToolCall) -> Reply:
    return Reply(model="scripted", blocks=calls, stop="tool", usage=Usage(input_tokens=1, output_tokens=1))


def _edit(number: int, edit: Edit) -> ToolCall:
    if edit.old:
        arguments = {"path": edit.path, "old": edit.old, "new": edit.new}
        return ToolCall(id=f"edit-{number}", name="replace_text", arguments=arguments)
    return ToolCall(id=f"edit-{number}", name="write_file", arguments={"path": edit.path, "content": edit.new})


def _force(number: int, edit: Edit) -> ToolCall:
    script = (
        "import pathlib, sys; path = pathlib.Path(sys.argv[1]); "
        "path.write_text(path.read_text().replace(sys.argv[2], sys.argv[3]))"
    )
    command = ["python3", "-c", script, edit.path, edit.old, edit.new]
    return ToolCall(id=f"force-{number}", name="run_command", arguments={"command": command})


@asynccontextmanager
async def open_crew(
    planted: Sequence[Planted], folder: Path, *, quick: bool, application: str = "till"
) -> AsyncIterator[Crew]:
    """A crew whose coder is scripted, on a fresh copy of the application; everything else is as in any run."""
    async with opened(application, folder, folder / "home") as workspace:
        workspace = replace(workspace, quick=quick)
        await prepare(workspace)
        yield Crew(
            models={"strong": "scripted", "quick": "scripted"},
            llm=ScriptedCoder(planted),
            journal=Journal(folder / "journal.jsonl"),
            workspace=workspace,
            budget=Budget(),
            watch=lambda _: None,
            limits=Limits(attempts=1),
        )


async def take_step(crew: Crew, planted: Planted) -> Change:
    """Let the coder carry out one planted change as the only step of a plan, and say what became of it."""
    step = PlanStep(
        id=f"fix:{planted.name}", title=planted.name, findings=(), layer="backend", hypothesis=planted.about,
        metric=planted.metric, workload=planted.workload, predicted_ratio=2.0, impact="high", effort="low", risk="low",
        side_effects="", rollback="Revert the commit.", monitoring="", test_strategy="",
    )  # fmt: skip
    plan = Plan(round=0, summary="", steps=(step,), criteria=(), risks="", rollback="")
    state = start(RecipeRequest(), crew.workspace.base_commit)
    update: Any = await implement({**state, "plans": [plan]}, crew)
    (change,) = update["changes"]
    return change  # type: ignore[no-any-return]


def refusing_gate(change: Change) -> str:
    """Which gate refused a change: a check's name, `duel: METRIC …`, or what kept it from being a commit at all."""
    if change.kept:
        return ""
    verdict = change.verdict
    if verdict is None:
        protected = "protected" in change.reason or "nothing was changed" in change.reason
        return UNTOUCHED if protected else change.reason
    failed = [check.name for check in verdict.checks if not check.passed]
    if failed:
        return failed[0]
    worse = [effect.metric for effect in verdict.effects if effect.outcome == "regressed"]
    return f"duel: {', '.join(worse) or verdict.outcome}"
