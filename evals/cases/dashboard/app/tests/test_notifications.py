"""The inbox."""

from dashboard.models import Notification, ProjectMember
from sqlalchemy import func, select


def unread(session, user_id):
    return session.scalar(
        select(func.count())
        .select_from(Notification)
        .where(Notification.user_id == user_id, Notification.read_at.is_(None))
    )


def test_newest_first(client):
    items = client.get("/api/notifications", params={"user_id": 3}).json()["items"]
    moments = [item["created"]["utc"] for item in items]
    assert moments == sorted(moments, reverse=True) and len(items) == 20


def test_unread_only(client, session):
    payload = client.get("/api/notifications", params={"user_id": 3, "unread": True, "limit": 100}).json()
    assert payload["unread"] == len(payload["items"]) == unread(session, 3)
    assert not any(item["read"] for item in payload["items"])


def test_mark_one_as_read(client, session):
    before = unread(session, 8)
    message = session.scalars(
        select(Notification).where(Notification.user_id == 8, Notification.read_at.is_(None))
    ).first()
    response = client.post(f"/api/notifications/{message.id}/read", params={"user_id": 8})
    assert response.json() == {"id": message.id, "read": True, "unread": before - 1}
    dashboard = client.get("/api/dashboard", params={"user_id": 8}).json()
    assert dashboard["unread_notifications"] == before - 1


def test_marking_twice_counts_once(client, session):
    before = unread(session, 14)
    message = session.scalars(
        select(Notification).where(Notification.user_id == 14, Notification.read_at.is_(None))
    ).first()
    for _ in range(2):
        response = client.post(f"/api/notifications/{message.id}/read", params={"user_id": 14})
    assert response.json()["unread"] == before - 1


def test_mark_all_as_read(client, session):
    before = unread(session, 15)
    response = client.post("/api/notifications/read-all", params={"user_id": 15})
    assert response.json() == {"marked": before, "unread": 0}


def test_messages_of_others_are_hidden(client, session):
    message = session.scalars(select(Notification).where(Notification.user_id == 8)).first()
    assert client.post(f"/api/notifications/{message.id}/read", params={"user_id": 9}).status_code == 404


def test_comments_reach_the_other_members(client, session):
    members = session.scalars(select(ProjectMember.user_id).where(ProjectMember.project_id == 31)).all()
    before = {member: unread(session, member) for member in members}
    response = client.post("/api/projects/31/comments", params={"user_id": 31}, json={"body": "Looks good to me."})
    assert response.status_code == 201
    others = [member for member in members if member != 31]
    assert others
    for member in others:
        payload = client.get("/api/notifications", params={"user_id": member, "unread": True}).json()
        assert payload["unread"] == before[member] + 1
        assert any("Looks good to me." in item["body"] for item in payload["items"])
