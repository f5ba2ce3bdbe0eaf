"""The activity feed, page by page, and new entries."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse

from dashboard.auth import CurrentUser
from dashboard.db import DbSession
from dashboard.models import Activity, Project, User
from dashboard.permissions import is_allowed, permission_table
from dashboard.schemas import ActivityKind, NewActivity
from dashboard.serializers import json_response, serialize_activity
from dashboard.services.activity import count_feed, load_feed, log_activity
from dashboard.services.preferences import effective_preferences

router = APIRouter(prefix="/api/activity", tags=["activity"])


@router.get("")
async def list_activity(
    session: DbSession,
    user: CurrentUser,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 25,
    kind: ActivityKind | None = None,
) -> JSONResponse:
    """A page of the user's feed, newest first."""
    preferences = effective_preferences(session, user)
    grants = permission_table(user.role)
    entries = load_feed(session, user.id, kind)
    start = (page - 1) * per_page
    total = count_feed(session, user.id, kind)
    items = [
        serialize_activity(entry, user.team.currency, preferences, grants) for entry in entries[start : start + per_page]
    ]
    return json_response(
        {"items": items, "page": page, "per_page": per_page, "total": total, "pages": -(-total // per_page)}
    )


@router.get("/{activity_id}")
async def get_activity(session: DbSession, user: CurrentUser, activity_id: int) -> JSONResponse:
    """One entry of somebody in the user's team."""
    entry = session.get(Activity, activity_id)
    if entry is None or entry.user.team_id != user.team_id:
        raise HTTPException(status_code=404, detail="no such activity")
    preferences = effective_preferences(session, user)
    return json_response(serialize_activity(entry, user.team.currency, preferences, permission_table(user.role)))


@router.post("", status_code=201)
async def create_activity(session: DbSession, user: CurrentUser, new: NewActivity) -> JSONResponse:
    """Log something that the user has done."""
    project = _own_project(session, user, new.project_id)
    if not is_allowed(user.role, f"activity.{new.kind}", "create"):
        raise HTTPException(status_code=403, detail="not allowed")
    entry = log_activity(session, user, project, new)
    preferences = effective_preferences(session, user)
    response = json_response(
        serialize_activity(entry, user.team.currency, preferences, permission_table(user.role))
    )
    response.status_code = 201
    return response


def _own_project(session: DbSession, user: User, project_id: int) -> Project:
    project = session.get(Project, project_id)
    if project is None or project.team_id != user.team_id:
        raise HTTPException(status_code=404, detail="no such project")
    return project
