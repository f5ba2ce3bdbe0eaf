"""From rows to what goes over the wire."""

import copy
import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from fastapi.responses import JSONResponse

from dashboard import clock
from dashboard.formatting import (
    day_label,
    format_date,
    format_duration,
    format_money,
    format_time,
    humanise_age,
    initials,
    to_local,
)
from dashboard.models import Activity, Notification, Project, User
from dashboard.schemas import ActivityItem, Moment, Money, Person, ProjectRef
from dashboard.services.billing import amount_of

INTERNAL_KEYS = frozenset({"email_verified", "password_hash", "internal_note", "cost_cents"})


def serialize_person(user: User) -> Person:
    """A user as others see them."""
    return Person(
        id=user.id,
        name=user.name,
        initials=initials(user.name),
        title=user.title,
        email=user.email,
        avatar_url=f"/static/avatars/{user.id % 24:02d}.svg",
        profile_url=f"/people/{user.id}-{user.name.lower().replace(' ', '-')}",
    )


def serialize_project_ref(project: Project) -> ProjectRef:
    """A project where it is only mentioned."""
    return ProjectRef(
        id=project.id,
        name=project.name,
        slug=project.slug,
        color=project.color,
        client=project.client,
        status=project.status,
        icon_url=f"/static/icons/project-{project.color.removeprefix('#')}.svg",
        url=f"/projects/{project.slug}",
        board_url=f"/projects/{project.slug}/board",
        api_url=f"/api/projects/{project.id}",
    )


def serialize_moment(moment: datetime, preferences: dict[str, Any]) -> Moment:
    """A stored moment for a reader with these preferences."""
    local = to_local(moment, preferences["timezone"])
    local_now = to_local(clock.now(), preferences["timezone"])
    return Moment(
        utc=moment,
        local=local,
        date=format_date(local, preferences["date_style"]),
        time=format_time(local, preferences["time_style"]),
        day=day_label(local, local_now, preferences["date_style"]),
        age=humanise_age(clock.now() - moment),
    )


def serialize_money(amount: Decimal, currency: str) -> Money:
    """An exact amount and how to show it."""
    return Money(amount=amount, currency=currency, text=format_money(amount, currency))


def serialize_activity(
    activity: Activity, currency: str, preferences: dict[str, Any], grants: dict[str, list[str]]
) -> dict[str, Any]:
    """An entry of the activity feed."""
    item = ActivityItem(
        id=activity.id,
        kind=activity.kind,
        title=activity.title,
        summary=activity.summary,
        tags=activity.tags,
        actor=serialize_person(activity.user),
        project=serialize_project_ref(activity.project),
        created=serialize_moment(activity.created_at, preferences),
        minutes=activity.minutes,
        duration=format_duration(activity.minutes),
        rate_cents=activity.rate_cents,
        discount=activity.discount,
        billable=activity.minutes != 0 and activity.rate_cents > 0,
        amount=serialize_money(amount_of(activity), currency),
        points=activity.points,
        can=grants[f"activity.{activity.kind}"],
        links={
            "self": f"/api/activity/{activity.id}",
            "page": f"/projects/{activity.project.slug}/activity/{activity.id}",
            "comments": f"/projects/{activity.project.slug}/activity/{activity.id}#comments",
            "project": f"/api/projects/{activity.project_id}",
        },
    )
    return ActivityItem.model_validate(item.model_dump()).model_dump(mode="json")


def serialize_notification(notification: Notification, preferences: dict[str, Any]) -> dict[str, Any]:
    """A message of the inbox."""
    return {
        "id": notification.id,
        "kind": notification.kind,
        "body": notification.body,
        "project_id": notification.project_id,
        "created": serialize_moment(notification.created_at, preferences).model_dump(mode="json"),
        "read": notification.read_at is not None,
    }


def serialize_user(user: User) -> dict[str, Any]:
    """The signed-in user."""
    return {
        **serialize_person(user).model_dump(),
        "role": user.role,
        "team_id": user.team_id,
        "joined_at": user.joined_at.isoformat(),
    }


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"can't serialise {type(value).__name__}")


def without_internal_keys(payload: Any) -> Any:
    """A copy of a payload that is safe to leave the house."""
    public = copy.deepcopy(payload)
    _strip(public)
    return public


def _strip(value: Any) -> None:
    if isinstance(value, dict):
        for key in INTERNAL_KEYS.intersection(value):
            del value[key]
        for inner in value.values():
            _strip(inner)
    elif isinstance(value, list):
        for inner in value:
            _strip(inner)


def json_response(payload: dict[str, Any]) -> JSONResponse:
    """A JSON response with an entity tag that depends on nothing but the content."""
    plain = json.loads(json.dumps(payload, default=_encode))
    public = without_internal_keys(plain)
    tag = hashlib.sha256(json.dumps(public, sort_keys=True).encode()).hexdigest()[:32]
    return JSONResponse(public, headers={"ETag": f'"{tag}"'})
