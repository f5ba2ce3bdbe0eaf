"""What a page asks of the network, as the browser's own protocol (CDP) tells it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_KEPT = ("content-encoding", "cache-control", "etag", "last-modified", "content-type", "content-length", "vary")


@dataclass
class NetworkLog:
    """Requests of one page in their order, collected from CDP events.

    Each is a dictionary: id, url, method, type (Document, Script …), initiator (kind and, where known, its address),
    start and end (seconds of the browser's monotonic clock), status, protocol, mime, bytes (on the wire, headers
    included), decoded (bytes of the body), headers (a few of the answer's), connection, reused, from_cache, ttfb_ms,
    failed, redirected_to.
    """

    requests: list[dict[str, Any]] = field(default_factory=list)
    _open: dict[str, dict[str, Any]] = field(default_factory=dict)
    wall_offset: float | None = None
    """Seconds from the monotonic clock to the epoch."""

    def attach(self, session: Any) -> None:
        """Listen to a CDP session."""
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.responseReceived", self._answered)
        session.on("Network.dataReceived", self._received)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.loadingFailed", self._failed)

    def _asked(self, event: Mapping[str, Any]) -> None:
        request = event["request"]
        if request["url"].startswith(("data:", "blob:")):
            return
        if self.wall_offset is None:
            self.wall_offset = event["wallTime"] - event["timestamp"]
        before = self._open.get(event["requestId"])
        if "redirectResponse" in event and before is not None:
            self._take_response(before, event["redirectResponse"])
            before |= {"end": event["timestamp"], "redirected_to": request["url"]}
            before["bytes"] = event["redirectResponse"].get("encodedDataLength", 0)
        initiator = event.get("initiator", {})
        entry = {
            "id": event["requestId"], "url": request["url"], "method": request["method"],
            "body": request.get("postData"), "type": event.get("type", "Other"), "start": event["timestamp"],
            "initiator": initiator.get("type", "other"), "by": initiator.get("url") or _top_frame(initiator),
            "end": None, "status": None, "bytes": 0, "decoded": 0, "failed": None,
        }  # fmt: skip
        self.requests.append(entry)
        self._open[event["requestId"]] = entry

    def _answered(self, event: Mapping[str, Any]) -> None:
        if (entry := self._open.get(event["requestId"])) is not None:
            self._take_response(entry, event["response"])

    def _take_response(self, entry: dict[str, Any], response: Mapping[str, Any]) -> None:
        headers = {name.lower(): value for name, value in response["headers"].items()}
        timing = response.get("timing") or {}
        entry |= {
            "status": response["status"], "protocol": response.get("protocol"), "mime": response.get("mimeType"),
            "connection": response.get("connectionId"), "reused": response.get("connectionReused"),
            "from_cache": bool(response.get("fromDiskCache") or response.get("fromPrefetchCache")),
            "ttfb_ms": timing.get("receiveHeadersEnd"),
            "headers": {name: headers[name] for name in _KEPT if name in headers},
        }  # fmt: skip

    def _received(self, event: Mapping[str, Any]) -> None:
        if (entry := self._open.get(event["requestId"])) is not None:
            entry["decoded"] += int(event["dataLength"])

    def _finished(self, event: Mapping[str, Any]) -> None:
        if (entry := self._open.get(event["requestId"])) is not None:
            entry |= {"end": event["timestamp"], "bytes": int(event["encodedDataLength"])}

    def _failed(self, event: Mapping[str, Any]) -> None:
        if (entry := self._open.get(event["requestId"])) is not None:
            entry |= {"end": event["timestamp"], "failed": event.get("errorText") or "failed"}

    def under_way(self) -> int:
        """How many requests have no end yet."""
        return sum(entry["end"] is None for entry in self.requests)

    def spans(self, origin_ms: float) -> list[list[float]]:
        """Start and end of each finished request in ms since navigation; `origin_ms` is `performance.timeOrigin`."""
        offset = (self.wall_offset or 0.0) * 1000 - origin_ms
        return [
            [entry["start"] * 1000 + offset, entry["end"] * 1000 + offset] for entry in self.requests if entry["end"]
        ]

    def total_bytes(self) -> int:
        """Bytes that came over the wire, headers included."""
        return sum(int(entry["bytes"]) for entry in self.requests)


def _top_frame(initiator: Mapping[str, Any]) -> str | None:
    frames = initiator.get("stack", {}).get("callFrames", ())
    return f"{frames[0]['url']}:{frames[0]['lineNumber'] + 1}" if frames else None


def find_duplicates(requests: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Requests for data or files that were made more than once with equal method, address and body, and how often."""
    counted = Counter(
        f"{entry['method']} {show_address(entry['url'])}"
        for entry in requests
        if entry["method"] in ("GET", "HEAD") and not entry.get("redirected_to") and not entry.get("from_cache")
    )
    return [(name, count) for name, count in counted.most_common() if count > 1]


def show_address(url: str) -> str:
    """An address as shown: path and query on the arm itself, whose port means nothing; else with its host."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    own = parts.hostname in ("127.0.0.1", "localhost")
    return (path if own else f"{parts.scheme}://{parts.netloc}{path}")[:120]
