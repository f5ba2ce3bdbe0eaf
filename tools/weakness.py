"""What a security rule found, and which of two versions' findings are new."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["low", "medium", "high"]
RANK: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True)
class Weakness:
    """A place where a rule holds.

    Attributes:
        rule: such as `S301` or `sql`.
        path: relative to the repository.
        line: counted from 1.
        claim: what is wrong, in a phrase.
        severity: `medium` and `high` refuse a patch.
        code: the source that it is about: by it, and not by its place, it is told from another.
    """

    rule: str
    path: str
    line: int
    claim: str
    severity: Severity
    code: str

    @property
    def shown(self) -> str:
        """One line."""
        return f"{self.path}:{self.line} {self.claim} [{self.rule}, {self.severity}]"


def only_new(base: Iterable[Weakness], head: Iterable[Weakness]) -> list[Weakness]:
    """Those of the head that the base does not have, the gravest first. Code that only moved is not new."""
    known = Counter((one.rule, one.code) for one in base)
    found = []
    for one in head:
        if known[one.rule, one.code] > 0:
            known[one.rule, one.code] -= 1
        else:
            found.append(one)
    return sorted(found, key=lambda one: (RANK[one.severity], one.path, one.line))
