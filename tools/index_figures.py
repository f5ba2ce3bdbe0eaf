"""An index trial's figures, as rows, as a raw file and as text. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfcrew.quantiles import mad, median
from perfcrew.records.facts import Row
from tools.plans import Candidate


@dataclass
class Trial:
    """One index tried. Times in ms; each list holds a value for each repeat, summed over statements × calls."""

    candidate: Candidate
    build_s: float = 0.0
    bytes: int | None = None
    reads: dict[str, list[float]] = field(default_factory=lambda: {"without": [], "with": []})
    writes: dict[str, list[float]] = field(default_factory=lambda: {"without": [], "with": []})
    statements: int = 0
    written: str = ""
    """What the price is of: the workload's own writes, or copied rows."""
    skipped: list[str] = field(default_factory=list)
    wins: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Statement id to its median before and after, the calls that the index changes most first."""

    def difference(self, kind: Mapping[str, list[float]]) -> tuple[float, float]:
        """Median and spread (median absolute deviation) of what the index saves, repeat by repeat."""
        pairs = [before - after for before, after in zip(kind["without"], kind["with"], strict=True)]
        return (median(pairs), mad(pairs)) if pairs else (0.0, 0.0)


def to_row(trial: Trial) -> Row:
    """The trial as detectors read it."""
    saved, spread = trial.difference(trial.reads)
    added, added_spread = trial.difference(trial.writes)
    before, after = (median(trial.reads[name]) if trial.reads[name] else 0.0 for name in ("without", "with"))
    wrote = bool(trial.writes["with"])
    return {
        "table": trial.candidate.table, "index": trial.candidate.ddl,
        "lead": f"{trial.candidate.table}({trial.candidate.columns[0]})", "read_ms": before, "read_after_ms": after,
        "saved_ms": saved, "spread_ms": spread, "saved_share": saved / before if before else 0.0,
        "write_ms": median(trial.writes["without"]) if wrote else None, "write_added_ms": -added if wrote else None,
        "write_spread_ms": added_spread if wrote else None, "written": trial.written if wrote else None,
        "bytes": trial.bytes, "build_ms": trial.build_s * 1000, "repeats": len(trial.reads["with"]),
    }  # fmt: skip


def to_raw(trial: Trial) -> dict[str, Any]:
    """The trial as it is kept."""
    return {
        "index": trial.candidate.ddl, "reads": trial.reads, "writes": trial.writes, "written": trial.written,
        "statements": trial.wins, "skipped": trial.skipped, "build_s": trial.build_s, "bytes": trial.bytes,
    }  # fmt: skip


def render_trial(trial: Trial, workload: str) -> str:
    """A few lines on one index."""
    row = to_row(trial)
    size = f", {trial.bytes / 1e6:.1f} MB" if trial.bytes is not None else ""
    lines = [
        f"{trial.candidate.ddl}: built in {trial.build_s * 1000:.0f} ms{size}; {row['repeats']} repeats in turns on "
        "two copies, medians ± spread",
        f"  {trial.statements} reading statements of {workload} touch the table: {row['read_ms']:.2f} → "
        f"{row['read_after_ms']:.2f} ms a request, saves {row['saved_ms']:.2f} ± {row['spread_ms']:.2f} ms",
    ]
    for name, (before, after) in list(trial.wins.items())[:4]:
        lines.append(f"    {name}: {before:.2f} → {after:.2f} ms a call")
    if row["write_added_ms"] is None:
        lines.append("  its price for writes is not known: the workload has none here, and rows can't be copied")
    else:
        lines.append(
            f"  price: {row['write_ms']:.3f} ms + {row['write_added_ms']:.3f} ± {row['write_spread_ms']:.3f} ms for "
            f"{trial.written}"
        )
    lines += [f"  not run: {text_}" for text_ in trial.skipped[:3]]
    return "\n".join(lines)
