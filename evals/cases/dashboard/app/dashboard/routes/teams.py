"""Teams: settings that members inherit, and the leaderboard."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse

from dashboard.auth import CurrentUser
from dashboard.db import DbSession
from dashboard.models import Team, User
from dashboard.permissions import is_allowed
from dashboard.schemas import PreferenceValues
from dashboard.serializers import json_response, serialize_person
from dashboard.services.leaderboard import team_leaderboard
from dashboard.services.preferences import UnknownTimezone, save_team_settings

router = APIRouter(prefix="/api/teams", tags=["teams"])


def _own_team(session: DbSession, user: User, team_id: int) -> Team:
    if team_id != user.team_id:
        raise HTTPException(status_code=404, detail="no such team")
    return session.get_one(Team, team_id)


@router.get("/{team_id}/leaderboard")
async def get_leaderboard(session: DbSession, user: CurrentUser, team_id: int) -> JSONResponse:
    """All members of the user's team, best first."""
    team = _own_team(session, user, team_id)
    return json_response(
        {
            "team_id": team.id,
            "standings": [
                {
                    "rank": standing.rank,
                    "score": standing.score,
                    "percentile": standing.percentile,
                    "person": serialize_person(standing.user).model_dump(),
                    "joined_at": standing.user.joined_at,
                }
                for standing in team_leaderboard(session, team.id)
            ],
        }
    )


@router.get("/{team_id}/settings")
async def get_team_settings(session: DbSession, user: CurrentUser, team_id: int) -> JSONResponse:
    """The defaults that members inherit."""
    team = _own_team(session, user, team_id)
    return json_response({"team_id": team.id, "settings": team.settings})


@router.put("/{team_id}/settings")
async def put_team_settings(
    session: DbSession, user: CurrentUser, team_id: int, values: PreferenceValues
) -> JSONResponse:
    """Set some of the defaults that members inherit."""
    team = _own_team(session, user, team_id)
    if not is_allowed(user.role, "team.settings", "edit"):
        raise HTTPException(status_code=403, detail="not allowed")
    try:
        save_team_settings(session, team, values.set_values())
    except UnknownTimezone as error:
        raise HTTPException(status_code=422, detail=str(error)) from error
    return json_response({"team_id": team.id, "settings": team.settings})
