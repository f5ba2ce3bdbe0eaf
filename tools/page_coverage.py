"""How much of a page's scripts and style sheets is used, as the browser itself counts it (CDP)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perfcrew.records.facts import Row
from tools.page_network import show_address

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

Span = tuple[int, int]


class Coverage:
    """Counts from its start until it is read. It slows the page down, so nothing is timed meanwhile."""

    def __init__(self, session: "CDPSession") -> None:
        self._session = session
        self._scripts: dict[str, tuple[str, int]] = {}
        self._sheets: dict[str, tuple[str, int]] = {}
        session.on("Debugger.scriptParsed", self._parsed)
        session.on("CSS.styleSheetAdded", self._added)

    def _parsed(self, event: Mapping[str, Any]) -> None:
        if event["url"].startswith("http"):
            self._scripts[event["scriptId"]] = (event["url"], int(event["length"]))

    def _added(self, event: Mapping[str, Any]) -> None:
        header = event["header"]
        if header["sourceURL"].startswith("http") and not header["isInline"]:
            self._sheets[header["styleSheetId"]] = (header["sourceURL"], int(header["length"]))

    async def start(self) -> None:
        """Begin to count; before the page is loaded."""
        send = self._session.send
        for domain in ("Profiler", "Debugger", "DOM", "CSS"):
            await send(f"{domain}.enable")  # type: ignore[arg-type, unused-ignore]
        await send("Debugger.setSkipAllPauses", {"skip": True})
        await send("Profiler.startPreciseCoverage", {"callCount": False, "detailed": True})
        await send("CSS.startRuleUsageTracking")

    async def read(self) -> list[Row]:
        """A row for each file: url, kind, total and unused characters; inline code is left out."""
        scripts = await self._session.send("Profiler.takePreciseCoverage")
        sheets = await self._session.send("CSS.stopRuleUsageTracking")
        rows: dict[tuple[str, str], Row] = {}
        for entry in scripts["result"]:
            if (known := self._scripts.get(entry["scriptId"])) is not None:
                spans = [
                    ((part["startOffset"], part["endOffset"]), part["count"] > 0)
                    for function in entry["functions"]
                    for part in function["ranges"]
                ]
                _add(rows, "script", *known, used_length(spans))
        used: dict[str, list[Span]] = {}
        for rule in sheets["ruleUsage"]:
            if rule["used"]:
                used.setdefault(rule["styleSheetId"], []).append((int(rule["startOffset"]), int(rule["endOffset"])))
        for sheet, (url, total) in self._sheets.items():
            _add(rows, "style", url, total, sum(end - start for start, end in merge_spans(used.get(sheet, ()))))
        return sorted(rows.values(), key=lambda row: -int(row["unused"] or 0))


def _add(rows: dict[tuple[str, str], Row], kind: str, url: str, total: int, used: int) -> None:
    """Note a file. One that is inline in a page has the page's address: its parts add up."""
    row = rows.setdefault((kind, url), {"url": show_address(url), "kind": kind, "total": 0, "unused": 0})
    row["total"] = int(row["total"] or 0) + total
    row["unused"] = int(row["unused"] or 0) + max(total - used, 0)


def used_length(spans: Iterable[tuple[Span, bool]]) -> int:
    """Characters that ran, from V8's block coverage: spans that lie within each other, the innermost holds."""
    edges: list[tuple[int, int, int, bool]] = []
    for (start, end), ran in spans:
        if end > start:
            # At one place ends come before beginnings; of two that begin there the longer is the outer one.
            edges.append((start, 1, start - end, ran))
            edges.append((end, 0, start - end, ran))
    total, last, open_ones = 0, 0, list[bool]()
    for at, begins, _, ran in sorted(edges, key=lambda edge: (edge[0], edge[1], edge[2] if edge[1] else -edge[2])):
        if open_ones and open_ones[-1]:
            total += at - last
        last = at
        if begins:
            open_ones.append(ran)
        else:
            open_ones.pop()
    return total


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """The same places without overlaps."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
