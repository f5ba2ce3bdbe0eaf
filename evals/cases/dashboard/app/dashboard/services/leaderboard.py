"""The team's leaderboard: points of the last two weeks, with more weight on what is recent."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard import clock
from dashboard.models import Activity, User

WINDOW_DAYS = 14
KIND_WEIGHTS = {"time": 1, "meeting": 1, "review": 3, "comment": 1, "deploy": 4, "upload": 2}


@dataclass(frozen=True)
class Standing:
    """A member's place. Members with equal scores share a rank."""

    user: User
    score: int
    rank: int
    percentile: float


def score_of(activity: Activity) -> int:
    """Points of an entry, weighted by kind and by the days left until it drops out of the window."""
    age_days = (clock.now().date() - activity.created_at.date()).days
    return activity.points * KIND_WEIGHTS[activity.kind] * (WINDOW_DAYS - age_days)


def team_leaderboard(session: Session, team_id: int) -> list[Standing]:
    """All members, best first; members with equal scores in the order in which they joined the team."""
    members = session.scalars(select(User).where(User.team_id == team_id).order_by(User.joined_at, User.id)).all()
    since = (clock.now() - timedelta(days=WINDOW_DAYS - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    entries = session.scalars(
        select(Activity).where(
            Activity.user_id.in_([member.id for member in members]),
            Activity.created_at >= since,
        )
    ).all()
    scores = {member.id: sum(score_of(entry) for entry in entries if entry.user_id == member.id) for member in members}
    ordered = sorted(members, key=lambda member: scores[member.id], reverse=True)
    return [
        Standing(
            user=member,
            score=scores[member.id],
            rank=1 + sum(1 for other in scores.values() if other > scores[member.id]),
            percentile=percentile_of(scores[member.id], list(scores.values())),
        )
        for member in ordered
    ]


def percentile_of(score: int, scores: list[int]) -> float:
    """Share of the team with a score at most this one, in percent with one decimal."""
    return round(100 * sum(1 for other in scores if other <= score) / len(scores), 1)
