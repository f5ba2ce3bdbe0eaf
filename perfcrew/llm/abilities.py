"""What a server can do, learned from its own words: what it refuses once is not asked of it again."""

import re
from dataclasses import dataclass

from perfcrew.errors import LLMError
from perfcrew.llm.models import Model

_SAYS: dict[str, re.Pattern[str]] = {
    "encrypted": re.compile(r"encrypt"),
    "thinking": re.compile(r"\bthinking\b"),
    "cache_marks": re.compile(r"cache_control"),
    "stream_usage": re.compile(r"stream_options|include_usage"),
    "parallel_switch": re.compile(r"parallel_tool_calls"),
    "parallel": re.compile(r"(single|one|1) tool.?call|(multiple|parallel|several) (tool|function).?calls?"),
    "strict": re.compile(r"\bstrict\b|json.?schema|invalid schema|additionalproperties|schema is too complex|grammar"),
    "streams": re.compile(r"\bstream(ing)?\b.*(not|n't|un)\w* ?(support|allow|available)|(not|n't|un).*\bstream"),
}
"""Ability to how services call it when they refuse it. The first that is on and fits is given up."""
_REFUSALS = re.compile(r"HTTP (400|404|405|422)\b")
_TEMPLATE_FAILURES = re.compile(r"HTTP 50[01]\b")
"""Some servers run into an error of their chat template where they lack an ability, and answer with a 500."""
LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass
class Abilities:
    """What is asked of a server; each is on until the server refuses it or the table of models denies it."""

    strict: bool = True
    """Arguments of tools held to their schemas."""
    parallel: bool = True
    """Several calls in one turn."""
    parallel_switch: bool = True
    """Knows the parameter that forbids several calls in one turn."""
    encrypted: bool = True
    """Reasoning comes back encrypted, to be passed on."""
    thinking: bool = False
    """Thinks before it answers when asked to; only models that are known to are asked."""
    cache_marks: bool = True
    """Takes marks for its prompt cache."""
    streams: bool = True
    """Answers in pieces when asked to."""
    stream_usage: bool = True
    """Counts tokens at the end of a stream when asked to."""
    limit: str = LIMITS[0]
    """What Chat Completions calls the most tokens of an answer. OpenAI refuses the old name on its newer models, and
    many compatible servers ignore the new one."""
    limit_learned: bool = False

    @classmethod
    def of(cls, model: Model | None) -> "Abilities":
        """What the table of models says; strangers are believed capable until they refuse."""
        if model is None:
            return cls()
        return cls(strict=model.strict, parallel=model.parallel, thinking=model.thinking)

    def learn(self, error: LLMError) -> bool:
        """Give up the ability that a service's refusal is about.

        Returns:
            Whether there was one, so that the request, made without it, is worth another try.
        """
        told, words = str(error), str(error).lower()
        if self.parallel and _TEMPLATE_FAILURES.search(told) and _SAYS["parallel"].search(words):
            self.parallel = False
            return True
        if not _REFUSALS.search(told):
            return False
        for name, says in _SAYS.items():
            if getattr(self, name) and says.search(words):
                setattr(self, name, False)
                return True
        if self.limit in words and not self.limit_learned:
            self.limit, self.limit_learned = LIMITS[self.limit == LIMITS[0]], True
            return True
        return False
