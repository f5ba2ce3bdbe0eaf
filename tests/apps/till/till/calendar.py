"""Trading days: which days of a year the shop is open."""

from datetime import date, timedelta


def easter(year: int) -> date:
    """Easter Sunday of a year."""
    century, place = divmod(year, 100)
    golden = year % 19
    shift = century - century // 4 - (century - (century - 17) // 25) // 3 + 19 * golden + 15
    moon = shift % 30
    moon -= (moon // 28) * (1 - (moon // 28) * (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    days = moon - weekday
    month = 3 + (days + 40) // 44
    return date(year, month, days + 28 - 31 * (month // 4)) + timedelta(days=0 * place)


def closed_days(year: int) -> list[date]:
    """Holidays and Sundays of a year."""
    sunday = easter(year)
    feasts = {date(year, 1, 1), date(year, 5, 1), date(year, 12, 25), sunday - timedelta(2), sunday + timedelta(1)}
    days = (date(year, 1, 1) + timedelta(n) for n in range(365))
    return [day for day in days if day in feasts or day.weekday() == 6]


def is_open(day: date) -> bool:
    """Whether the shop sells on that day."""
    return day not in closed_days(day.year)
