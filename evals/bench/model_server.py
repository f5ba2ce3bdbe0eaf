"""A model service without latency: `python -m evals.bench.model_server TURNS PORT_FILE`.

On each connection it asks for a tool call until turn TURNS, where it gives the answer; then it starts over. It parses
no JSON, so that what a client measures is its own time. It speaks Messages, Responses and Chat Completions.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

THOUGHT = "The figures of the last note point at the query behind the list; the next note should name its index. "
ARGUMENTS = {"answer": {"word": "done"}}


class Service(asyncio.Protocol):
    """One connection."""

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self._number = 0
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._read[:end])
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(self._read) < end + 4 + size:
                return
            del self._read[: end + 4 + size]
            self._number = self._number % self._turns + 1
            body = json.dumps(answer(head.split(b" ", 2)[1].decode(), self._number, self._turns)).encode()
            headers = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            if self._transport:
                self._transport.write(headers.encode() + body)


def answer(path: str, number: int, turns: int) -> dict[str, Any]:
    """The body for the request of that number on that path."""
    name = "answer" if number == turns else "read_note"
    given = ARGUMENTS.get(name, {"number": number})
    if path.endswith("/messages"):
        return _message(name, given, number)
    return _response(name, given, number) if path.endswith("/responses") else _completion(name, given, number)


def _message(name: str, given: Any, number: int) -> dict[str, Any]:
    content = [
        {"type": "text", "text": THOUGHT},
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given},
    ]
    usage = {"input_tokens": 200, "output_tokens": 60, "cache_read_input_tokens": 150 * number}
    return {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "model": "bench", "content": content,
        "stop_reason": "tool_use", "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def _response(name: str, given: Any, number: int) -> dict[str, Any]:
    text = {"type": "output_text", "text": THOUGHT, "annotations": []}
    output = [
        {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [text]},
        {
            "type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name,
            "arguments": json.dumps(given), "status": "completed",
        },
    ]  # fmt: skip
    usage = {
        "input_tokens": 200 + 150 * number, "output_tokens": 60, "total_tokens": 260 + 150 * number,
        "input_tokens_details": {"cached_tokens": 150 * number}, "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
    return {
        "id": f"resp_{number}", "object": "response", "created_at": 0, "model": "bench", "status": "completed",
        "output": output, "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip


def _completion(name: str, given: Any, number: int) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(given)}
    calls = [{"id": f"call_{number}", "type": "function", "function": function}]
    message = {"role": "assistant", "content": THOUGHT, "tool_calls": calls}
    return {
        "id": f"chat_{number}", "object": "chat.completion", "created": 0, "model": "bench",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 200 + 150 * number, "completion_tokens": 60, "total_tokens": 260 + 150 * number},
    }  # fmt: skip


async def serve(turns: int, port_file: Path) -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(lambda: Service(turns), "127.0.0.1", 0)
    fresh = port_file.with_suffix(".new")
    fresh.write_text(str(server.sockets[0].getsockname()[1]))
    fresh.replace(port_file)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
