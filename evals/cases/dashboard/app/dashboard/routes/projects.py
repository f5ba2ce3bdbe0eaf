"""Projects, their members and comments."""

from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse
from sqlalchemy import func, select

from dashboard.auth import CurrentUser
from dashboard.db import DbSession
from dashboard.models import Activity, Project, ProjectMember, User
from dashboard.permissions import is_allowed
from dashboard.schemas import NewComment, ProjectPatch
from dashboard.serializers import json_response, serialize_moment, serialize_person, serialize_project_ref
from dashboard.services.notifications import add_comment
from dashboard.services.preferences import effective_preferences

router = APIRouter(prefix="/api/projects", tags=["projects"])

COMMENTS_SHOWN = 20


def _project_of_team(session: DbSession, user: User, project_id: int) -> Project:
    project = session.get(Project, project_id)
    if project is None or project.team_id != user.team_id:
        raise HTTPException(status_code=404, detail="no such project")
    return project


def _project_row(session: DbSession, user: User, project: Project, preferences: dict[str, Any]) -> dict[str, Any]:
    entries, minutes, latest = session.execute(
        select(func.count(), func.sum(Activity.minutes), func.max(Activity.created_at)).where(
            Activity.project_id == project.id
        )
    ).one()
    return {
        **serialize_project_ref(project).model_dump(),
        "status": project.status,
        "position": project.position,
        "budget_cents": project.budget_cents if is_allowed(user.role, "project.budget", "view") else None,
        "members": len(project.memberships),
        "entries": entries,
        "minutes": int(minutes or 0),
        "latest": serialize_moment(latest, preferences).model_dump(mode="json") if latest else None,
    }


@router.get("")
async def list_projects(session: DbSession, user: CurrentUser) -> JSONResponse:
    """The projects that the user is a member of, in the team's order."""
    preferences = effective_preferences(session, user)
    projects = session.scalars(
        select(Project)
        .join(ProjectMember, ProjectMember.project_id == Project.id)
        .where(ProjectMember.user_id == user.id)
        .order_by(Project.position, Project.id)
    ).all()
    return json_response({"projects": [_project_row(session, user, project, preferences) for project in projects]})


@router.get("/{project_id}")
async def get_project(session: DbSession, user: CurrentUser, project_id: int) -> JSONResponse:
    """One project with its members and latest comments."""
    preferences = effective_preferences(session, user)
    project = _project_of_team(session, user, project_id)
    members = sorted(project.memberships, key=lambda membership: (membership.user.joined_at, membership.user_id))
    comments = project.comments[-COMMENTS_SHOWN:]
    return json_response(
        {
            **_project_row(session, user, project, preferences),
            "people": [
                {"person": serialize_person(membership.user).model_dump(), "duty": membership.duty}
                for membership in members
            ],
            "comments": [
                {
                    "id": comment.id,
                    "body": comment.body,
                    "author": serialize_person(comment.user).model_dump(),
                    "created": serialize_moment(comment.created_at, preferences).model_dump(mode="json"),
                }
                for comment in reversed(comments)
            ],
        }
    )


@router.patch("/{project_id}")
async def patch_project(session: DbSession, user: CurrentUser, project_id: int, patch: ProjectPatch) -> JSONResponse:
    """Rename, recolour, pause or archive a project."""
    project = _project_of_team(session, user, project_id)
    if not is_allowed(user.role, "project.details", "edit"):
        raise HTTPException(status_code=403, detail="not allowed")
    for key, value in patch.model_dump(exclude_none=True).items():
        setattr(project, key, value)
    session.commit()
    return json_response(_project_row(session, user, project, effective_preferences(session, user)))


@router.post("/{project_id}/comments", status_code=201)
async def post_comment(session: DbSession, user: CurrentUser, project_id: int, new: NewComment) -> JSONResponse:
    """Comment on a project; its other members find it in their inbox."""
    project = _project_of_team(session, user, project_id)
    comment = add_comment(session, user, project, new.body)
    response = json_response({"id": comment.id, "body": comment.body, "created_at": comment.created_at})
    response.status_code = 201
    return response
