"""What the server offers to models: a named, typed, async function whose result is a digest with references."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphs.desk import Desk
from perfcrew.entry.mcp.crew_runs import CrewRuns
from perfcrew.records.base import Record
from perfcrew.records.events import Event
from perfcrew.settings import Settings

Watch = Callable[[Event], None]


@dataclass
class Host:
    """What all calls of one server share. It serves one repository, so no model can make it start another's commands.

    Args:
        settings: of this process.
        repo: the repository.
        config: description of the target; None for the repository's own.
        writes: whether anything may be patched.
    """

    settings: Settings
    repo: Path
    config: Path | None = None
    writes: bool = False
    desk: Desk = field(init=False)
    runs: CrewRuns = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.repo, self.config, self.settings)
        self.runs = CrewRuns(self.repo, self.config, self.settings)

    async def aclose(self) -> None:
        """Stop what still runs, resumable, and remove what was opened."""
        await self.runs.aclose()
        await self.desk.aclose()


class Link(Record):
    """A resource that a result refers to."""

    uri: str
    name: str


class Told(Record):
    """What a call gave."""

    text: str
    links: tuple[Link, ...] = ()
    value: dict[str, Any] | None = None
    """The few values that a program would read."""
    is_error: bool = False


@dataclass(frozen=True)
class Offer:
    """One tool of the server."""

    name: str
    description: str
    arguments: type[Record]
    function: Callable[[Any, Host, Watch], Awaitable[Told]]
    writes: bool = False
    """Changes files, though only in a checkout of perfcrew's own, or leaves a branch."""
