"""The dashboard: everything that a user sees after signing in."""

from typing import Any

from sqlalchemy.orm import Session

from dashboard import clock
from dashboard.audit import ViewTrail
from dashboard.auth import calendar_url
from dashboard.config import Settings
from dashboard.models import User
from dashboard.permissions import permission_table
from dashboard.serializers import serialize_activity, serialize_user
from dashboard.services.activity import load_feed
from dashboard.services.notifications import count_unread
from dashboard.services.preferences import effective_preferences
from dashboard.services.widgets import render_widget, visible_widgets


def build_dashboard(session: Session, user: User, settings: Settings, trail: ViewTrail) -> dict[str, Any]:
    """The payload of GET /api/dashboard. Everything in it is as of now: a change shows in the next request."""
    preferences = effective_preferences(session, user)
    grants = permission_table(user.role)
    feed = load_feed(session, user.id)

    widgets = []
    for widget in visible_widgets(session, user, preferences):
        widgets.append(render_widget(session, user, widget))
        trail.record(user.id, f"widget:{widget.kind}", {"widget_id": widget.id, "title": widget.title})

    items = []
    for activity in feed[: settings.feed_limit]:
        items.append(serialize_activity(activity, user.team.currency, preferences, grants))
    trail.record(user.id, "dashboard", {"shown": [item["id"] for item in items], "of": len(feed)})

    return {
        "generated_at": clock.now(),
        "user": serialize_user(user),
        "team": {
            "id": user.team.id,
            "name": user.team.name,
            "plan": user.team.plan,
            "currency": user.team.currency,
        },
        "preferences": preferences,
        "permissions": grants,
        "unread_notifications": count_unread(session, user.id),
        "calendar_url": calendar_url(settings, user),
        "widgets": widgets,
        "activity": {"items": items, "shown": len(items), "total": len(feed)},
    }
