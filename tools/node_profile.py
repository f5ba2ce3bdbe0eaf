"""V8's CPU profiles as collapsed stacks, the form in which Python's come too."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

RATE = 1000
"""Samples a second that the injected profiler asks V8 for."""
_IDLE = "(idle)"
_NATIVE = {"(program)": "native code", "(garbage collector)": "garbage collector"}


@dataclass(frozen=True)
class NodeProfile:
    """Profiles of all the server's processes together."""

    stacks: str
    """Collapsed, one stack a line with its number of milliseconds; without idle time."""
    busy_s: float
    seconds: float
    """Of the recording, which is the same for all processes."""


def read_profiles(profiles: Iterable[Mapping[str, Any]]) -> NodeProfile:
    """Reduce `.cpuprofile` objects: each sample counts for the time until the next one.

    A frame's line is the one of it that was seen most where it is the innermost (V8 keeps no more), and for callers
    the line on which the function begins.
    """
    counts: Counter[str] = Counter()
    busy = seconds = 0.0
    for profile in profiles:
        nodes = {node["id"]: node for node in profile["nodes"]}
        parents = {child: node["id"] for node in profile["nodes"] for child in node.get("children", ())}
        spent: Counter[int] = Counter()
        deltas = profile["timeDeltas"]
        # A delta is the time since the sample before: what a sample stands for is the next one's.
        for sample, delta in zip(profile["samples"], [*deltas[1:], 0], strict=True):
            spent[sample] += max(delta, 0)
        seconds = max(seconds, (profile["endTime"] - profile["startTime"]) / 1e6)
        for identifier, microseconds in spent.items():
            if nodes[identifier]["callFrame"]["functionName"] == _IDLE:
                continue
            busy += microseconds / 1e6
            stack = _collapse(identifier, nodes, parents)
            if stack:
                counts[stack] += microseconds
    lines = [f"{stack} {round(us / 1000)}" for stack, us in counts.most_common() if us >= 500]
    return NodeProfile("\n".join(lines), busy, seconds)


def _collapse(identifier: int, nodes: Mapping[int, Any], parents: Mapping[int, int]) -> str:
    frames: list[str] = []
    current: int | None = identifier
    while current is not None:
        node = nodes[current]
        name = node["callFrame"]["functionName"]
        if name in _NATIVE:
            frames.append(f"{_NATIVE[name]} (node:v8)")
        elif name != "(root)":
            frames.append(frame_of(node, innermost=current == identifier))
        current = parents.get(current)
    return ";".join(reversed(frames))


def frame_of(node: Mapping[str, Any], innermost: bool = False) -> str:
    """A node's frame as `function (file:line)`; of the innermost the busiest line, else the function's first."""
    call = node["callFrame"]
    line = call["lineNumber"] + 1
    if innermost and node.get("positionTicks"):
        line = max(node["positionTicks"], key=lambda tick: tick["ticks"])["line"]
    url = call["url"]
    file = unquote(urlsplit(url).path) if url.startswith("file:") else url or "node:native"
    # Semicolons part frames, and a name may hold one. Functions without a name are told apart by where they begin.
    name = (call["functionName"] or f"(anonymous:{call['lineNumber'] + 1})").replace(";", ",")
    return f"{name} ({file}:{line})"
