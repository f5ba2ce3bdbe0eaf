"""The inbox."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from dashboard import clock
from dashboard.models import Comment, Notification, Project, User


def list_notifications(session: Session, user_id: int, unread_only: bool, limit: int) -> Sequence[Notification]:
    """A user's messages, newest first."""
    query = select(Notification).where(Notification.user_id == user_id)
    if unread_only:
        query = query.where(Notification.read_at.is_(None))
    return session.scalars(query.order_by(Notification.created_at.desc(), Notification.id.desc()).limit(limit)).all()


def count_unread(session: Session, user_id: int) -> int:
    """How many messages a user has not read."""
    query = select(func.count()).select_from(Notification)
    return session.scalar(query.where(Notification.user_id == user_id, Notification.read_at.is_(None))) or 0


def mark_read(session: Session, notification: Notification) -> None:
    """Mark one message as read; marking it again changes nothing."""
    if notification.read_at is None:
        notification.read_at = clock.now()
        session.commit()


def mark_all_read(session: Session, user_id: int) -> int:
    """Mark everything as read; returns how many messages were unread."""
    result = session.execute(
        update(Notification)
        .where(Notification.user_id == user_id, Notification.read_at.is_(None))
        .values(read_at=clock.now())
    )
    session.commit()
    return result.rowcount


def add_comment(session: Session, author: User, project: Project, body: str) -> Comment:
    """Comment on a project and tell its other members."""
    comment = Comment(project_id=project.id, user_id=author.id, body=body, created_at=clock.now())
    session.add(comment)
    excerpt = body if len(body) <= 80 else body[:77] + "..."
    for membership in sorted(project.memberships, key=lambda membership: membership.user_id):
        if membership.user_id != author.id:
            session.add(
                Notification(
                    user_id=membership.user_id,
                    project_id=project.id,
                    kind="comment",
                    body=f"{author.name} commented on {project.name}: {excerpt}",
                    created_at=clock.now(),
                )
            )
    session.commit()
    return comment
