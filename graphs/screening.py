"""What a patch newly exposes, searched by rules once and journalled: for each step, and for the branch as a whole."""

from agents.crew import Crew
from tools.exposure import Exposed, screen_patch


async def screen(crew: Crew, base: str, head: str, lane: str) -> Exposed:
    """The rules' findings between two commits."""
    return await crew.journal.effect(
        lane, "rules", Exposed, lambda: screen_patch(crew.workspace, base, head), asked=[base, head]
    )
