"""The budget of a run or a role: turns, tokens, money and time, counted from what providers report."""

import threading
import time
from collections.abc import Callable

from perfcrew.llm.base import Reply
from perfcrew.llm.models import price
from perfcrew.records.report import UsageRow

OVERDRAFT = 1.5
"""A limit may be passed by half before calls are refused: a crew at work needs room for its last answers."""


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
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        turns: int | None = None,
        tokens: int | None = None,
        usd: float | None = None,
        minutes: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {"turns": turns, "tokens": tokens, "USD": usd, "minutes": minutes}
        self._clock = clock
        self._began = clock()
        self._rows: dict[tuple[str, str], UsageRow] = {}
        self._lock = threading.Lock()

    def go_on_from(self, seconds: float) -> None:
        """Count the wall clock that a resumed run used before."""
        self._began = self._clock() - seconds

    def charge(self, reply: Reply, role: str = "") -> None:
        """Count a reply."""
        usage, usd = reply.usage, price(reply.model, reply.usage)
        key = (role, reply.model)
        with self._lock:
            old = self._rows.get(key, UsageRow(usd=0.0))
            self._rows[key] = UsageRow(
                input_tokens=old.input_tokens + usage.input_tokens,
                output_tokens=old.output_tokens + usage.output_tokens,
                cached_tokens=old.cached_tokens + usage.cached_tokens,
                usd=None if usd is None or old.usd is None else old.usd + usd,
                model_calls=old.model_calls + 1,
            )

    def usage(self) -> dict[tuple[str, str], UsageRow]:
        """What was used, by role and model."""
        with self._lock:
            return dict(self._rows)

    def total(self) -> UsageRow:
        """What was used in all; `usd` is None as soon as one model's price is unknown."""
        rows = list(self.usage().values())
        known = [row.usd for row in rows if row.usd is not None]
        return UsageRow(
            input_tokens=sum(row.input_tokens for row in rows),
            output_tokens=sum(row.output_tokens for row in rows),
            cached_tokens=sum(row.cached_tokens for row in rows),
            usd=sum(known) if len(known) == len(rows) else None,
            model_calls=sum(row.model_calls for row in rows),
        )

    def seconds(self) -> float:
        """Wall clock used so far."""
        return self._clock() - self._began

    def share(self) -> float:
        """The largest used share of any limit; 1 and more is exceeded."""
        return max((used / limit for used, limit in self._balance().values()), default=0.0)

    def exceeded(self) -> str | None:
        """Which limit is used up, in words; None while there is budget left."""
        return self._passed(1.0)

    def overdrawn(self) -> str | None:
        """Which limit is passed by so much that no call may be made; None while calls may be made."""
        return self._passed(OVERDRAFT)

    def _passed(self, factor: float) -> str | None:
        for name, (used, limit) in self._balance().items():
            if used >= limit * factor:
                return f"{used:,.{2 if isinstance(limit, float) else 0}f} of {limit:,} {name} used"
        return None

    def _balance(self) -> dict[str, tuple[float, float]]:
        rows = self.usage().values()
        used = {
            "turns": float(sum(row.model_calls for row in rows)),
            "tokens": float(sum(row.input_tokens + row.output_tokens for row in rows)),
            "USD": sum(row.usd or 0.0 for row in rows),
            "minutes": self.seconds() / 60,
        }
        return {name: (used[name], limit) for name, limit in self._limits.items() if limit is not None}
