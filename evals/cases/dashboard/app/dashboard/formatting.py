"""How dates, durations and money look to people."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

CURRENCY_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "CHF": "CHF "}
DATE_STYLES = {"iso": "%Y-%m-%d", "eu": "%d.%m.%Y", "us": "%m/%d/%Y"}
TIME_STYLES = {"24h": "%H:%M", "12h": "%I:%M %p"}


def to_local(moment: datetime, timezone: str) -> datetime:
    """A stored moment (naive UTC) on a user's wall clock."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone))


def format_date(local: datetime, style: str) -> str:
    """The date in the user's style."""
    return local.strftime(DATE_STYLES.get(style, DATE_STYLES["iso"]))


def format_time(local: datetime, style: str) -> str:
    """The time of day in the user's style."""
    return local.strftime(TIME_STYLES.get(style, TIME_STYLES["24h"]))


def day_label(local: datetime, local_now: datetime, style: str) -> str:
    """`Today`, `Yesterday`, a weekday within the last week, or a date."""
    days = (local_now.date() - local.date()).days
    if days == 0:
        return "Today"
    if days == 1:
        return "Yesterday"
    if 1 < days < 7:
        return local.strftime("%A")
    return format_date(local, style)


def humanise_age(age: timedelta) -> str:
    """A rough age, such as `3 hours ago`."""
    seconds = int(age.total_seconds())
    if seconds < 60:
        return "just now"
    for unit, length in (("year", 31_536_000), ("month", 2_592_000), ("week", 604_800), ("day", 86_400),
                         ("hour", 3_600), ("minute", 60)):  # fmt: skip
        count = seconds // length
        if count:
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    return "just now"


def format_duration(minutes: int) -> str:
    """Hours and minutes, with a sign for corrections."""
    sign = "-" if minutes < 0 else ""
    hours, rest = divmod(abs(minutes), 60)
    return f"{sign}{hours}:{rest:02d}"


def format_money(amount: Decimal, currency: str) -> str:
    """An amount with its sign, thousands separated."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{CURRENCY_SIGNS.get(currency, currency + ' ')}{abs(amount):,.2f}"


def initials(name: str) -> str:
    """The letters of an avatar."""
    parts = [part for part in name.split() if part]
    return "".join(part[0].upper() for part in (parts[:1] + parts[-1:] if len(parts) > 1 else parts))
