"""Leaderboards, projects, search, pages."""

from dashboard.models import ProjectMember
from sqlalchemy import select


def test_leaderboard_is_best_first(client):
    standings = client.get("/api/teams/1/leaderboard", params={"user_id": 3}).json()["standings"]
    scores = [row["score"] for row in standings]
    assert len(standings) == 6
    assert scores == sorted(scores, reverse=True)
    assert standings[0]["rank"] == 1 and standings[0]["percentile"] == 100.0


def test_leaderboards_of_other_teams_are_hidden(client):
    assert client.get("/api/teams/2/leaderboard", params={"user_id": 3}).status_code == 404


def test_work_moves_the_leaderboard(client):
    body = {"project_id": 25, "title": "Big release", "kind": "deploy", "points": 50}
    for _ in range(12):
        assert client.post("/api/activity", params={"user_id": 29}, json=body).status_code == 201
    standings = client.get("/api/teams/5/leaderboard", params={"user_id": 26}).json()["standings"]
    assert standings[0]["person"]["id"] == 29


def test_own_projects_in_the_order_of_the_team(client, session):
    projects = client.get("/api/projects", params={"user_id": 3}).json()["projects"]
    assert [project["position"] for project in projects] == sorted(project["position"] for project in projects)
    mine = session.scalars(select(ProjectMember.project_id).where(ProjectMember.user_id == 3)).all()
    assert {project["id"] for project in projects} == set(mine)


def test_budgets_are_for_leads(client):
    assert client.get("/api/projects/1", params={"user_id": 3}).json()["budget_cents"] is None
    assert client.get("/api/projects/1", params={"user_id": 2}).json()["budget_cents"] == 2_500_000


def test_project_with_people_and_comments(client):
    project = client.get("/api/projects/2", params={"user_id": 3}).json()
    assert project["members"] == len(project["people"]) > 0
    assert len(project["comments"]) == 4


def test_renaming_a_project(client):
    response = client.patch("/api/projects/2", params={"user_id": 2}, json={"name": "Welcome tour"})
    assert response.json()["name"] == "Welcome tour"
    assert client.get("/api/projects/2", params={"user_id": 3}).json()["name"] == "Welcome tour"


def test_members_can_not_rename_projects(client):
    assert client.patch("/api/projects/2", params={"user_id": 3}, json={"name": "Mine"}).status_code == 403


def test_search_finds_projects_people_and_work(client):
    hits = client.get("/api/search", params={"user_id": 3, "q": "er", "limit": 50}).json()["hits"]
    assert {hit["kind"] for hit in hits} == {"project", "person", "activity"}
    assert all("er" in f"{hit['title']} {hit['hint']}".lower() for hit in hits)


def test_search_begins_with_titles_that_begin_with_the_words(client):
    hits = client.get("/api/search", params={"user_id": 3, "q": "Relaunch"}).json()["hits"]
    assert hits[0] == {"kind": "project", "id": 1, "title": "Relaunch", "hint": hits[0]["hint"]}


def test_search_takes_wildcards_literally(client):
    assert client.get("/api/search", params={"user_id": 3, "q": "%%"}).json()["hits"] == []


def test_front_page_names_its_user(client):
    response = client.get("/", params={"user_id": 7})
    assert response.status_code == 200
    assert 'data-user-id="7"' in response.text
    assert client.get("/static/app.js").status_code == 200


def test_health(client):
    assert client.get("/health").json()["status"] == "ok"
