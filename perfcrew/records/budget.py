"""What a run and its roles may use up."""

from pydantic import Field

from perfcrew.records.base import Record, Role


class Allowance(Record):
    """Limits; what is left out is not limited here."""

    turns: int | None = Field(default=None, ge=1)
    """Model calls."""
    tokens: int | None = Field(default=None, ge=1)
    """Input and output together, as the provider counts them; cached ones count in full."""
    usd: float | None = Field(default=None, gt=0)
    """US dollars at list price; calls of a model without a known price count nothing."""
    minutes: float | None = Field(default=None, gt=0)
    """Of a run: wall clock. Of a role: what its models and its tools take."""


class BudgetChoice(Allowance):
    """The table [budget] of perfcrew.toml. Settings of the environment and .env, and options, are stronger."""

    roles: dict[Role, Allowance] = Field(default_factory=dict)
    """For single roles, within the run's: [budget.roles.coder]."""
