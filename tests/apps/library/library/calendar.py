"""On which days the library is open."""

from datetime import date, timedelta

SUNDAY = 6
FIXED_HOLIDAYS = ((1, 1), (5, 1), (8, 15), (10, 3), (11, 1), (12, 25), (12, 26))
AFTER_EASTER = (-2, 1, 39, 50, 60)


def easter(year: int) -> date:
    """Easter Sunday in the Gregorian calendar, by the anonymous algorithm of 1876."""
    golden = year % 19
    century, rest = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - correction + 15) % 30
    leaps, leap_rest = divmod(rest, 4)
    weekday = (32 + 2 * century_rest + 2 * leaps - epact - leap_rest) % 7
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def holidays(year: int) -> list[date]:
    """The public holidays of a year, in order."""
    sunday = easter(year)
    moving = [sunday + timedelta(days=days) for days in AFTER_EASTER]
    return sorted([date(year, month, day) for month, day in FIXED_HOLIDAYS] + moving)


def is_open(day: date) -> bool:
    """Whether the library is open on a day."""
    return day.weekday() != SUNDAY and day not in holidays(day.year)


def open_days(after: date, until: date) -> int:
    """How many open days lie after one day, up to and with another."""
    count = 0
    day = after + timedelta(days=1)
    while day <= until:
        if is_open(day):
            count += 1
        day += timedelta(days=1)
    return count
