"""`/model`: who answers for whom, and another one from now on."""

from rich.console import Console

from perfcrew.errors import UserError
from perfcrew.llm.choice import Chosen
from perfcrew.records.models import ROLES
from perfcrew.report.terminal import safe


def choose_model(text: str) -> dict[str, str]:
    """The settings that `NAME` or `ROLE NAME` changes.

    Raises:
        UserError: there is no such role.
    """
    words = text.split()
    if len(words) == 1:
        return {"model": words[0], "model_quick": words[0]}
    if len(words) != 2 or words[0] not in ROLES:
        raise UserError(f"/model {text}: expected NAME or ROLE NAME, with a role of: {', '.join(ROLES)}")
    return {f"model_{words[0].replace('-', '_')}": words[1]}


def show_models(chosen: Chosen, console: Console) -> None:
    """Who answers for whom."""
    console.print(safe(f"  architect, coder: {chosen.tiers['strong']}"))
    console.print(safe(f"  all others: {chosen.tiers['quick']}"))
    for role, model in chosen.roles.items():
        console.print(safe(f"  {role}: {model}"))
