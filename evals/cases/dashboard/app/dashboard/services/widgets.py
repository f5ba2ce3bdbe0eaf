"""The tiles of a dashboard. Each kind has a function that fills its `data`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard import clock
from dashboard.formatting import format_duration
from dashboard.models import Activity, User, Widget
from dashboard.permissions import permission_table
from dashboard.serializers import (
    serialize_money,
    serialize_notification,
    serialize_person,
    serialize_project_ref,
)
from dashboard.services.activity import current_streak, points_since, start_of_week, weekday_hours
from dashboard.services.billing import ZERO, user_billing
from dashboard.services.leaderboard import team_leaderboard
from dashboard.services.notifications import count_unread, list_notifications
from dashboard.services.preferences import effective_preferences

Preferences = dict[str, Any]
Renderer = Callable[[Session, User, Widget, Preferences], dict[str, Any]]


def visible_widgets(session: Session, user: User, preferences: Preferences) -> list[Widget]:
    """A user's tiles in their order, without the kinds that the user has hidden."""
    widgets = session.scalars(
        select(Widget).where(Widget.user_id == user.id).order_by(Widget.position, Widget.id)
    ).all()
    return [widget for widget in widgets if widget.kind not in preferences["hidden_widgets"]]


def render_widget(session: Session, user: User, widget: Widget) -> dict[str, Any]:
    """A tile with its data and what the user may do with it."""
    preferences = effective_preferences(session, user)
    grants = permission_table(user.role)
    return {
        "id": widget.id,
        "kind": widget.kind,
        "title": widget.title,
        "position": widget.position,
        "config": widget.config,
        "density": preferences["density"],
        "can": grants[f"widget.{widget.kind}"],
        "data": RENDERERS[widget.kind](session, user, widget, preferences),
    }


def _heatmap(session: Session, user: User, widget: Widget, preferences: Preferences) -> dict[str, Any]:
    since = clock.now() - timedelta(weeks=int(widget.config.get("weeks", 12)))
    grid = weekday_hours(session, user.id, since, preferences["timezone"])
    return {"grid": grid, "busiest": max(max(row) for row in grid), "entries": sum(sum(row) for row in grid)}


def _billing(session: Session, user: User, _widget: Widget, _preferences: Preferences) -> dict[str, Any]:
    since = clock.now().replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    rows = user_billing(session, user.id, since)
    currency = user.team.currency
    return {
        "since": since.date().isoformat(),
        "total": serialize_money(sum((amount for _, amount, _ in rows), ZERO), currency).model_dump(),
        "projects": [
            {
                "project": serialize_project_ref(project).model_dump(),
                "amount": serialize_money(amount, currency).model_dump(),
                "time": format_duration(minutes),
            }
            for project, amount, minutes in rows
        ],
    }


def _pulse(session: Session, user: User, widget: Widget, _preferences: Preferences) -> dict[str, Any]:
    standings = team_leaderboard(session, user.team_id)
    top = standings[: int(widget.config.get("top", 5))]
    return {
        "members": len(standings),
        "top": [
            {"rank": standing.rank, "score": standing.score, "person": serialize_person(standing.user).model_dump()}
            for standing in top
        ],
    }


def _rank(session: Session, user: User, _widget: Widget, _preferences: Preferences) -> dict[str, Any]:
    standings = team_leaderboard(session, user.team_id)
    place = next(index for index, standing in enumerate(standings) if standing.user.id == user.id)
    mine = standings[place]
    ahead = standings[place - 1] if place else None
    return {
        "rank": mine.rank,
        "score": mine.score,
        "percentile": mine.percentile,
        "ahead": ahead and {"name": ahead.user.name, "lead": ahead.score - mine.score},
    }


def _inbox(session: Session, user: User, widget: Widget, preferences: Preferences) -> dict[str, Any]:
    latest = list_notifications(session, user.id, unread_only=True, limit=int(widget.config.get("show", 3)))
    return {
        "unread": count_unread(session, user.id),
        "latest": [serialize_notification(notification, preferences) for notification in latest],
    }


def _goal(session: Session, user: User, _widget: Widget, preferences: Preferences) -> dict[str, Any]:
    since = start_of_week(clock.now(), preferences["week_start"])
    points = points_since(session, user.id, since)
    goal = preferences["weekly_goal"]
    return {"points": points, "goal": goal, "percent": min(100, points * 100 // goal), "since": since.isoformat()}


def _streak(session: Session, user: User, _widget: Widget, preferences: Preferences) -> dict[str, Any]:
    return {"days": current_streak(session, user.id, preferences["timezone"])}


def _focus(session: Session, user: User, widget: Widget, _preferences: Preferences) -> dict[str, Any]:
    if widget.project is None:
        return {"project": None, "entries": 0, "time": format_duration(0)}
    entries, minutes = session.execute(
        select(func.count(), func.sum(Activity.minutes)).where(
            Activity.user_id == user.id,
            Activity.project_id == widget.project_id,
            Activity.created_at >= clock.now() - timedelta(days=int(widget.config.get("days", 90))),
        )
    ).one()
    return {
        "project": serialize_project_ref(widget.project).model_dump(),
        "entries": entries,
        "time": format_duration(int(minutes or 0)),
    }


def _note(_session: Session, _user: User, widget: Widget, _preferences: Preferences) -> dict[str, Any]:
    text = str(widget.config.get("text", ""))
    return {"text": text, "words": len(text.split())}


RENDERERS: dict[str, Renderer] = {
    "heatmap": _heatmap,
    "billing": _billing,
    "pulse": _pulse,
    "rank": _rank,
    "inbox": _inbox,
    "goal": _goal,
    "streak": _streak,
    "focus": _focus,
    "note": _note,
}
