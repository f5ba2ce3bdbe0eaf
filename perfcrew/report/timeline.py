"""When phases ran and whose they were, and what running some of them side by side saved."""

from perfcrew.records.report import PhaseRow, Report
from perfcrew.report.scales import choose_ticks

AGENTS = {
    "memory_sync": "memory-sync", "performance": "performance", "performance_baseline": "performance",
    "performance_validation": "performance", "architect": "architect", "coder": "coder", "tester": "tester",
    "security": "security",
}  # fmt: skip
"""Phase to the agent at work in it; in all others plain code is."""
CODE = "no agent"


def busy_seconds(report: Report) -> float:
    """Seconds during which at least one phase was running: parallel phases count once."""
    busy = end = 0.0
    for started, stopped in sorted((phase.started, phase.started + phase.seconds) for phase in report.phases):
        busy += max(0.0, stopped - max(started, end))
        end = max(end, stopped)
    return busy


def saved_seconds(report: Report) -> float:
    """What parallel branches saved: the phases one after the other, less the time that they took together.

    Time between phases belongs to neither, so that a pause (a person's approval, a crash and its resumption) neither
    hides nor makes a saving.
    """
    return max(0.0, report.sequential_seconds - busy_seconds(report))


def place_agents(report: Report) -> list[tuple[str, list[tuple[PhaseRow, float, float]]]]:
    """A lane for each agent, by its first phase: its phases, with start and length in per cent of the run."""
    whole = _whole(report)
    lanes: dict[str, list[tuple[PhaseRow, float, float]]] = {}
    for phase in sorted(report.phases, key=lambda phase: (phase.started, -phase.seconds)):
        place = (phase, round(100 * phase.started / whole, 2), round(100 * phase.seconds / whole, 2))
        lanes.setdefault(AGENTS.get(phase.name, CODE), []).append(place)
    return list(lanes.items())


def time_ticks(report: Report) -> list[tuple[float, float]]:
    """Round numbers of seconds, or of minutes where it took several, and where they lie in per cent of the run."""
    whole = _whole(report)
    unit = 60.0 if whole > 180 else 1.0
    ticks = [tick * unit for tick in choose_ticks(0.0, whole / unit, 6)]
    return [(tick, round(100 * tick / whole, 2)) for tick in ticks if tick <= whole]


def _whole(report: Report) -> float:
    return max([report.wall_seconds, 0.001, *(phase.started + phase.seconds for phase in report.phases)])
