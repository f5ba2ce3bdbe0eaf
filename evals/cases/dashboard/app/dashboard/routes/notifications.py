"""The inbox."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse

from dashboard.auth import CurrentUser
from dashboard.db import DbSession
from dashboard.models import Notification
from dashboard.serializers import json_response, serialize_notification
from dashboard.services.notifications import count_unread, list_notifications, mark_all_read, mark_read
from dashboard.services.preferences import effective_preferences

router = APIRouter(prefix="/api/notifications", tags=["notifications"])


@router.get("")
async def get_notifications(
    session: DbSession,
    user: CurrentUser,
    unread: bool = False,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """The user's messages, newest first."""
    preferences = effective_preferences(session, user)
    messages = list_notifications(session, user.id, unread, limit)
    return json_response(
        {
            "unread": count_unread(session, user.id),
            "items": [serialize_notification(message, preferences) for message in messages],
        }
    )


@router.post("/read-all")
async def read_all(session: DbSession, user: CurrentUser) -> JSONResponse:
    """Mark everything as read."""
    return json_response({"marked": mark_all_read(session, user.id), "unread": count_unread(session, user.id)})


@router.post("/{notification_id}/read")
async def read_one(session: DbSession, user: CurrentUser, notification_id: int) -> JSONResponse:
    """Mark one message as read."""
    message = session.get(Notification, notification_id)
    if message is None or message.user_id != user.id:
        raise HTTPException(status_code=404, detail="no such notification")
    mark_read(session, message)
    return json_response({"id": message.id, "read": True, "unread": count_unread(session, user.id)})
