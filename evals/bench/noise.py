"""Recorded noise: rounds of two identical arms, taken by real duels of a version against itself.

The file holds what a raw duel's cells hold as far as verdicts are drawn from it: every latency (as the logarithm, to
0.05 %), CPU seconds, requests, wall time. One recorded start is a fresh pair of processes with rounds of 0.2 s in turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RECORDED = Path(__file__).with_name("recorded_noise.npz")
"""84 starts of `tunable_server.py` under 4 users on a shared two-core virtual machine, 15 rounds a side each. One start
ran at half its speed throughout; some fell into a neighbour's burst."""

_LEAST_MS = 0.01
_STEPS = 2000.0
"""Codes in one natural logarithm."""


@dataclass(frozen=True)
class Recorded:
    """Recorded starts, each a list of cells as in a raw duel, numbered from 0."""

    starts: Sequence[Sequence[dict[str, Any]]]

    @property
    def rounds(self) -> int:
        """Rounds a side in each start."""
        return min(1 + max(int(cell["round"]) for cell in start) for start in self.starts)

    def pair_seconds(self) -> float:
        """Usual wall time of one round of each arm."""
        spent = [sum(cell["seconds"] for cell in start) / (len(start) / 2) for start in self.starts]
        return float(np.median(spent))


def save_noise(path: Path, duels: Iterable[Any]) -> None:
    """Write the cells of raw duels to a file, in order."""
    cells, offset = [], 0
    for duel in duels:
        starts = sorted({cell["start"] for cell in duel["cells"]})
        number = {start: offset + at for at, start in enumerate(starts)}
        cells += [{**cell, "start": number[cell["start"]]} for cell in duel["cells"]]
        offset += len(starts)
    codes = [np.round(np.log(np.sort(cell["latency_ms"]) / _LEAST_MS) * _STEPS).astype(np.int32) for cell in cells]
    np.savez_compressed(
        path,
        # Sorted, so that differences are small and pack well; the order within a round says nothing.
        latencies=np.concatenate([np.diff(each, prepend=0) for each in codes]).astype(np.uint16),
        counts=np.array([len(each) for each in codes], dtype=np.uint16),
        start=np.array([cell["start"] for cell in cells], dtype=np.uint16),
        candidate=np.array([cell["arm"] == "candidate" for cell in cells]),
        round=np.array([cell["round"] for cell in cells], dtype=np.uint16),
        requests=np.array([cell["requests"] for cell in cells], dtype=np.uint16),
        cpu_us=np.array([round(1e6 * cell["cpu_s"]) for cell in cells], dtype=np.uint32),
        wall_us=np.array([round(1e6 * cell["seconds"]) for cell in cells], dtype=np.uint32),
    )


def load_noise(path: Path = RECORDED) -> Recorded:
    """Read a file that `save_noise` wrote."""
    with np.load(path) as held:
        known = {name: held[name] for name in held.files}
    starts: dict[int, list[dict[str, Any]]] = {}
    ends = np.cumsum(known["counts"].astype(np.int64))
    for at, end in enumerate(ends):
        codes = np.cumsum(known["latencies"][end - known["counts"][at] : end].astype(np.int64))
        number = int(known["start"][at])
        starts.setdefault(number, []).append(
            {
                "start": number, "arm": "candidate" if known["candidate"][at] else "base",
                "round": int(known["round"][at]), "requests": int(known["requests"][at]),
                "latency_ms": (_LEAST_MS * np.exp(codes / _STEPS)).tolist(),
                "cpu_s": float(known["cpu_us"][at]) / 1e6, "seconds": float(known["wall_us"][at]) / 1e6,
            }
        )  # fmt: skip
    return Recorded([starts[number] for number in sorted(starts)])
