"""Which model does what, and what a user knows of models that the table of models does not."""

from typing import Annotated

from pydantic import Field

from perfcrew.records.base import Record, Role

MODEL_PATTERN = r"^(anthropic|openai|openai-chat)/.+$"
MODEL_FORM = "anthropic/NAME, openai/NAME or openai-chat/NAME"
ModelName = Annotated[str, Field(pattern=MODEL_PATTERN)]
CREW: tuple[Role, ...] = ("performance", "memory-sync", "architect", "coder", "tester", "security")
"""The roles that work; each has a slash command."""
ROLES: tuple[Role, ...] = (*CREW, "guide")
"""All roles that a model answers for; the guide only talks about a run."""


class ModelFacts(Record):
    """What a user says about a model; what is left out is as the table of models has it, or unknown."""

    context: int | None = Field(default=None, ge=1024)
    """Tokens of input and output together."""
    max_output: int | None = Field(default=None, ge=256)
    """Most tokens of one answer."""
    usd_input: float | None = Field(default=None, ge=0)
    """US dollars per million tokens; so are the other prices."""
    usd_output: float | None = Field(default=None, ge=0)
    usd_cached: float | None = Field(default=None, ge=0)
    """Reading from the service's prompt cache."""
    usd_cache_write: float | None = Field(default=None, ge=0)
    """Writing to it."""
    strict: bool | None = None
    """Whether arguments of tools can be held to their schemas."""
    parallel: bool | None = None
    """Whether it may call several tools in one turn."""
    thinking: bool | None = None
    """Whether it thinks before it answers when asked to."""


class ModelChoice(Record):
    """The table [models] of perfcrew.toml: who does what. Settings of the environment and .env are stronger."""

    strong: ModelName | None = None
    """For architect and coder."""
    quick: ModelName | None = None
    """For all others."""
    roles: dict[Role, ModelName] = Field(default_factory=dict)
    """For single roles."""
    table: dict[ModelName, ModelFacts] = Field(default_factory=dict)
    """What is known of models, by full name."""
