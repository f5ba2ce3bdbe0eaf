"""A conversation's place in its model's context window: what is sent, when it is cut, and `recall` of what was cut."""

from collections.abc import Sequence

from pydantic import Field, ValidationError

from agents.crew import Crew
from perfcrew.llm.base import Message, Request, ToolCall, ToolSpec, Usage
from perfcrew.llm.shrink import shrink
from perfcrew.llm.tokens import TokenGauge
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from tools.tool import ToolOutput, explain

MAX_TOKENS = 16_000
"""Most tokens of one reply."""
FULL = 0.9
"""Part of a model's context window that a conversation may fill; the rest is for errors of the estimate."""
ROOMY = 0.5
"""Part of it that a conversation fills after a cut: far below the mark, so that cuts are rare."""
RECALL = "recall"


class Reference(Record):
    """What to give back."""

    reference: str = Field(description='the reference in a line that says [cut: …], such as "3.0", or an evidence id')


RECALL_SPEC = ToolSpec(
    name=RECALL,
    description="Give back what was cut out of this conversation to make room: a tool's result or arguments, whole.",
    parameters={name: part for name, part in Reference.model_json_schema().items() if name != "title"},
)
"""Offered from the first cut on: that invalidates the provider's prompt cache anyway, and few conversations need it."""


class Window:
    """What of a conversation is sent.

    Args:
        crew: what is known of the model, and how tokens are counted.
        model: who is asked.
        system: the system prompt.
        tools: those of the role.
        answer: the name of the tool that ends the conversation.
    """

    def __init__(self, crew: Crew, model: str, system: str, tools: tuple[ToolSpec, ...], answer: str) -> None:
        known = crew.catalogue.find(model)
        self._size = known.context if known else None
        self._gauge = TokenGauge(crew.count)
        self._whole: dict[str, str] = {}
        most = min(MAX_TOKENS, known.max_output) if known else MAX_TOKENS
        if self._size:
            most = min(most, self._size // 4)
        self._empty = Request(model=model, system=system, messages=(), tools=tools, max_tokens=most, answer=answer)

    @property
    def was_cut(self) -> bool:
        """Whether there is anything to recall."""
        return bool(self._whole)

    def request(self, messages: Sequence[Message]) -> Request:
        """The conversation as it is asked."""
        return self._empty.model_copy(update={"messages": tuple(messages)})

    def learn(self, request: Request, usage: Usage) -> None:
        """Take in how many tokens the provider counted."""
        self._gauge.learn(request, usage)

    def fit(self, messages: list[Message]) -> str | None:
        """Cut the conversation, in place, if it outgrows the window; why it must end where that is not enough."""
        if self._size is None:
            return None
        tokens, most = float(self.tokens(messages)), self._size * FULL - self._empty.max_tokens
        if tokens > most:
            tokens -= self._cut(messages, tokens - self._size * ROOMY, tokens - most)
        return f"{tokens:,.0f} of {self._size:,} tokens of context" if tokens > most else None

    def overflow(self, messages: list[Message], tokens: float) -> bool:
        """Cut the conversation, in place, because the service says that it is too long; whether anything was cut.

        Args:
            messages: the conversation.
            tokens: our estimate of what was too long. The window is taken to be smaller from now on.
        """
        self._size = int(min(self._size or tokens, tokens))
        return self._cut(messages, tokens * ROOMY, tokens * ROOMY) > 0

    def tokens(self, messages: Sequence[Message]) -> int:
        """Estimate of the input tokens that the conversation takes now."""
        return self._gauge.estimate(self.request(messages))

    def _cut(self, messages: list[Message], wanted: float, needed: float) -> float:
        shrunk = shrink(
            messages, lambda message: self._gauge.weigh(message, self._empty.model), wanted=wanted, needed=needed
        )
        messages[:] = shrunk.messages
        if shrunk.cut and not self._whole:
            self._empty = self._empty.model_copy(update={"tools": (*self._empty.tools, RECALL_SPEC)})
        self._whole.update(shrunk.cut)
        return shrunk.freed

    def recall(self, call: ToolCall, evidence: Sequence[Evidence]) -> ToolOutput:
        """Answer a call of `recall`."""
        try:
            reference = Reference.model_validate(call.arguments).reference
        except ValidationError as error:
            return ToolOutput(content=explain(error), is_error=True)
        found = {item.id: f"{item.title}\n{item.digest}" for item in evidence} | self._whole
        if reference not in found:
            return ToolOutput(content=f"there is no {reference!r}; there is: {', '.join(found)}", is_error=True)
        return ToolOutput(content=found[reference])
