"""The activity feed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard import clock
from dashboard.formatting import to_local
from dashboard.models import Activity, Project, User
from dashboard.schemas import NewActivity


def newest_first(entries: Sequence[Activity]) -> list[Activity]:
    """Entries by time, newest first. Entries of the same moment stay in the order in which they were logged."""
    return sorted(entries, key=lambda entry: entry.created_at, reverse=True)


def load_feed(session: Session, user_id: int, kind: str | None = None) -> list[Activity]:
    """Everything that a user has done, newest first."""
    query = select(Activity).where(Activity.user_id == user_id).order_by(Activity.id)
    if kind:
        query = query.where(Activity.kind == kind)
    return newest_first(session.scalars(query).all())


def count_feed(session: Session, user_id: int, kind: str | None = None) -> int:
    """How many entries a user's feed has."""
    query = select(func.count()).select_from(Activity).where(Activity.user_id == user_id)
    if kind:
        query = query.where(Activity.kind == kind)
    return session.scalar(query) or 0


def log_activity(session: Session, user: User, project: Project, new: NewActivity) -> Activity:
    """Add an entry to a user's feed."""
    activity = Activity(
        user_id=user.id,
        project_id=project.id,
        kind=new.kind,
        title=new.title,
        summary=new.summary,
        tags=new.tags,
        minutes=new.minutes,
        rate_cents=new.rate_cents,
        discount=new.discount,
        points=new.points,
        created_at=clock.now(),
    )
    session.add(activity)
    session.commit()
    return activity


def start_of_week(moment: datetime, week_start: str) -> datetime:
    """Midnight UTC at which the week of a moment began."""
    offset = moment.weekday() if week_start == "monday" else (moment.weekday() + 1) % 7
    return (moment - timedelta(days=offset)).replace(hour=0, minute=0, second=0, microsecond=0)


def points_since(session: Session, user_id: int, since: datetime) -> int:
    """Points that a user has collected since a moment."""
    query = select(func.sum(Activity.points)).where(Activity.user_id == user_id, Activity.created_at >= since)
    return int(session.scalar(query) or 0)


def weekday_hours(session: Session, user_id: int, since: datetime, timezone: str) -> list[list[int]]:
    """Entries by weekday (Monday first) and hour of the user's wall clock."""
    grid = [[0] * 24 for _ in range(7)]
    moments = session.scalars(
        select(Activity.created_at).where(Activity.user_id == user_id, Activity.created_at >= since)
    )
    for moment in moments:
        local = to_local(moment, timezone)
        grid[local.weekday()][local.hour] += 1
    return grid


def current_streak(session: Session, user_id: int, timezone: str) -> int:
    """Days in a row, up to today or yesterday, on which the user did something."""
    moments = session.scalars(select(Activity.created_at).where(Activity.user_id == user_id))
    days = {to_local(moment, timezone).date() for moment in moments}
    day = to_local(clock.now(), timezone).date()
    if day not in days:
        day -= timedelta(days=1)
    streak = 0
    while day in days:
        streak += 1
        day -= timedelta(days=1)
    return streak
