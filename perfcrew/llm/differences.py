"""How a request differs from the recorded one, for people: a diff of prompt, tools and history."""

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from perfcrew.llm.asked import Spelt

MOST_LINES = 40
"""Lines of the diff of one part; what changed far away is one click on the journal away."""
WIDTH = 160


def tell_differences(recorded: Spelt, asked: Spelt, parts: Iterable[str]) -> str:
    """A text with a unified diff of each part that differs.

    Args:
        recorded: what the recording was asked.
        asked: what is asked today.
        parts: those of `system`, `tools`, `history` whose digests differ.
    """
    told = []
    for part in parts:
        name = {"system": "prompt"}.get(part, part)
        old, new = _lines(recorded, part), _lines(asked, part)
        if old is None or new is None:
            told.append(f"{name}: differs; the recording holds but a digest of it (record over it to see more)")
            continue
        lines = list(difflib.unified_diff(old, new, "recorded", "asked now", lineterm="", n=2))
        cut = [] if len(lines) <= MOST_LINES else [f"… {len(lines) - MOST_LINES} more lines"]
        told.append("\n".join([f"{name}:", *(f"  {_short(line)}" for line in [*lines[:MOST_LINES], *cut])]))
    return "\n".join(told)


def _lines(spelt: Spelt, part: str) -> list[str] | None:
    if part == "system":
        return None if spelt.system is None else spelt.system.splitlines()
    if part == "tools":
        return None if spelt.tools is None else [line for tool in spelt.tools for line in show_tool(tool)]
    return None if spelt.messages is None else [line for message in spelt.messages for line in show_message(message)]


def show_tool(tool: dict[str, Any]) -> Iterator[str]:
    """A tool as lines: its name, what it says, its parameters."""
    yield f"{tool.get('name')}: {tool.get('description')}"
    yield from (f"  {line}" for line in json.dumps(tool.get("parameters"), indent=1, sort_keys=True).splitlines())


def show_message(message: dict[str, Any]) -> Iterator[str]:
    """A message as lines: who, then its blocks."""
    for block in message.get("blocks", ()):
        yield f"[{message.get('role')}] {show_block_head(block)}".rstrip()
        yield from (f"  {line}" for line in show_block(block).splitlines())


def show_block_head(block: dict[str, Any]) -> str:
    """What a block is, in a few words; nothing for plain text."""
    match block.get("kind"):
        case "tool_call":
            return f"calls {block.get('name')}"
        case "tool_result":
            return f"result of {block.get('call')}{' (error)' if block.get('is_error') else ''}"
        case "opaque":
            return f"{block.get('provider')}'s own block"
    return ""


def show_block(block: dict[str, Any]) -> str:
    """The content of a block as text."""
    match block.get("kind"):
        case "text":
            return str(block.get("text", ""))
        case "tool_call":
            return str(block.get("malformed") or json.dumps(block.get("arguments"), ensure_ascii=False, sort_keys=True))
        case "tool_result":
            return str(block.get("content", ""))
    data = block.get("data")
    thought = data.get("thinking") if isinstance(data, dict) else None
    return str(thought or "")


def _short(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
