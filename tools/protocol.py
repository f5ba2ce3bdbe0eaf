"""How long a duel goes on: its looks, its rounds, its share of false alarms."""

from typing import Self

from pydantic import Field, model_validator

from perfcrew.records.base import Record


class Protocol(Record):
    """A duel's plan. Stored in its raw file, so that its effects can be computed from that file alone."""

    name: str
    looks: tuple[int, ...] = Field(min_length=1)
    """Numbers of starts after which the duel may stop; the last is the most it makes."""
    shares: tuple[float, ...]
    """What each look may spend of `alpha`."""
    alpha: float = Field(default=0.014, gt=0, lt=0.5)
    """Risk of a false alarm, either way, over all looks and all deciding timed metrics. Half of it is that of a false
    `improved`; where noise is perfectly normal the trimmed t spends up to 1.4 times that, still below 1 %."""
    missed: float = Field(default=0.05, gt=0, lt=0.5)
    """Risk, over all looks and of either direction, of saying that a metric did not change while it changed by what
    matters. It is another error than a false alarm, and costs a win at most; so it may be larger."""
    matter: float = Field(default=0.10, gt=0)
    """The relative change that matters: a duel that can't rule it out is underpowered."""
    matters: dict[str, float] = Field(default_factory=dict)
    """The same for single metrics, where it is another one."""
    round_s: float = Field(default=0.05, gt=0)
    """Seconds of the shortest round; it goes on until each user has had one request after the first. At equal load
    rounds of 0.05 s gave starts that scatter half as much as rounds of 0.2 s (CPU 2.0 against 3.5 %, P95 2.2 against
    6.2 %, two times 24 starts each of equal arms): a neighbour's bursts last some tenths of a second."""
    longest_s: float = Field(default=0.8, gt=0)
    """Seconds of the longest round."""
    samples: int = Field(default=14, ge=1)
    """Requests that a round should hold; where they come slowly it is longer, up to the longest. Percentiles are taken
    over several rounds put together where one holds too few."""
    load_s: float = Field(gt=0)
    """Seconds of load aimed at in each start, both arms together; sets the number of rounds."""
    beside_s: float = Field(default=1.6, gt=0)
    """The same for each other workload whose guards are watched."""
    min_rounds: int = Field(default=1, ge=1)
    max_rounds: int = Field(default=40, ge=1)
    limit_s: float = Field(gt=0)
    """No further start is begun that would probably end later than this, once the first look is reached."""
    patience: float = Field(default=1.0, ge=1)
    """So many times the limit is granted while more starts would probably settle a gain that matters: on a busy machine
    few can't settle even a change that halves a time."""
    allocations: bool = False
    """Count allocations too, which takes one more start of each version."""
    thorough: bool = False
    """Stop early only where every deciding metric is settled."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.looks) != sorted(set(self.looks)) or self.looks[0] < 2:
            raise ValueError("looks must rise, from at least 2 starts")
        if len(self.shares) != len(self.looks) or sum(self.shares) > 1 + 1e-9 or min(self.shares) <= 0:
            raise ValueError("one positive share for each look, adding up to no more than 1")
        if self.min_rounds > self.max_rounds:
            raise ValueError("min_rounds must not exceed max_rounds")
        return self

    def round_for(self, rate: float) -> float:
        """Seconds of a round, if `rate` requests are answered a second.

        Short rounds put the arms close together in time, which is what makes them comparable; too short ones are
        mostly their own beginning.
        """
        wanted = self.samples / rate if rate > 0 else 0.0
        return min(max(wanted, self.round_s), max(self.longest_s, self.round_s))

    def rounds_for(self, pair_s: float) -> int:
        """How many rounds a side fit into a start's load, if one of each arm takes `pair_s` seconds.

        Never two: their median is their mean, which a single burst spoils as it spoils one; three resist it.
        """
        wanted = self.load_s / pair_s
        rounds = round(wanted)
        if rounds == 2:
            rounds = 3 if wanted >= 2.15 else 1
        return min(max(rounds, self.min_rounds), self.max_rounds)

    def after(self, done: int) -> int:
        """How many starts there are when the duel may end next.

        With patience it depends on what was seen, so that only looks may end it: each has its share of the risk for
        seeing once.
        """
        if self.patience == 1:
            return done + 1
        return next((look for look in self.looks if look > done), done + 1)

    def for_family(self, workloads: int) -> Self:
        """The same for one of several workloads that decide together: its part of the risk (Bonferroni)."""
        return self.model_copy(update={"alpha": self.alpha / max(workloads, 1)})

    def shortened(self) -> Self:
        """The same rules with a third of the load, for tests."""
        return self.model_copy(
            update={name: getattr(self, name) / 3 for name in ("round_s", "longest_s", "load_s", "beside_s")}
        )


QUICK = Protocol(name="quick", looks=(4, 6, 9, 13), shares=(0.4, 0.2, 0.2, 0.2), load_s=2.0, limit_s=26.0, patience=3.4)
"""For one plan step: about 20 s where the effect is clear."""

FULL = Protocol(name="full", looks=(8,), shares=(1.0,), load_s=4.0, limit_s=90.0, thorough=True)
"""For the composed branch: its interval is what goals are held against, so it makes all its starts."""

THOROUGH = Protocol(
    name="thorough", looks=(8, 15, 23, 33, 46), shares=(0.1, 0.2, 0.35, 0.1, 0.25), load_s=2.6, limit_s=300.0,
    matters={"cpu.ms_per_request": 0.03, "http.p50_ms": 0.05, "command.seconds": 0.05},
    allocations=True, thorough=True,
)  # fmt: skip
"""For comparing two revisions: up to 120 s of load, as many fresh starts as fit into it, and an end as soon as each
deciding metric is settled."""

NOISE = Protocol(name="noise", looks=(3,), shares=(1.0,), load_s=2.8, limit_s=30.0)
"""For the base against itself, before anything is compared."""

HELD_OUT = Protocol(name="held out", looks=(4,), shares=(1.0,), alpha=0.05, load_s=1.6, limit_s=30.0)
"""For the held-out variant within the first starts of a duel: whether a gain is lost there shows in few of them."""
