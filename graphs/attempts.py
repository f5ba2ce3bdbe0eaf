"""What agents reached for that is out of bounds: each attempt, and the gate that refused it, for the report."""

from collections import Counter
from collections.abc import Iterator

from agents.agent import ANSWER, Agent
from agents.architect import DESIGN
from agents.coder import CODE
from agents.memory_sync import SNAPSHOT
from agents.performance import BASELINE, VALIDATION
from agents.security import REVIEW
from agents.tester import REGRESSION
from agents.window import RECALL
from perfcrew.llm.accounts import place_of
from perfcrew.llm.journal import Journal
from perfcrew.records.base import Record

_AGENTS: tuple[Agent[Record], ...] = (BASELINE, VALIDATION, SNAPSHOT, DESIGN, CODE, REGRESSION, REVIEW)  # type: ignore[assignment]
OUT_OF_BOUNDS = "out of bounds, refused"
MOST = 50
"""Different attempts that a report names one by one."""


def name_attempts(journal: Journal) -> tuple[str, ...]:
    """A line for each attempt of a run, equal ones counted. What the kernel refuses in silence leaves no trace here."""
    # Branches run side by side, and no two runs interleave them alike.
    found = Counter(sorted([*_by_effect(journal), *_by_tool(journal)]))
    lines = [f"{OUT_OF_BOUNDS}: {what}{f' ({n} times)' if n > 1 else ''}" for what, n in found.items()]
    more = (f"{OUT_OF_BOUNDS}: {len(lines) - MOST} more, see the journal",) if len(lines) > MOST else ()
    return (*lines[:MOST], *more)


def _by_effect(journal: Journal) -> Iterator[str]:
    for lane, value in journal.effects():
        refused = value.get("refused", ()) if isinstance(value, dict) else ()
        for line in refused:
            yield f"{place_of(lane)[0] or lane}, {line}"


def _by_tool(journal: Journal) -> Iterator[str]:
    known = {role: {tool.name for agent in _AGENTS if agent.role == role for tool in agent.tools} for role in _roles()}
    for lane, reply in journal.replies():
        role = place_of(lane)[0]
        for call in reply.calls:
            if role in known and call.name not in {*known[role], ANSWER, RECALL}:
                yield f"{role}, tool set: it asked for {call.name[:80]}, which its role does not have"


def _roles() -> set[str]:
    return {agent.role for agent in _AGENTS}
