"""The stream of chunks of Chat Completions, put together to the completion that a plain answer is."""

from typing import Any


class ChatFold:
    """Takes chunks up to the end mark."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._calls: list[dict[str, Any]] = []
        self._finish: Any = None
        self._usage: Any = None
        self._ended = False

    def take(self, event: dict[str, Any]) -> str:
        """Take one chunk in; the text in it, if it brings some."""
        self._usage = event.get("usage") or self._usage
        choices = event.get("choices") or []
        if not choices:
            return ""
        self._finish = choices[0].get("finish_reason") or self._finish
        delta = choices[0].get("delta") or {}
        for name in ("content", "refusal"):
            if delta.get(name):
                self._texts[name] = self._texts.get(name, "") + str(delta[name])
        for part in delta.get("tool_calls") or []:
            self._call(part)
        return str(delta.get("content") or delta.get("refusal") or "")

    def _call(self, part: dict[str, Any]) -> None:
        index, name = part.get("index"), part.get("id")
        known = next((call for call in reversed(self._calls) if call["index"] == index), None)
        # Some servers send whole calls, all of them with the same index or with none.
        if known is None or (name and known["id"] and name != known["id"]):
            known = {"index": index, "id": name, "function": {"name": "", "arguments": ""}}
            self._calls.append(known)
        said = part.get("function") or {}
        known["id"] = known["id"] or name
        known["function"]["name"] = known["function"]["name"] or said.get("name") or ""
        known["function"]["arguments"] += said.get("arguments") or ""

    def end(self) -> None:
        """The end mark came."""
        self._ended = True

    def body(self) -> dict[str, Any] | None:
        """The completion; None when the stream ended before it did."""
        # A stream cut between the last piece and the count of tokens would lose the count: it is asked for again.
        if self._finish is None or not (self._ended or self._usage):
            return None
        message = {**self._texts, "tool_calls": self._calls}
        return {"choices": [{"message": message, "finish_reason": self._finish}], "usage": self._usage}
