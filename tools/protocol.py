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
    alpha: float = Field(default=0.04, gt=0, lt=0.5)
    """Risk of a false alarm, either way, over all looks and all deciding timed metrics."""
    matter: float = Field(default=0.10, gt=0)
    """The relative change that matters: a duel that can't rule it out is underpowered."""
    round_s: float = Field(default=0.8, gt=0)
    """Seconds of a round; it goes on until each user has had one request after the first."""
    load_s: float = Field(gt=0)
    """Seconds of load aimed at in each start, both arms together; sets the number of rounds."""
    min_rounds: int = Field(default=1, ge=1)
    max_rounds: int = Field(default=4, ge=1)
    limit_s: float = Field(gt=0)
    """No further start is begun that would probably end later than this, once the first look is reached."""
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

    def rounds_for(self, pair_s: float) -> int:
        """How many rounds a side fit into a start's load, if one of each arm takes `pair_s` seconds.

        Never two: their median is their mean, which a single burst spoils as it spoils one; three resist it.
        """
        wanted = self.load_s / pair_s
        rounds = round(wanted)
        if rounds == 2:
            rounds = 3 if wanted >= 2.15 else 1
        return min(max(rounds, self.min_rounds), self.max_rounds)

    def shortened(self) -> Self:
        """The same rules with a third of the load, for tests."""
        return self.model_copy(update={"round_s": self.round_s / 3, "load_s": self.load_s / 3})


QUICK = Protocol(name="quick", looks=(3, 5), shares=(0.5, 0.5), load_s=4.0, limit_s=38.0)
"""For one plan step: about 25 s where the effect is clear."""

FULL = Protocol(name="full", looks=(7,), shares=(0.3,), load_s=5.0, max_rounds=4, limit_s=90.0, thorough=True)
"""For the composed branch: its interval is what goals are held against, so it makes all its starts."""

NOISE = Protocol(name="noise", looks=(3,), shares=(1.0,), load_s=5.5, limit_s=30.0)
"""For the base against itself, before anything is compared."""
