"""Anthropic's stream of events, put together to the message that a plain answer is."""

from typing import Any

_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class MessagesFold:
    """Takes `message_start` to `message_stop`."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._arguments: dict[int, str] = {}
        self._ended = False

    def take(self, event: dict[str, Any]) -> str:
        """Take one event in; the text in it, if it brings some."""
        match event.get("type"):
            case "message_start":
                self._message = dict(event.get("message") or {})
            case "content_block_start":
                self._blocks[int(event["index"])] = dict(event.get("content_block") or {})
            case "content_block_delta":
                return self._piece(int(event["index"]), event.get("delta") or {})
            case "message_delta":
                self._message |= event.get("delta") or {}
                # Counts of the end are totals; those that it leaves out stand as they began.
                counted = {name: count for name, count in (event.get("usage") or {}).items() if count is not None}
                self._message["usage"] = {**(self._message.get("usage") or {}), **counted}
            case "message_stop":
                self._ended = True
        return ""

    def _piece(self, index: int, delta: dict[str, Any]) -> str:
        block, kind = self._blocks.setdefault(index, {}), delta.get("type")
        if kind == "input_json_delta":
            self._arguments[index] = self._arguments.get(index, "") + str(delta.get("partial_json") or "")
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
        elif kind in _PIECES:
            name = _PIECES[kind]
            block[name] = str(block.get(name) or "") + str(delta.get(name) or "")
        return str(delta.get("text") or "") if kind == "text_delta" else ""

    def end(self) -> None:
        """Anthropic says it with an event."""

    def body(self) -> dict[str, Any] | None:
        """The message; None when the stream ended before it did."""
        if not self._ended:
            return None
        for index, arguments in self._arguments.items():
            if arguments:
                self._blocks[index]["input"] = arguments
        return {**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]}
