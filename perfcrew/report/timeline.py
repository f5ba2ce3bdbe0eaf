"""When phases ran, and what running some of them side by side saved."""

from perfcrew.records.report import PhaseRow, Report


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


def place_phases(report: Report) -> list[tuple[int, PhaseRow]]:
    """Phases in order of their start, each with its row: parallel ones get rows of their own."""
    ends: list[float] = []
    placed: list[tuple[int, PhaseRow]] = []
    for phase in sorted(report.phases, key=lambda phase: (phase.started, -phase.seconds)):
        free = next((row for row, end in enumerate(ends) if end <= phase.started + 1e-9), len(ends))
        if free == len(ends):
            ends.append(0.0)
        ends[free] = phase.started + phase.seconds
        placed.append((free, phase))
    return placed
