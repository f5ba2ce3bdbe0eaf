"""How many tokens a request will take, without asking the provider.

The ladder: what the provider counted for the last request, plus an estimate of what was added since; the provider's
tables, if tiktoken has them on this disk (it would download them, and knows no Claude); UTF-8 bytes ÷ 3.2.
"""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from perfcrew.llm.base import Message, Opaque, Request, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.blocks import compact

BYTES_PER_TOKEN = 3.2
TABLES = "o200k_base"
TABLES_URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
MESSAGE_OVERHEAD = 4
"""Tokens that a message costs beyond its text, on either wire."""
RATIO_BOUNDS = (0.25, 4.0)

Count = Callable[[str], float]


def count_bytes(text: str) -> float:
    """Tokens of a text, from its size."""
    return len(text.encode(errors="replace")) / BYTES_PER_TOKEN


def count_message(message: Message, count: Count = count_bytes) -> float:
    """Input tokens of one message."""
    total = float(MESSAGE_OVERHEAD)
    for block in message.blocks:
        if isinstance(block, Text):
            total += count(block.text)
        elif isinstance(block, ToolResult):
            total += count(block.content) + MESSAGE_OVERHEAD
        elif isinstance(block, ToolCall):
            total += count(block.name + compact(block.arguments)) + MESSAGE_OVERHEAD
        elif isinstance(block, Opaque):
            total += count(compact(block.data))
    return total


def count_head(request: Request, count: Count = count_bytes) -> float:
    """Input tokens of what stands before the messages: system and tools."""
    total = count(request.system)
    for tool in request.tools:
        total += count(tool.name + tool.description + compact(tool.parameters)) + MESSAGE_OVERHEAD
    return total


def estimate_tokens(request: Request, count: Count = count_bytes) -> int:
    """Input tokens of a request: system, tools and messages, uncorrected."""
    return round(count_head(request, count) + sum(count_message(message, count) for message in request.messages))


class TokenGauge:
    """Estimates that learn from what the provider counts, per model.

    Keep one for each conversation and feed it every reply, journalled ones included: then it says the same on a resumed
    run as on an undisturbed one. Each message is counted once, however often it is sent.
    """

    def __init__(self, count: Count = count_bytes) -> None:
        self._count = count
        self._ratios: dict[str, float] = {}
        self._known: dict[int, tuple[Message, float]] = {}
        self._head: tuple[str, tuple[ToolSpec, ...], float] | None = None

    def estimate(self, request: Request) -> int:
        """Input tokens of a request, corrected by the last count for its model."""
        return round(self._guess(request) * self._ratios.get(request.model, 1.0))

    def weigh(self, message: Message, model: str) -> float:
        """Input tokens of one message, corrected in the same way."""
        return self._weight(message) * self._ratios.get(model, 1.0)

    def learn(self, request: Request, usage: Usage) -> None:
        """Take in what the provider counted for a request. Servers that count nothing teach nothing."""
        guess = self._guess(request)
        if usage.input_tokens > 0 and guess > 0:
            low, high = RATIO_BOUNDS
            self._ratios[request.model] = min(high, max(low, usage.input_tokens / guess))

    def _guess(self, request: Request) -> int:
        if self._head is None or self._head[:2] != (request.system, request.tools):
            self._head = (request.system, request.tools, count_head(request, self._count))
        return round(self._head[2] + sum(map(self._weight, request.messages)))

    def _weight(self, message: Message) -> float:
        known = self._known.get(id(message))
        if known is None:
            # Held together with its count, so that no other message can come to have its id.
            known = self._known[id(message)] = (message, count_message(message, self._count))
        return known[1]


async def load_tables(folder: Path, seconds: float = 3.0) -> Count | None:
    """A counter with OpenAI's tables, if tiktoken's cache folder (`TIKTOKEN_CACHE_DIR`) holds them; else None.

    tiktoken downloads what it lacks and sets no time limit, so it is not called unless the file is there, and is
    left behind in its thread when it takes longer than `seconds`.
    """
    # The cache names files by the SHA-1 of their address.
    if not (folder / hashlib.sha1(TABLES_URL.encode(), usedforsecurity=False).hexdigest()).is_file():
        return None
    loaded: list[Count] = []
    thread = threading.Thread(target=lambda: loaded.append(_tiktoken()), daemon=True, name="token tables")
    thread.start()
    await asyncio.to_thread(thread.join, seconds)
    return loaded[0] if loaded else None


def _tiktoken() -> Count:
    import tiktoken

    encoding = tiktoken.get_encoding(TABLES)
    return lambda text: float(len(encoding.encode(text, disallowed_special=())))
