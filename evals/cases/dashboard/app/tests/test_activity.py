"""The activity feed."""

from dashboard.models import Activity
from sqlalchemy import func, select


def test_pages_follow_each_other(client):
    first = client.get("/api/activity", params={"user_id": 3, "per_page": 10}).json()
    second = client.get("/api/activity", params={"user_id": 3, "per_page": 10, "page": 2}).json()
    assert first["total"] == 40 and first["pages"] == 4
    moments = [item["created"]["utc"] for item in first["items"] + second["items"]]
    assert len(moments) == 20
    assert moments == sorted(moments, reverse=True)


def test_last_page_may_be_short(client):
    page = client.get("/api/activity", params={"user_id": 3, "per_page": 15, "page": 3}).json()
    assert len(page["items"]) == 10


def test_beyond_the_last_page_is_empty(client):
    page = client.get("/api/activity", params={"user_id": 3, "page": 99}).json()
    assert page["items"] == [] and page["total"] == 40


def test_filter_by_kind(client, session):
    page = client.get("/api/activity", params={"user_id": 4, "kind": "review"}).json()
    count = session.scalar(
        select(func.count()).select_from(Activity).where(Activity.user_id == 4, Activity.kind == "review")
    )
    assert {item["kind"] for item in page["items"]} <= {"review"}
    assert page["total"] == count


def test_unknown_kind_is_refused(client):
    assert client.get("/api/activity", params={"user_id": 4, "kind": "nap"}).status_code == 422


def test_one_entry(client):
    item = client.get("/api/activity", params={"user_id": 3, "per_page": 1}).json()["items"][0]
    assert client.get(f"/api/activity/{item['id']}", params={"user_id": 4}).json()["id"] == item["id"]


def test_entries_of_other_teams_are_hidden(client):
    item = client.get("/api/activity", params={"user_id": 3, "per_page": 1}).json()["items"][0]
    assert client.get(f"/api/activity/{item['id']}", params={"user_id": 13}).status_code == 404


def test_logging_work(client, session):
    before = session.scalar(select(func.count()).select_from(Activity).where(Activity.user_id == 20))
    body = {"project_id": 19, "title": "Fixed the footer", "minutes": 90, "rate_cents": 8000, "points": 3}
    response = client.post("/api/activity", params={"user_id": 20}, json=body)
    assert response.status_code == 201
    assert response.json()["amount"]["amount"] == "120.00"
    assert response.json()["duration"] == "1:30"
    page = client.get("/api/activity", params={"user_id": 20, "per_page": 1}).json()
    assert page["total"] == before + 1
    assert page["items"][0]["title"] == "Fixed the footer"


def test_guests_can_not_log_work(client):
    body = {"project_id": 1, "title": "Nothing"}
    assert client.post("/api/activity", params={"user_id": 6}, json=body).status_code == 403


def test_work_belongs_to_a_project_of_the_team(client):
    body = {"project_id": 7, "title": "Elsewhere"}
    assert client.post("/api/activity", params={"user_id": 3}, json=body).status_code == 404


def test_too_long_a_day_is_refused(client):
    body = {"project_id": 1, "title": "Marathon", "minutes": 2000}
    assert client.post("/api/activity", params={"user_id": 3}, json=body).status_code == 422
