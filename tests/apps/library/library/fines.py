"""What a late book costs, in cents."""

from datetime import date

from library.calendar import open_days

CENTS_A_DAY = 25
MAX_CENTS = 2000


def fine_cents(due_on: str, until: date) -> int:
    """The fine for a loan that was due on a day (ISO) and came back, or is looked at, on another."""
    due = date.fromisoformat(due_on)
    if until <= due:
        return 0
    return min(open_days(due, until) * CENTS_A_DAY, MAX_CENTS)


def show_euros(cents: int) -> str:
    """Cents as `3.25`."""
    return f"{cents // 100}.{cents % 100:02d}"
