"""Preferences in layers, and profiles."""


def test_layers(client):
    values = client.get("/api/preferences", params={"user_id": 3}).json()["preferences"]
    assert values["timezone"] == "America/New_York"
    assert values["density"] == "cosy"
    assert values["time_style"] == "24h"


def test_own_values_win(client):
    response = client.put("/api/preferences", params={"user_id": 9}, json={"theme": "dark", "timezone": "Asia/Tokyo"})
    assert response.status_code == 200
    assert response.json()["preferences"]["timezone"] == "Asia/Tokyo"
    dashboard = client.get("/api/dashboard", params={"user_id": 9}).json()
    assert dashboard["preferences"]["theme"] == "dark"


def test_other_values_stay(client):
    client.put("/api/preferences", params={"user_id": 16}, json={"density": "compact"})
    client.put("/api/preferences", params={"user_id": 16}, json={"time_style": "12h"})
    dashboard = client.get("/api/dashboard", params={"user_id": 16}).json()
    assert dashboard["preferences"]["density"] == "compact"
    assert dashboard["preferences"]["time_style"] == "12h"


def test_reset(client):
    response = client.delete("/api/preferences", params={"user_id": 17})
    assert response.json()["preferences"]["theme"] == "system"


def test_unknown_keys_are_refused(client):
    assert client.put("/api/preferences", params={"user_id": 3}, json={"colour": "red"}).status_code == 422


def test_unknown_time_zones_are_refused(client):
    response = client.put("/api/preferences", params={"user_id": 3}, json={"timezone": "Mars/Olympus"})
    assert response.status_code == 422


def test_team_settings_apply_to_members(client):
    response = client.put("/api/teams/5/settings", params={"user_id": 25}, json={"density": "compact"})
    assert response.status_code == 200
    values = client.get("/api/preferences", params={"user_id": 28}).json()["preferences"]
    assert values["density"] == "compact"


def test_members_can_not_change_team_settings(client):
    assert client.put("/api/teams/1/settings", params={"user_id": 3}, json={"theme": "dark"}).status_code == 403


def test_profile(client):
    response = client.patch("/api/users/11", params={"user_id": 11}, json={"name": "Maria da Silva"})
    assert response.json()["name"] == "Maria da Silva"
    assert response.json()["initials"] == "MS"


def test_profiles_of_others_need_an_admin(client):
    assert client.patch("/api/users/4", params={"user_id": 3}, json={"name": "No"}).status_code == 403
    assert client.patch("/api/users/21", params={"user_id": 19}, json={"name": "Yes"}).status_code == 200
