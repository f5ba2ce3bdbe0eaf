"""What every agent and node shares while a run lasts: models, journal, workspace, budget, an audience."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from perfcrew.errors import LLMError
from perfcrew.llm.base import LLM, Listener, Reply, Request
from perfcrew.llm.budget import Budget
from perfcrew.llm.choice import Tier
from perfcrew.llm.journal import Journal
from perfcrew.llm.models import LISTED, Catalogue
from perfcrew.llm.tokens import Count, count_bytes
from perfcrew.records.base import Role
from perfcrew.records.events import Event
from tools.workspace import Workspace


@dataclass(frozen=True)
class Limits:
    """How long a run may go on trying."""

    rounds: int = 2
    attempts: int = 2
    steps: int = 8
    ideas: int = 1
    """Attempts at one step that are made side by side."""
    turns: int = 30
    """Turns of one conversation."""


class Answerer(LLM, Protocol):
    """A model that holds connections."""

    async def aclose(self) -> None:
        """Close them."""
        ...


@dataclass(frozen=True)
class Crew:
    """The runtime context of the graph. Never part of its state."""

    models: Mapping[Tier, str]
    llm: Answerer
    """Answers requests for any of `models` and `roles`."""
    journal: Journal
    workspace: Workspace
    budget: Budget
    watch: Callable[[Event], None]
    limits: Limits = field(default_factory=Limits)
    count: Count = count_bytes
    """Counts tokens of a text, for estimates before a call."""
    roles: Mapping[Role, str] = field(default_factory=dict)
    """Models of single roles, in place of their tier's."""
    catalogue: Catalogue = LISTED
    """What is known of models."""
    overhear: Callable[[Role], Listener] | None = None
    """Who hears a role's text while it comes, such as a chat screen; nothing depends on it."""

    def model_of(self, role: Role, tier: Tier) -> str:
        """Who answers for a role."""
        return self.roles.get(role) or self.models[tier]

    def within(self, workspace: Workspace) -> "Crew":
        """The same crew at work somewhere else, such as in the coder's worktree."""
        return replace(self, workspace=workspace)

    def tell(
        self, kind: str, text: str, *, phase: str = "", role: str = "", figures: Mapping[str, float] | None = None
    ) -> None:
        """Say something to whoever watches."""
        told = {"kind": kind, "text": text, "phase": phase, "role": role, "figures": dict(figures or {})}
        self.watch(Event.model_validate(told))


class Absent:
    """Stands where a model would be when a recording answers: it must never be asked."""

    async def complete(self, request: Request, listener: Listener | None = None) -> Reply:  # noqa: ARG002
        """Refuse.

        Raises:
            LLMError: always.
        """
        raise LLMError(f"{request.model} was asked although a recording stands in for it")

    async def aclose(self) -> None:
        """There is nothing to close."""
