"""Which model answers for which role, and what may be used up: settings, and what the target's description says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from perfcrew.llm.models import Catalogue
from perfcrew.records.base import Role
from perfcrew.records.budget import Allowance, BudgetChoice
from perfcrew.records.models import ROLES, ModelChoice
from perfcrew.settings import Settings

Tier = Literal["strong", "quick"]


@dataclass(frozen=True)
class Chosen:
    """Models by tier and by role, with what is known of them."""

    tiers: Mapping[Tier, str]
    roles: Mapping[Role, str]
    """Only roles that have a model of their own."""
    catalogue: Catalogue

    @property
    def names(self) -> tuple[str, ...]:
        """All models, the strong one first, each once."""
        return tuple(dict.fromkeys((*self.tiers.values(), *self.roles.values())))


def choose(settings: Settings, said: ModelChoice) -> Chosen:
    """The models of a run.

    A role's own model comes before its tier's. Within each, what the environment, `.env` or an option says comes
    before the target's description, and that before the default.
    """
    given = settings.model_fields_set
    strong = settings.model if "model" in given or said.strong is None else said.strong
    quick = settings.model_quick if "model_quick" in given else said.quick
    own = {role: getattr(settings, f"model_{role.replace('-', '_')}") or said.roles.get(role) for role in ROLES}
    return Chosen(
        tiers={"strong": strong, "quick": quick or strong},
        roles={role: model for role, model in own.items() if model},
        catalogue=Catalogue({**said.table, **settings.model_table}),
    )


def allow(settings: Settings, said: BudgetChoice) -> BudgetChoice:
    """The limits of a run and its roles, each by the same order as its models. A role's limits come from one place."""
    limits = {}
    for name in Allowance.model_fields:
        own, described = getattr(settings, f"budget_{name}"), getattr(said, name)
        limits[name] = own if f"budget_{name}" in settings.model_fields_set or described is None else described
    return BudgetChoice(**limits, roles={**said.roles, **settings.role_budgets})
