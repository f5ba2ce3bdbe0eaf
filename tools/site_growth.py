"""Call sites by the memory that they hold: pure functions of what the tracer saw of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOP = 8


@dataclass(frozen=True)
class Site:
    """A call site, as `path:line < path:line of the library` and what it holds: kB (1,000 bytes) and blocks."""

    site: str
    kb: float
    blocks: float


@dataclass(frozen=True)
class Peak:
    """The most that a request of an endpoint held at a time, the mean over its requests."""

    endpoint: str
    kb: float
    sites: tuple[Site, ...]
    seen_kb: float
    """What it held when its call sites were looked at: near the peak, never above it."""


def compare_sites(before: Mapping[str, Any], after: Mapping[str, Any], requests: int) -> list[Site]:
    """What came to stay between two looks, a request, the most first. Processes that are not in both are left out.

    Sites that hold less than before are left out too: they say what was freed, not what is kept.
    """
    grown: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for pid in before.keys() & after.keys():
        for sign, look in ((-1, before[pid]), (1, after[pid])):
            for site, blocks, size in look["sites"]:
                grown[site][0] += sign * blocks
                grown[site][1] += sign * size
    sites = [
        Site(site, size / 1000 / max(requests, 1), blocks / max(requests, 1)) for site, (blocks, size) in grown.items()
    ]
    return sorted((site for site in sites if site.kb > 0), key=lambda site: (-site.kb, site.site))


def peak_sites(lines: Iterable[Mapping[str, Any]]) -> list[Peak]:
    """Peaks by endpoint, the highest first."""
    by_endpoint: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        by_endpoint[f"{line['method']} {line['route'] or line['path']}"].append(line)
    peaks = []
    for endpoint, members in by_endpoint.items():
        count = len(members)
        held: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for line in members:
            for site, blocks, size in line["sites"]:
                held[site][0] += blocks / count
                held[site][1] += size / 1000 / count
        sites = sorted((Site(site, kb, blocks) for site, (blocks, kb) in held.items()), key=lambda site: -site.kb)
        peaks.append(Peak(
            endpoint, sum(line["peak_bytes"] for line in members) / 1000 / count, tuple(sites),
            sum(line["looked_bytes"] for line in members) / 1000 / count,
        ))  # fmt: skip
    return sorted(peaks, key=lambda peak: -peak.kb)


def render_sites(
    raw: Mapping[str, Any], stays: Sequence[Site], peaks: Sequence[Peak], allocations: float | None
) -> str:
    """The digest: allocations a request, what stays, what a request holds at its peak."""
    lines = [
        f"{raw['workload']} on {raw['arm']}, requests one at a time; sites are the target's innermost line, `<` what "
        "it called; memory of CPython's allocators only",
        f"allocations a request: {allocations:,.0f} (allocator calls, counted without tracemalloc)"
        if allocations is not None
        else f"allocations a request: not counted ({raw['note']})",
        f"\nStays after {raw['requests']} requests, kB a request, {sum(site.kb for site in stays):.2f} in all:",
    ]
    lines += [f"  {site.kb:8.2f} kB {site.blocks:8.2f} blocks  {site.site}" for site in stays[:TOP] if site.kb >= 0.005]
    lines.append("\nThe most that a request holds at a time, and by which sites (churn: it does not stay):")
    for peak in peaks[:TOP]:
        lines.append(f"  {peak.endpoint}: {peak.kb:,.0f} kB, of which seen {peak.seen_kb:,.0f} kB")
        lines += [f"    {site.kb:8.1f} kB {site.blocks:8.0f} blocks  {site.site}" for site in peak.sites[:3]]
    return "\n".join(lines)
