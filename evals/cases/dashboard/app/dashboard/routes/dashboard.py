"""GET /api/dashboard and the trail of who looked at it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from dashboard.auth import AppSettings, CurrentUser
from dashboard.db import DbSession
from dashboard.serializers import json_response
from dashboard.services.dashboard import build_dashboard

router = APIRouter(prefix="/api", tags=["dashboard"])


@router.get("/dashboard")
async def get_dashboard(request: Request, session: DbSession, user: CurrentUser, settings: AppSettings) -> JSONResponse:
    """Everything that the start page shows."""
    return json_response(build_dashboard(session, user, settings, request.app.state.trail))


@router.get("/views")
async def get_views(
    request: Request, user: CurrentUser, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> JSONResponse:
    """The user's latest views, newest first, for support."""
    views = request.app.state.trail.recent(user.id, limit)
    return json_response(
        {
            "user_id": user.id,
            "views": [{"subject": view.subject, "visit": view.visit, "at": view.at} for view in views],
        }
    )
