"""The search box."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from dashboard.auth import AppSettings, CurrentUser
from dashboard.db import DbSession
from dashboard.serializers import json_response
from dashboard.services.search import search_team

router = APIRouter(prefix="/api/search", tags=["search"])


@router.get("")
async def get_search(
    session: DbSession,
    user: CurrentUser,
    settings: AppSettings,
    q: Annotated[str, Query(min_length=2, max_length=80)],
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> JSONResponse:
    """Projects, people and activities of the user's team."""
    hits = search_team(session, user.team_id, q, limit, settings.search_pace_s)
    return json_response({"q": q, "hits": hits})
