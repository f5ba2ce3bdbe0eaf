"""The protocol between the crew and any model: one request, one reply, no provider's types."""

from functools import cached_property
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from perfcrew.llm.strict import tighten
from perfcrew.records.base import Record

Stop = Literal["end", "tool", "max_tokens", "refusal", "pause", "context_window", "incomplete"]


class Text(Record):
    """Plain text."""

    kind: Literal["text"] = "text"
    text: str


class ToolCall(Record):
    """A call that the model asks for."""

    kind: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    malformed: str | None = None
    """The arguments as they came, when they are not a JSON object; such a call is never executed."""


class ToolResult(Record):
    """What a call gave."""

    kind: Literal["tool_result"] = "tool_result"
    call: str
    """Id of the call."""
    content: str
    is_error: bool = False


class Opaque(Record):
    """A provider's own block, such as thinking: it goes back to the same provider word for word."""

    kind: Literal["opaque"] = "opaque"
    provider: str
    data: dict[str, Any]


Block = Annotated[Text | ToolCall | ToolResult | Opaque, Field(discriminator="kind")]


class Message(Record):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]


class ToolSpec(Record):
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments, an object."""

    @cached_property
    def strict_parameters(self) -> dict[str, Any] | None:
        """The schema as OpenAI can hold a model to it; None where it has no such form."""
        return tighten(self.parameters, all_required=True)

    @cached_property
    def closed_parameters(self) -> dict[str, Any] | None:
        """The schema as Anthropic can hold a model to it; None where it has no such form."""
        return tighten(self.parameters, all_required=False)


class Request(Record):
    """What is asked of a model. The conversation only ever grows at its end."""

    model: str
    """`provider/name`, such as `anthropic/claude-opus-5-5`, `openai/gpt-6.2-sol`, `openai-chat/llama3`."""
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 8192
    answer: str = ""
    """Name of the tool whose arguments are the typed answer: services that can are held to its schema."""


class Usage(Record):
    """Tokens as the provider counts them. `input_tokens` includes the cached ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class Reply(Record):
    """What a model answered."""

    model: str
    blocks: tuple[Block, ...]
    stop: Stop
    usage: Usage = Usage()
    request_id: str | None = None
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return "\n".join(block.text for block in self.blocks if isinstance(block, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(block for block in self.blocks if isinstance(block, ToolCall))


class Listener(Protocol):
    """Hears an answer's text while it comes, for a screen; what counts is the reply in the end."""

    def heard(self, text: str) -> None:
        """Another piece of the text came."""
        ...

    def start_over(self) -> None:
        """The answer broke off and is asked for again: what was heard of it so far does not count."""
        ...


class LLM(Protocol):
    """Anything that answers a request."""

    async def complete(self, request: Request, listener: Listener | None = None) -> Reply:
        """Answer a request; with a listener the text is heard as it comes, where the service streams.

        Raises:
            LLMError: the service failed; `retryable` says whether trying again can help.
        """
        ...
