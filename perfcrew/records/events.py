"""What a running recipe tells whoever watches."""

from typing import Literal

from pydantic import Field

from perfcrew.records.base import Record
from perfcrew.records.work import Card


class Event(Record):
    """One thing that happened, for the screen; never needed for correctness."""

    kind: Literal["phase_started", "phase_finished", "card", "turn", "tool", "measured", "note", "warning", "usage"]
    text: str
    phase: str = ""
    role: str = ""
    card: Card | None = None
    figures: dict[str, float] = Field(default_factory=dict)
