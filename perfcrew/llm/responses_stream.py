"""The stream of events of OpenAI's Responses, put together to the response that a plain answer is."""

from typing import Any

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})


class ResponsesFold:
    """Takes `response.created` to the last event, which holds the whole response."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._response: dict[str, Any] | None = None

    def take(self, event: dict[str, Any]) -> str:
        """Take one event in; the text in it, if it brings some."""
        kind = event.get("type")
        if kind == "response.output_item.done":
            self._items.append(event.get("item"))
        elif kind in _LAST:
            self._response = dict(event.get("response") or {})
        return str(event.get("delta") or "") if kind in _TEXT else ""

    def end(self) -> None:
        """OpenAI says it with the last event."""

    def body(self) -> dict[str, Any] | None:
        """The response; None when the stream ended before it did."""
        if self._response is not None and not self._response.get("output"):
            # Some compatible servers leave the items out of the last event.
            self._response["output"] = self._items
        return self._response
