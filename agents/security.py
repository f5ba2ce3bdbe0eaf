"""The `security` role: what a patch newly exposes. It can only reject, and only with a place in the diff."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from agents.agent import Agent
from agents.briefs import show_target
from perfcrew.records.base import Record
from perfcrew.records.evidence import Check
from perfcrew.records.target import Target
from tools.source import list_files, read_file, search_code


class Exposure(Record):
    """A weakness that the patch adds."""

    severity: Literal["low", "medium", "high"]
    path: str
    line: int = Field(ge=1)
    claim: str


class SecurityAnswer(Record):
    """New weaknesses only: what stood there before does not count."""

    summary: str
    exposures: tuple[Exposure, ...] = ()


REVIEW = Agent(
    role="security", prompt="security", tools=(list_files, read_file, search_code), answer=SecurityAnswer, turns=10
)


def brief_review(target: Target, diff: str, ruled: Iterable[str] = ()) -> str:
    """What the role sees in phase 4; `ruled` is what the rules found, which needs no repeating."""
    found = "\n".join(f"- {line}" for line in ruled) or "(nothing)"
    return "\n\n".join((show_target(target), "# Found by rules", found, "# Diff of the branch", diff))


def check_review(answer: SecurityAnswer, touched: frozenset[str]) -> list[str]:
    """An exposure must be in a file that the branch touches."""
    return [
        f"{exposure.path} is not touched by the branch; only new weaknesses count"
        for exposure in answer.exposures
        if exposure.path not in touched
    ]


def security_check(answer: SecurityAnswer) -> Check:
    """A high exposure fails the check."""
    high = [f"{item.path}:{item.line} {item.claim}" for item in answer.exposures if item.severity == "high"]
    return Check(name="security review", passed=not high, detail="; ".join(high) or answer.summary)
