"""Random faults for a recorded model, bounded so that patience must see a run through."""

import random
from collections import Counter
from dataclasses import dataclass, field

from evals.bench.recorded_crew import Speaker
from perfcrew.llm.base import Usage
from tests.llm_endpoint import Answer, RequestView

LOST = ("rate_limit", "server_error", "overloaded", "html", "odd_page", "reset", "truncate", "stream_error")
"""No answer comes through: asked again below the agent."""
SPOILT = ("malformed_args", "unknown_tool", "wrong_type_args")
"""The first call is wrong; the others are carried out."""
VOID = ("max_tokens", "empty", "refusal")
"""The answer comes through and is worth nothing."""
FAULTS = (*LOST, "slow", *SPOILT, *VOID)
IN_A_ROW = 4
"""Most faults of one conversation without a good answer between: fewer than tries of a request."""
VOID_IN_A_ROW = 2
"""An agent takes the third refusal in a row for good."""
VOID_IN_ALL = 5
"""Of one conversation; an agent is forgiven six."""


@dataclass
class Schedule:
    """Spoils answers at random; the script of an endpoint.

    Args:
        speaker: gives the answers.
        seed: same seed, same faults for the same order of requests.
        share: of requests that are spoilt.
        down_after: requests after which the service is down for good; None is never.
    """

    speaker: Speaker
    seed: int
    share: float
    down_after: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    """How often each fault struck."""
    given: list[Usage] = field(default_factory=list)
    """The counts of every answer that went out whole, spoilt in content or not."""
    _row: Counter[str] = field(default_factory=Counter)
    _void_row: Counter[str] = field(default_factory=Counter)
    _void: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def script(self, seen: RequestView) -> Answer:
        """The answer to a request, or what becomes of it."""
        if self.down_after is not None and seen.number > self.down_after:
            return {"fault": "overloaded"}
        lane = self.speaker.lane_of(seen)
        answer = self.speaker.answer(seen)
        fault = self._pick(lane)
        if fault:
            self.counts[fault] += 1
            answer["fault"] = fault
        self._row[lane] = self._row[lane] + 1 if fault and fault != "slow" else 0
        self._void_row[lane] = self._void_row[lane] + 1 if fault in VOID else 0
        self._void[lane] += fault in VOID
        return self._spoil(answer, fault)

    def _pick(self, lane: str) -> str | None:
        if self._random.random() >= self.share or self._row[lane] >= IN_A_ROW:
            return None
        spent = self._void_row[lane] >= VOID_IN_A_ROW or self._void[lane] >= VOID_IN_ALL
        return self._random.choice([fault for fault in FAULTS if not (spent and fault in VOID)])

    def _spoil(self, answer: Answer, fault: str | None) -> Answer:
        calls = answer["tool_calls"]
        if fault == "odd_page":
            return {"fault": "html", "status": 200}
        if fault == "rate_limit":
            answer["retry_after"] = 0.01
        elif fault == "slow":
            answer["seconds"] = 0.1
        elif fault in SPOILT:
            self.speaker.spoilt.add(calls[0]["id"])
        elif fault == "max_tokens":
            self.speaker.spoilt.update(call["id"] for call in calls)
        if fault not in LOST:
            usage = answer["usage"]
            self.given.append(
                Usage(
                    input_tokens=usage["input"],
                    output_tokens=usage["output"],
                    cached_tokens=usage["cached"],
                    cache_write_tokens=usage["written"],
                )
            )
        return answer
