"""Search over what a team has."""

import time
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from dashboard.models import Activity, Project, User

KIND_ORDER = {"project": 0, "person": 1, "activity": 2}


def search_team(session: Session, team_id: int, words: str, limit: int, pace_s: float) -> list[dict[str, Any]]:
    """Projects, people and activity titles of a team that contain `words`.

    Titles that begin with the words come first, then by kind, then newest.
    """
    # The box sends a request for every key pressed: keep fast typists from flooding the database.
    time.sleep(pace_s)
    needle = words.strip().lower()
    pattern = "%" + needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    hits: list[dict[str, Any]] = []
    projects = session.scalars(
        select(Project)
        .where(
            Project.team_id == team_id,
            or_(
                func.lower(Project.name).like(pattern, escape="\\"),
                func.lower(Project.client).like(pattern, escape="\\"),
            ),
        )
        .order_by(Project.position, Project.id)
    )
    for project in projects:
        hits.append({"kind": "project", "id": project.id, "title": project.name, "hint": project.client})
    people = session.scalars(
        select(User)
        .where(User.team_id == team_id, func.lower(User.name).like(pattern, escape="\\"))
        .order_by(User.joined_at, User.id)
    )
    for user in people:
        hits.append({"kind": "person", "id": user.id, "title": user.name, "hint": user.title})
    activities = session.scalars(
        select(Activity)
        .join(User, User.id == Activity.user_id)
        .where(User.team_id == team_id, func.lower(Activity.title).like(pattern, escape="\\"))
        .order_by(Activity.id.desc())
    )
    for activity in activities:
        hits.append(
            {"kind": "activity", "id": activity.id, "title": activity.title, "hint": activity.project.name}
        )
    hits.sort(key=lambda hit: (not hit["title"].lower().startswith(needle), KIND_ORDER[hit["kind"]]))
    return hits[:limit]
