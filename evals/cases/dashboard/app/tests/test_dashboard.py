"""GET /api/dashboard."""

from datetime import datetime

from dashboard.models import Activity, Notification
from sqlalchemy import func, select

KINDS = {"heatmap", "billing", "pulse", "rank", "inbox", "goal", "streak", "focus", "note"}


def get(client, user_id, **parameters):
    response = client.get("/api/dashboard", params={"user_id": user_id, **parameters})
    assert response.status_code == 200, response.text
    return response.json()


def tile(payload, kind):
    return next(widget for widget in payload["widgets"] if widget["kind"] == kind)["data"]


def test_has_all_parts(client):
    payload = get(client, 3)
    assert set(payload) == {
        "generated_at", "user", "team", "preferences", "permissions", "unread_notifications", "calendar_url",
        "widgets", "activity",
    }  # fmt: skip
    assert payload["user"]["id"] == 3
    assert payload["team"]["id"] == 1
    assert payload["generated_at"] == "2025-06-30T12:00:00"


def test_unknown_user_is_not_found(client):
    assert client.get("/api/dashboard", params={"user_id": 999}).status_code == 404


def test_user_id_is_required(client):
    assert client.get("/api/dashboard").status_code == 422


def test_shows_all_tiles_in_their_order(client):
    widgets = get(client, 4)["widgets"]
    assert {widget["kind"] for widget in widgets} == KINDS
    assert [widget["position"] for widget in widgets] == sorted(widget["position"] for widget in widgets)


def test_feed_is_newest_first_and_complete(client, session):
    payload = get(client, 3)
    moments = [datetime.fromisoformat(item["created"]["utc"]) for item in payload["activity"]["items"]]
    assert moments == sorted(moments, reverse=True)
    count = session.scalar(select(func.count()).select_from(Activity).where(Activity.user_id == 3))
    assert payload["activity"]["total"] == payload["activity"]["shown"] == count == 40


def test_feed_items_are_described(client):
    item = get(client, 3)["activity"]["items"][0]
    assert item["actor"]["id"] == 3
    assert item["project"]["url"] == f"/projects/{item['project']['slug']}"
    assert item["created"]["age"].endswith("ago") or item["created"]["age"] == "just now"
    assert item["links"]["self"] == f"/api/activity/{item['id']}"
    assert "view" in item["can"]


def test_times_are_on_the_wall_clock_of_the_reader(client):
    payload = get(client, 3)
    assert payload["preferences"]["timezone"] == "America/New_York"
    created = payload["activity"]["items"][0]["created"]
    assert datetime.fromisoformat(created["local"]).utcoffset().total_seconds() in (-4 * 3600, -5 * 3600)


def test_unread_figure_is_that_of_the_inbox(client, session):
    payload = get(client, 5)
    unread = session.scalar(
        select(func.count())
        .select_from(Notification)
        .where(Notification.user_id == 5, Notification.read_at.is_(None))
    )
    assert payload["unread_notifications"] == tile(payload, "inbox")["unread"] == unread
    assert len(tile(payload, "inbox")["latest"]) == 3


def test_billing_adds_up(client):
    billing = tile(get(client, 3), "billing")
    amounts = [float(row["amount"]["amount"]) for row in billing["projects"]]
    assert amounts == sorted(amounts, reverse=True)
    assert abs(sum(amounts) - float(billing["total"]["amount"])) < 0.005
    assert billing["total"]["text"].startswith("$")


def test_pulse_and_rank_agree(client):
    payload = get(client, 4)
    pulse, rank = tile(payload, "pulse"), tile(payload, "rank")
    mine = [row for row in pulse["top"] if row["person"]["id"] == 4]
    assert pulse["members"] == 6
    assert all(row["rank"] == rank["rank"] and row["score"] == rank["score"] for row in mine)


def test_heatmap_counts_entries(client):
    heatmap = tile(get(client, 4), "heatmap")
    assert len(heatmap["grid"]) == 7
    assert all(len(row) == 24 for row in heatmap["grid"])
    assert heatmap["entries"] == sum(map(sum, heatmap["grid"])) > 0


def test_goal_uses_the_weekly_goal(client):
    payload = get(client, 4)
    goal = tile(payload, "goal")
    assert goal["goal"] == payload["preferences"]["weekly_goal"]
    assert 0 <= goal["percent"] <= 100


def test_members_without_entries_have_a_dashboard(client):
    payload = get(client, 24)
    assert payload["activity"] == {"items": [], "shown": 0, "total": 0}
    assert tile(payload, "billing")["total"]["amount"] == "0.00"
    assert tile(payload, "streak") == {"days": 0}


def test_calendar_url_is_signed_for_the_user(client):
    first, second = get(client, 3)["calendar_url"], get(client, 4)["calendar_url"]
    assert first.split("token=")[1] != second.split("token=")[1]
    assert get(client, 3)["calendar_url"] == first


def test_entity_tag_depends_on_the_content(client):
    first = client.get("/api/dashboard", params={"user_id": 3}).headers["etag"]
    again = client.get("/api/dashboard", params={"user_id": 3}).headers["etag"]
    other = client.get("/api/dashboard", params={"user_id": 4}).headers["etag"]
    assert first == again != other


def test_hidden_tiles_are_left_out(client):
    client.put("/api/preferences", params={"user_id": 10}, json={"hidden_widgets": ["streak", "note"]})
    kinds = {widget["kind"] for widget in get(client, 10)["widgets"]}
    assert kinds == KINDS - {"streak", "note"}


def test_views_are_on_record(client):
    get(client, 22)
    views = client.get("/api/views", params={"user_id": 22, "limit": 1}).json()["views"]
    assert views == [{"subject": "dashboard", "visit": 1, "at": "2025-06-30T12:00:00"}]
    assert client.get("/api/views", params={"user_id": 4}).json()["views"] == []
