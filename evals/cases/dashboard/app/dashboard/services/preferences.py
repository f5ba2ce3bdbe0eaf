"""Preferences in layers: the product's defaults, then the team's settings, then the user's own values."""

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard import clock
from dashboard.models import Preference, Team, User

DEFAULTS: dict[str, Any] = {
    "theme": "system",
    "timezone": "UTC",
    "date_style": "iso",
    "time_style": "24h",
    "week_start": "monday",
    "density": "cosy",
    "weekly_goal": 40,
    "hidden_widgets": [],
}


class UnknownTimezone(ValueError):
    """The time zone is not in the database of time zones."""


def check_timezone(name: str | None) -> None:
    """Raise UnknownTimezone unless `name` is None or a zone that we can convert to."""
    if name is None:
        return
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownTimezone(f"unknown time zone {name!r}") from error


def effective_preferences(session: Session, user: User) -> dict[str, Any]:
    """What applies to a user right now, all layers merged."""
    team = session.scalars(select(Team).where(Team.id == user.team_id)).one()
    own = session.scalars(select(Preference).where(Preference.user_id == user.id)).one_or_none()
    return {**DEFAULTS, **team.settings, **(own.values if own else {})}


def save_preferences(session: Session, user: User, values: dict[str, Any]) -> None:
    """Change some of a user's own values; the others stay."""
    check_timezone(values.get("timezone"))
    own = session.get(Preference, user.id)
    if own is None:
        own = Preference(user_id=user.id, values={}, updated_at=clock.now())
        session.add(own)
    own.values = {**own.values, **values}
    own.updated_at = clock.now()
    session.commit()


def reset_preferences(session: Session, user: User) -> None:
    """Forget a user's own values, so that the team's apply."""
    own = session.get(Preference, user.id)
    if own is not None:
        session.delete(own)
        session.commit()


def save_team_settings(session: Session, team: Team, values: dict[str, Any]) -> None:
    """Change some of the defaults that members inherit."""
    check_timezone(values.get("timezone"))
    team.settings = {**team.settings, **values}
    session.commit()
