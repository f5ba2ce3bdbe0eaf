"""A user's own preferences and profile."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse

from dashboard.auth import CurrentUser
from dashboard.db import DbSession
from dashboard.models import User
from dashboard.permissions import is_allowed
from dashboard.schemas import PreferenceValues, ProfilePatch
from dashboard.serializers import json_response, serialize_user
from dashboard.services.preferences import (
    UnknownTimezone,
    effective_preferences,
    reset_preferences,
    save_preferences,
)

router = APIRouter(prefix="/api", tags=["preferences"])


@router.get("/preferences")
async def get_preferences(session: DbSession, user: CurrentUser) -> JSONResponse:
    """What applies to the user, all layers merged."""
    return json_response({"user_id": user.id, "preferences": effective_preferences(session, user)})


@router.put("/preferences")
async def put_preferences(session: DbSession, user: CurrentUser, values: PreferenceValues) -> JSONResponse:
    """Set some of the user's own preferences."""
    try:
        save_preferences(session, user, values.set_values())
    except UnknownTimezone as error:
        raise HTTPException(status_code=422, detail=str(error)) from error
    return json_response({"user_id": user.id, "preferences": effective_preferences(session, user)})


@router.delete("/preferences")
async def delete_preferences(session: DbSession, user: CurrentUser) -> JSONResponse:
    """Go back to what the team has set."""
    reset_preferences(session, user)
    return json_response({"user_id": user.id, "preferences": effective_preferences(session, user)})


@router.patch("/users/{person_id}")
async def patch_user(session: DbSession, user: CurrentUser, person_id: int, patch: ProfilePatch) -> JSONResponse:
    """Change a profile: one's own, or as an admin that of anybody in the team."""
    person = session.get(User, person_id)
    if person is None or person.team_id != user.team_id:
        raise HTTPException(status_code=404, detail="no such user")
    if person.id != user.id and not is_allowed(user.role, "team.settings", "edit"):
        raise HTTPException(status_code=403, detail="not allowed")
    for key, value in patch.model_dump(exclude_none=True).items():
        setattr(person, key, value)
    session.commit()
    return json_response(serialize_user(person))
