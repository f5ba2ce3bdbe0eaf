"""Every write shows in the next read, through whichever endpoint it came.

Readers look first, so that anything kept from then is found out afterwards.
"""

from typing import Any

from api import Failure, Pair, dashboard, run_check, tile

SIZE = 10
PROJECTS = 6


class Story:
    """Writes in one team, each followed by the readers whom it concerns."""

    def __init__(self, pair: Pair, team: int) -> None:
        self.pair = pair
        self.team = team
        self.admin, self.lead, self.ann, self.bob, self.eve = ((team - 1) * SIZE + place for place in (1, 2, 3, 4, 5))
        self.project = (team - 1) * PROJECTS + 2
        self.writes = 0

    def write(self, method: str, path: str, body: Any, readers: list[str]) -> list[tuple[Any, Any]]:
        """Read, write, read again on both; the readers must agree with the base, and see a change."""
        before = [self.pair.same("GET", reader, when=f"before {method} {path}") for reader in readers]
        self.pair.same(method, path, body)
        self.writes += 1
        after = []
        for reader, old in zip(readers, before, strict=True):
            new = self.pair.same("GET", reader, when=f"after {method} {path}")
            if new == old:
                raise Failure(f"GET {reader} is the same before and after {method} {path}")
            after.append(new)
        return list(zip(before, after, strict=True))

    def preferences(self) -> None:
        """A user's own values, then those that the team hands down, then the user's given up."""
        path = f"/api/preferences?user_id={self.bob}"
        own = self.pair.candidate.get(path)["preferences"]
        theme = "dark" if own["theme"] != "dark" else "light"
        body = {"theme": theme, "timezone": "Pacific/Auckland", "hidden_widgets": ["goal"]}
        ((_, shown), _) = self.write("PUT", path, body, [dashboard(self.bob), path])
        _expect(shown["preferences"]["theme"], theme, "the theme after PUT /api/preferences")
        hidden = [widget["kind"] for widget in shown["widgets"] if widget["kind"] == "goal"]
        _expect(hidden, [], "the hidden tile after PUT /api/preferences")

        team = f"/api/teams/{self.team}/settings?user_id={self.admin}"
        settings = self.pair.candidate.get(team)["settings"]
        values = {
            "density": "compact" if settings.get("density") != "compact" else "cosy",
            "date_style": "us" if settings.get("date_style") != "us" else "eu",
            "timezone": "Asia/Kolkata",
        }
        readers = [dashboard(self.ann), f"/api/preferences?user_id={self.eve}"]
        readers.append(f"/api/activity?user_id={self.eve}&per_page=10")
        ((_, ann), *_) = self.write("PUT", team, values, readers)
        _expect(ann["preferences"]["density"], values["density"], "the density after PUT /api/teams/…/settings")
        densities = {widget["density"] for widget in ann["widgets"]}
        _expect(densities, {values["density"]}, "the tiles' density after PUT /api/teams/…/settings")

        self.write("DELETE", path, None, [dashboard(self.bob)])

    def inbox(self) -> None:
        """One message read, somebody's comment, everything read."""
        messages = f"/api/notifications?user_id={self.ann}&unread=true&limit=100"
        first = self.pair.candidate.get(messages)["items"][0]["id"]
        path = f"/api/notifications/{first}/read?user_id={self.ann}"
        ((old, new), _) = self.write("POST", path, None, [dashboard(self.ann), messages])
        _expect(new["unread_notifications"], old["unread_notifications"] - 1, "unread after reading a message")

        project = f"/api/projects/{self.project}?user_id={self.lead}"
        people = [row["person"]["id"] for row in self.pair.candidate.get(project)["people"]]
        others = [person for person in people if person not in (self.lead, self.admin)][:2]
        comment = f"/api/projects/{self.project}/comments?user_id={self.lead}"
        body = {"body": f"Team {self.team}: please look at the second draft."}
        changes = self.write("POST", comment, body, [*map(dashboard, others), project])
        for old, new in changes[:-1]:
            _expect(new["unread_notifications"], old["unread_notifications"] + 1, "unread after somebody's comment")
            _expect(tile(new, "inbox")["unread"], new["unread_notifications"], "the inbox tile after a comment")

        path = f"/api/notifications/read-all?user_id={others[0]}"
        ((_, new),) = self.write("POST", path, None, [dashboard(others[0])])
        _expect(new["unread_notifications"], 0, "unread after read-all")

    def work(self) -> None:
        """Work of one member shows on the dashboards of the others, every time."""
        path = f"/api/activity?user_id={self.eve}"
        board = f"/api/teams/{self.team}/leaderboard?user_id={self.bob}"
        report = f"/api/reports/summary?user_id={self.lead}"
        body = {
            "project_id": self.project, "kind": "time", "title": "Sorted the archive", "summary": "All of it.",
            "minutes": 37, "rate_cents": 8725, "discount": 15, "points": 9, "tags": ["Client "],
        }  # fmt: skip
        for number in range(2):
            readers = [dashboard(self.eve), board, report] if number == 0 else [dashboard(self.eve), board]
            ((old, new), *_) = self.write("POST", path, {**body, "title": f"Sorted part {number}"}, readers)
            _expect(new["activity"]["total"], old["activity"]["total"] + 1, "the length of the feed after new work")
            _expect(tile(new, "rank")["score"] - tile(old, "rank")["score"], 9 * 14, "the score after new work")
        release = {"project_id": self.project, "kind": "deploy", "title": "Put it live", "points": 50}
        for _ in range(3):
            self.pair.same("POST", path, release)
        self.write("POST", path, release, [dashboard(self.bob), dashboard(self.ann)])

    def names(self) -> None:
        """A project and a person get new names."""
        path = f"/api/projects/{self.project}?user_id={self.lead}"
        body = {"name": f"Second relaunch {self.team}", "color": "#123456"}
        self.write("PATCH", path, body, [dashboard(self.eve), f"/api/projects/{self.project}?user_id={self.bob}"])
        path = f"/api/users/{self.eve}?user_id={self.admin}"
        body = {"name": f"Eve Renamed {self.team}", "title": "Archivist"}
        board = f"/api/teams/{self.team}/leaderboard?user_id={self.bob}"
        ((_, bob), (_, eve), _) = self.write("PATCH", path, body, [dashboard(self.bob), dashboard(self.eve), board])
        _expect(eve["user"]["name"], body["name"], "the name after PATCH /api/users/…")
        top = [row["person"]["name"] for row in tile(bob, "pulse")["top"]]
        if body["name"] not in top:
            raise Failure(f"GET {dashboard(self.bob)}: the pulse does not show a teammate's new name")


def _expect(value: Any, wanted: Any, what: str) -> None:
    if value != wanted:
        raise Failure(f"{what}: expected {wanted}, got {value}")


def check(pair: Pair) -> str:
    """Play the story in a studio."""
    studio = Story(pair, 4)
    for part in (studio.preferences, studio.inbox, studio.work, studio.names):
        part()
    return f"{studio.writes} writes showed in the next read"


if __name__ == "__main__":
    run_check(check)
