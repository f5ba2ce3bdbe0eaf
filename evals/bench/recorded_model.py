"""A model service that gives a recording's replies over HTTP (Anthropic Messages), and counts what each client asks.

A request is recognised by the conversation that its first message opens and by the number of replies in its history.
Clients are told apart by their keys, so that each run is counted alone.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfcrew.llm.base import Reply, Text, ToolCall
from perfcrew.llm.entries import Entry, read_entries

Turn = tuple[str, int]
"""A lane, and the number of a reply in it."""
_STOPS = {"end": "end_turn", "tool": "tool_use"}


@dataclass
class Call:
    """A request as it came."""

    turn: Turn
    body: str
    """Digest of what was sent."""
    answered: bool = False
    """Whether the whole answer was sent."""


@dataclass
class Client:
    """What one run has asked, over all processes that were at work on it."""

    calls: list[Call] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """Requests that no recorded conversation knows."""
    watch: Callable[[str, int], Awaitable[None]] | None = None
    """Told of the `request`, the `half` and the `answer` of each call, with the call's number from 1."""

    async def tell(self, what: str) -> None:
        """Tell whoever watches."""
        if self.watch is not None:
            await self.watch(what, len(self.calls))


class RecordedModel:
    """The service.

    Args:
        journal: a run's journal, which holds what was asked as well as what was answered.
    """

    def __init__(self, journal: Path) -> None:
        self.clients: dict[str, Client] = {}
        self.replies: dict[Turn, dict[str, Any]] = {}
        self._openings: dict[str, str] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        for entry in read_entries(journal):
            if entry.kind == "reply":
                turn = turn_of(entry)
                self.replies[turn] = to_message(Reply.model_validate(entry.value), len(self.replies))
                if entry.asked is not None and turn[1] == 0:
                    self._openings[_opening(entry.asked.messages[0]["blocks"])] = entry.lane

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listen while the block lasts; the address."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**26)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for writer in self._writers:
                writer.close()

    def client(self, key: str) -> Client:
        """The client with a key."""
        return self.clients.setdefault(key, Client())

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
                body = await reader.readexactly(int(headers["content-length"]))
                await self._answer(self.client(_key_of(headers)), body, writer)
        writer.close()
        self._writers.discard(writer)

    async def _answer(self, client: Client, body: bytes, writer: asyncio.StreamWriter) -> None:
        turn = self._recognise(json.loads(body))
        if turn is None or turn not in self.replies:
            client.strange.append(body[:300].decode(errors="replace"))
            writer.write(_head(400, 2) + b"{}")
            return
        call = Call(turn, hashlib.sha256(body).hexdigest())
        client.calls.append(call)
        await client.tell("request")
        content = json.dumps(self.replies[turn]).encode()
        half = len(content) // 2
        writer.write(_head(200, len(content)) + content[:half])
        await writer.drain()
        await client.tell("half")
        writer.write(content[half:])
        await writer.drain()
        call.answered = True
        await client.tell("answer")

    def _recognise(self, body: Mapping[str, Any]) -> Turn | None:
        messages = body["messages"]
        content = messages[0]["content"]
        said = content if isinstance(content, str) else "\n".join(str(block.get("text", "")) for block in content)
        lane = self._openings.get(said)
        return (lane, sum(message["role"] == "assistant" for message in messages)) if lane else None


def turn_of(entry: Entry) -> Turn:
    """Where a reply stands."""
    return entry.lane, int(entry.key.removeprefix("turn-"))


def _key_of(headers: Mapping[str, str]) -> str:
    return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("bearer ")


def _opening(blocks: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"] for block in blocks)


def to_message(reply: Reply, number: int) -> dict[str, Any]:
    """A reply as the Messages API puts it."""
    content: list[dict[str, Any]] = []
    for block in reply.blocks:
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text, "citations": None})
        elif isinstance(block, ToolCall):
            content.append({"type": "tool_use", "id": block.id, "name": block.name, "input": block.arguments})
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "recorded",
        "content": content,
        "stop_reason": _STOPS[reply.stop],
        "stop_sequence": None,
        "usage": {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens},
    }


def _head(status: int, length: int) -> bytes:
    told = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    return f"{told}connection: keep-alive\r\n\r\n".encode()
