"""Pages in two versions, for `perfcrew compare` and for validation: a duel of their vitals for each page workload.

A page that can't be compared, as where no browser is installed, is noted in a line, and everything else goes on.
"""

import time
from functools import partial

from agents.crew import Crew
from graphs.measuring import Tell
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.page_effects import ALPHA
from perfcrew.records.survey import Bout
from perfcrew.records.target import Target, Workload
from perfcrew.verdict import decide
from tools.duel import Duel
from tools.page_duel import duel_pages
from tools.workspace import Workspace

BESIDE_ALPHA = 0.006
"""Risk of a false alarm over all pages beside the duel of the primary workload, which spends 0.014: together they find
a false gain in at most 1 of 100 runs."""


def pages_of(target: Target) -> tuple[Workload, ...]:
    """The target's page workloads."""
    return tuple(workload for workload in target.workload if workload.kind == "page")


async def compare_pages(
    workspace: Workspace, commits: tuple[str, str], tell: Tell, *, family: int, within_s: float | None
) -> tuple[tuple[Bout, ...], tuple[str, ...]]:
    """A bout for each page workload, and a note for each that can't be compared.

    Args:
        workspace: where the arms run; its target names the pages.
        commits: base and candidate.
        tell: gets a line for each step.
        family: how many workloads decide together; each has its part of the risk.
        within_s: seconds that one page may take.
    """
    bouts, notes = [], []
    for page in pages_of(workspace.target):
        began = time.monotonic()
        tell("tool", f"{page.name}: the vitals of both versions, visit by visit")
        try:
            duel = await duel_pages(
                workspace, *commits, page, name="compare", alpha=ALPHA / max(family, 1), limit_s=within_s
            )
        except InstrumentError as error:
            notes.append(f"not compared: {page.name}: {error}")
            tell("warning", notes[-1])
            continue
        verdict = decide(duel.effects, ())
        bouts.append(
            Bout(
                workload=page.name, outcome=verdict.outcome, reason=verdict.reason, effects=duel.effects,
                samples=duel.samples, seconds=time.monotonic() - began,
            )
        )  # fmt: skip
        tell("measured", f"{page.name}: {verdict.outcome.replace('_', ' ')}: {verdict.reason}")
    return tuple(bouts), tuple(notes)


async def validate_pages(crew: Crew, lane: str, base: str, head: str) -> tuple[list[Duel], list[str]]:
    """A duel for each page workload, and a note for each that can't be compared."""
    workspace = crew.workspace
    pages = pages_of(workspace.target)
    duels: list[Duel] = []
    notes: list[str] = []

    for page in pages:
        run = partial(duel_pages, workspace, base, head, page, name="final", alpha=BESIDE_ALPHA / len(pages))
        try:
            duel = await crew.journal.effect(lane, f"duel {page.name}", Duel, run, asked=[base, head])
        except (InstrumentError, ReplayMiss) as error:
            notes.append(f"{page.name} was not compared: {error}")
            continue
        crew.tell("measured", duel.digest.splitlines()[0], phase="validation", role="performance")
        duels.append(duel)
    return duels, notes
