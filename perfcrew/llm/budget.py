"""The budget of a run and its roles: turns, tokens, money and time, counted from what providers report."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from perfcrew.llm import models
from perfcrew.llm.accounts import Account, Price
from perfcrew.llm.base import Reply
from perfcrew.records.base import Role
from perfcrew.records.budget import Allowance
from perfcrew.records.report import UsagePart, UsageRow, UsageTable

OVERDRAFT = 1.5
"""A limit may be passed by half before calls are refused: a crew at work needs room for its last answers."""
NEARLY = 0.8
"""Used part of a limit from which on agents are told."""


class Budget:
    """Limits, and what was used of them. None is no limit.

    Charge each reply once where it is read, journalled ones included, so that a resumed run goes on with the right
    balance. When `exceeded` says something, ask for a best answer and stop; `overdrawn` is the backstop for callers
    that don't.

    Args:
        turns: replies.
        tokens: input and output together; cached ones count in full.
        usd: US dollars at list price; replies of models without a known price count nothing.
        minutes: wall clock since the budget was made, and what `go_on_from` says was used before.
        roles: limits of single roles; their time is what `spend` says.
        clock: seconds, monotonic.
        price: what a reply of a model costs in US dollars; None where that is unknown.
    """

    def __init__(
        self,
        *,
        turns: int | None = None,
        tokens: int | None = None,
        usd: float | None = None,
        minutes: float | None = None,
        roles: Mapping[Role, Allowance] | None = None,
        clock: Callable[[], float] = time.monotonic,
        price: Price = models.price,
    ) -> None:
        self._run = Allowance(turns=turns, tokens=tokens, usd=usd, minutes=minutes)
        self._roles: dict[str, Allowance] = dict((roles or {}).items())
        self._account = Account(price)
        self._clock = clock
        self._began = clock()
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def go_on_from(self, seconds: float) -> None:
        """Count the wall clock that a resumed run used before."""
        self._began = self._clock() - seconds

    def charge(self, reply: Reply, role: str = "", phase: str = "") -> None:
        """Count a reply."""
        with self._lock:
            self._account.add(reply, role, phase)

    def spend(self, seconds: float, role: str) -> None:
        """Count time that a role took."""
        with self._lock:
            self._seconds[role] = self._seconds.get(role, 0.0) + seconds

    def usage(self) -> UsageTable:
        """What was used, in all and by role, phase and model."""
        with self._lock:
            return self._account.table()

    def total(self) -> UsageRow:
        """What was used in all; `usd` is None as soon as one model's price is unknown."""
        with self._lock:
            return self._account.total()

    def seconds(self) -> float:
        """Wall clock used so far."""
        return self._clock() - self._began

    def share(self, role: str = "") -> float:
        """The largest used share of any limit of the run or the role; 1 and more is exceeded."""
        return max((used / limit for _, used, limit, _ in self._balance(role)), default=0.0)

    def nearly(self, role: str = "") -> str | None:
        """Which limit is nearly used up, in words; None while none is."""
        return self._passed(NEARLY, role)

    def exceeded(self, role: str = "") -> str | None:
        """Which limit of the run or the role is used up, in words; None while there is budget left."""
        return self._passed(1.0, role)

    def overdrawn(self) -> str | None:
        """Which limit of the run is passed by so much that no call may be made; None while calls may be made."""
        return self._passed(OVERDRAFT, "")

    def _passed(self, factor: float, role: str) -> str | None:
        passed = [balance for balance in self._balance(role) if balance[1] >= balance[2] * factor]
        if not passed:
            return None
        name, used, limit, whose = max(passed, key=lambda balance: balance[1] / balance[2])
        amount = f"{used:,.2f}".rstrip("0").rstrip(".")
        shown = f"{amount} of {limit:,.10g} {name} used"
        return f"{shown} by {whose}" if whose else shown

    def _balance(self, role: str) -> Iterator[tuple[str, float, float, str]]:
        """Limit's name, what is used, the limit, and whose it is if it is a role's."""
        with self._lock:
            rows = self._account.rows()
        yield from _compare(self._run, rows, self.seconds(), "")
        if role in self._roles:
            own = [row for row in rows if row.role == role]
            yield from _compare(self._roles[role], own, self._seconds.get(role, 0.0), role)


def _compare(
    limits: Allowance, rows: list[UsagePart], seconds: float, whose: str
) -> Iterator[tuple[str, float, float, str]]:
    used = {
        "turns": float(sum(row.model_calls for row in rows)),
        "tokens": float(sum(row.input_tokens + row.output_tokens for row in rows)),
        "usd": sum(row.usd or 0.0 for row in rows),
        "minutes": seconds / 60,
    }
    for name, amount in used.items():
        limit = getattr(limits, name)
        if limit is not None:
            yield "USD" if name == "usd" else name, amount, limit, whose
