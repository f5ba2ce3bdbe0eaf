"""What bounds a conversation: its turns, and the budgets of run and role. Before each turn the agent hears of them."""

from typing import Any, TypeVar

from pydantic import TypeAdapter

from agents.crew import Crew
from perfcrew.llm.budget import NEARLY
from perfcrew.records.base import Record, Role

R = TypeVar("R")
GRACE_TURNS = 2
"""Turns that an agent gets for its best answer after a limit was reached: one, and one to mend it."""


class Standing(Record):
    """What the budgets have to say before a turn."""

    text: str
    last: bool = False


class Bounds:
    """The limits of one conversation.

    What budgets say is journalled: a resumed run finds them further along than they were, and would say it elsewhere.

    Args:
        crew: journal and budget.
        role: whose conversation it is.
        lane: its place in the run.
        turns: most turns, without those that came to nothing.
        answer: the name of the tool that ends the conversation.
    """

    def __init__(self, crew: Crew, role: Role, lane: str, turns: int, answer: str) -> None:
        self._crew, self._role, self._lane, self._answer = crew, role, lane, answer
        self._turns = self._end = turns
        self._last = self._nearly_over = self._nearly_spent = False

    async def before(self, turn: int, stumbles: int, full: str | None) -> str:
        """What to say before a turn; empty for nothing.

        Args:
            turn: its number, from 0.
            stumbles: turns so far that came to nothing and don't count.
            full: why nothing more fits into the conversation.
        """
        if self._last:
            return ""
        spent = await self._standing(turn)
        why = (spent.text if spent and spent.last else "") or full
        if not why and turn >= self._turns + stumbles:
            why = f"{self._turns} turns are used"
        if why:
            self._last, self._end = True, turn - stumbles
            return f"Stop here: {why}. Call `{self._answer}` now with the best you have."
        told = [spent.text] if spent else []
        if not self._nearly_over and turn - stumbles >= NEARLY * self._turns:
            self._nearly_over = True
            told.append(f"{turn - stumbles} of {self._turns} turns are used")
        if not told:
            return ""
        return f"{'; '.join(told)}. Do what matters most, and call `{self._answer}` before nothing is left."

    def over(self, turn: int, stumbles: int) -> bool:
        """Whether there is no such turn any more."""
        return turn >= self._end + stumbles + GRACE_TURNS

    async def _standing(self, turn: int) -> Standing | None:
        key, journal = f"turn-{turn}:budget", self._crew.journal
        standing = await recollect(self._crew, self._lane, key, Standing)
        if standing is None and journal.live and not journal.has(self._lane, f"turn-{turn}", "reply"):
            standing = self._decide()
            if standing is not None:
                await record(self._crew, self._lane, key, standing)
        self._nearly_spent = self._nearly_spent or standing is not None
        return standing

    def _decide(self) -> Standing | None:
        budget = self._crew.budget
        if why := budget.exceeded(self._role):
            return Standing(text=why, last=True)
        nearly = None if self._nearly_spent else budget.nearly(self._role)
        return Standing(text=nearly) if nearly else None


async def record(crew: Crew, lane: str, key: str, value: Any) -> None:
    """Keep in the journal what was decided at a place."""

    async def decided() -> Any:
        return value

    await crew.journal.effect(lane, key, type(value), decided, ours=True)


async def recollect(crew: Crew, lane: str, key: str, kind: type[R]) -> R | None:
    """What was decided at a place by this run before, or by the recorded one that stands in for the model."""
    journal, source = crew.journal, crew.journal.source
    if source is not None and source.replies and not journal.has(lane, key):
        entry = source.find("effect", journal.recorded_lane(lane), key)
        if entry is not None:
            await record(crew, lane, key, TypeAdapter(kind).validate_python(entry.value))
    if not journal.has(lane, key):
        return None

    async def forgotten() -> R:
        raise AssertionError(f"{lane}, {key}: the journal has it")

    return await journal.effect(lane, key, kind, forgotten, ours=True)
