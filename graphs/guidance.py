"""Questions about a run: the guide answers from its evidence. They are kept beside the run, not in its journal.

The run's journal is what its report is verified against, so talking about a run changes nothing in it.
"""

from collections.abc import Callable, Sequence
from itertools import count

from agents.agent import AgentFailed, converse
from agents.guide import GUIDE, GuideAnswer, Standing, brief_question, check_sources
from graphs.assembly import Overhear, Watch, at_work
from graphs.engine import RunOptions, prepare
from graphs.runs import run_folder
from graphs.standing import read_state
from graphs.state import RunState, start
from perfcrew.records.base import Record
from perfcrew.records.target import Target
from perfcrew.settings import Settings
from prompts import render

TALK = "talk.jsonl"
"""The journal of questions and answers, in the run's folder."""


class Guidance(Record):
    """An answer to a question."""

    run_id: str
    text: str
    evidence: tuple[str, ...]
    command: str
    """The command that the guide proposes; empty where it proposes none."""


async def ask_guide(
    options: RunOptions,
    question: str,
    *,
    settings: Settings,
    watch: Watch,
    commands: str,
    check: Callable[[str], str],
    earlier: Sequence[tuple[str, str]] = (),
    overhear: Overhear | None = None,
) -> Guidance:
    """Answer a question about a run, or about a target on which nothing was run yet.

    Args:
        options: the run, or the target.
        question: the user's words.
        settings: of this process.
        watch: gets events.
        commands: the slash commands that there are, as text.
        check: what is wrong with a proposed command; empty where nothing is.
        earlier: questions and answers of this talk.
        overhear: who hears the answer while it comes.

    Raises:
        AgentFailed: the model gave no answer.
    """
    manifest, folder = await prepare(options, settings)
    live = manifest.model_copy(update={"replay": None, "strict": False})
    async with at_work(live, folder, settings, watch, overhear, TALK) as context:
        crew = context.crew
        state = await read_state(run_folder(settings.home, manifest.run_id)) or start(manifest.request, manifest.base)
        known = {*state["evidence"], *state["findings"]}

        def problems(answer: GuideAnswer) -> list[str]:
            wrong = check(answer.command) if answer.command else ""
            return [*check_sources(answer, known), *([wrong] if wrong else [])]

        brief = brief_question(question, earlier, standing_of(state, crew.workspace.target), commands)
        lane = next(lane for n in count() if not crew.journal.has(lane := f"{n}/talk/guide", "turn-0", "reply"))
        done = await converse(GUIDE, render(GUIDE.prompt), brief, crew, lane, problems)
    text = done.answer.text.strip() or done.said.strip()
    if not text and not done.answer.command:
        raise AgentFailed("the guide gave no answer in words")
    return Guidance(
        run_id=manifest.run_id, text=text, evidence=done.answer.evidence, command=done.answer.command.strip()
    )


def standing_of(state: RunState, target: Target) -> Standing:
    """What the guide may see of a state."""
    return Standing(
        request=state["request"],
        target=target,
        phases=[row.name for row in state["phases"]],
        findings=state["findings"].values(),
        evidence=state["evidence"].values(),
        snapshot=state["snapshot"],
        plan=state["plans"][-1] if state["plans"] else None,
        changes=state["changes"],
        verdict=state["verdict"],
        effects=state["final"].effects if state["final"] else (),
    )
