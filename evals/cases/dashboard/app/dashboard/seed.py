"""Demo data: the same for everybody, whatever the database.

    python -m dashboard.seed            brings the schema up to date and fills an empty database

The data ends on 30 June 2025 at noon UTC. Teams with odd numbers are agencies, which book quarters of an hour at
round rates as they go; teams with even numbers are studios, which book by the minute, correct themselves, and import
whole days from their time trackers at the end of the week.
"""

import random
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, text

from dashboard.config import load_settings
from dashboard.db import make_engine
from dashboard.migrate import migrate_up
from dashboard.models import Activity, Base, Comment, Notification, Preference, Project, ProjectMember, Team, User, Widget

END = datetime(2025, 6, 30, 12, 0, 0)
DAYS = 178
PROJECTS_PER_TEAM = 6
Row = dict[str, Any]

FIRST_NAMES = ("Ada", "Bela", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kenji", "Lena",
               "Mateo", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tove", "Umut", "Vera", "Wim", "Yara")  # fmt: skip
LAST_NAMES = ("Abel", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haas", "Ivanov", "Jensen", "Kaya",
              "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Rossi", "Sato", "Tanaka", "Weber")  # fmt: skip
JOBS = ("Designer", "Engineer", "Writer", "Producer", "Analyst", "Account manager", "Researcher")
TEAM_NAMES = ("Northwind", "Harbour", "Atlas", "Meadow", "Copper", "Lantern", "Juniper", "Signal", "Orchard", "Basalt")
PROJECT_NAMES = ("Relaunch", "Onboarding", "Campaign", "Data platform", "Support desk", "Brand book")
CLIENTS = ("Alder & Sons", "Blue Door", "Cedar Health", "Dune Travel", "Everline", "Fjord Foods", "Grove Bank")
COLORS = ("#2f6fde", "#2e9e6b", "#c2571a", "#8c4fd0", "#b3372f", "#51606f")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Europe/London", "Australia/Sydney", "UTC")
KINDS = ("time", "time", "time", "time", "meeting", "review", "comment", "deploy", "upload")
VERBS = {
    "time": ("Worked on", "Continued", "Finished", "Prepared"),
    "meeting": ("Met about", "Walked through", "Planned"),
    "review": ("Reviewed", "Checked", "Proofread"),
    "comment": ("Commented on", "Asked about", "Answered on"),
    "deploy": ("Released", "Rolled out"),
    "upload": ("Uploaded", "Shared"),
}
SUBJECTS = ("the start page", "the price list", "the sign-up form", "customer interviews", "the style guide",
            "the monthly figures", "the press kit", "the import of old orders", "the help texts", "the checkout",
            "the newsletter", "the navigation", "the training videos", "the search results")  # fmt: skip
DETAILS = ("Left a list of open points for the next round.", "Agreed with the client on the second variant.",
           "Waiting for two answers from legal before this can go out.", "Smaller than it looked, nothing left to do.",
           "Needs another pair of eyes on the figures in the appendix.", "Moved the rest to next week's planning.",
           "The client asked for a version with shorter texts.", "All comments from the last review are worked in.",
           "Screens for small devices come as a separate delivery.")  # fmt: skip
TAGS = ("client", "internal", "urgent", "draft", "final", "mobile", "print", "follow-up", "q2")
WIDGETS: tuple[tuple[str, str, Row], ...] = (
    ("heatmap", "When you work", {"weeks": 12}),
    ("billing", "Billable this year", {}),
    ("pulse", "Team pulse", {"top": 5}),
    ("rank", "Your place", {}),
    ("inbox", "Inbox", {"show": 3}),
    ("goal", "Weekly goal", {}),
    ("streak", "Streak", {}),
    ("focus", "In focus", {"days": 90}),
    ("focus", "Also in focus", {"days": 30}),
    ("note", "Notes", {"text": "Ask for the new logo files. Book the room for the review."}),
)


@dataclass(frozen=True)
class Scale:
    """How much demo data there is; `entries` is per active member."""

    teams: int = 30
    members: int = 10
    entries: int = 186


class Seeder:
    """Makes the rows of all tables."""

    def __init__(self, scale: Scale, seed: int = 20250630) -> None:
        self.scale = scale
        self.random = random.Random(seed)
        self.rows: dict[type[Base], list[Row]] = {
            table: []
            for table in (Team, User, Preference, Project, ProjectMember, Activity, Notification, Comment, Widget)
        }

    def make(self) -> dict[type[Base], list[Row]]:
        """All rows, parents before children."""
        logged: list[tuple[datetime, Row]] = []
        for team_id in range(1, self.scale.teams + 1):
            self._make_team(team_id)
            users = self._make_users(team_id)
            projects = self._make_projects(team_id, users)
            for place, user in enumerate(users):
                logged += self._make_entries(user, place, projects)
                self._make_inbox(user, projects)
                self._make_widgets(user, projects)
            self._share_pair_work(users, logged)
        logged.sort(key=lambda pair: pair[0])
        for number, (_, row) in enumerate(logged, start=1):
            self.rows[Activity].append({"id": number, **row})
        for table in (Notification, Comment, Widget):
            for number, row in enumerate(self.rows[table], start=1):
                row["id"] = number
        return self.rows

    def _make_team(self, team_id: int) -> None:
        name = TEAM_NAMES[(team_id - 1) % len(TEAM_NAMES)]
        self.rows[Team].append(
            {
                "id": team_id,
                "name": f"{name} {'Agency' if team_id % 2 else 'Studio'}",
                "plan": ("free", "business", "enterprise")[team_id % 3],
                "currency": ("EUR", "USD", "GBP", "CHF")[team_id % 4],
                "settings": {
                    "timezone": ZONES[team_id % len(ZONES)],
                    "date_style": ("iso", "eu", "us")[team_id % 3],
                    "week_start": "sunday" if team_id % 5 == 0 else "monday",
                },
                "created_at": datetime(2021, 1, 1) + timedelta(days=17 * team_id),
            }
        )

    def _make_users(self, team_id: int) -> list[Row]:
        users = []
        size = self.scale.members
        order = list(range(size))
        if team_id % 2 == 0:
            order.reverse()
        for place in range(size):
            user_id = (team_id - 1) * size + place + 1
            first = FIRST_NAMES[(user_id * 7) % len(FIRST_NAMES)]
            last = LAST_NAMES[(user_id * 3 + team_id) % len(LAST_NAMES)]
            role = {0: "admin", 1: "lead", size - 1: "guest"}.get(place, "member")
            users.append(
                {
                    "id": user_id,
                    "team_id": team_id,
                    "name": f"{first} {last}",
                    "email": f"{first}.{last}.{user_id}@example.com".lower(),
                    "role": role,
                    "title": JOBS[user_id % len(JOBS)],
                    "joined_at": datetime(2022, 3, 1, 9) + timedelta(days=31 * order[place] + team_id),
                }
            )
            if user_id % 5 in (1, 2, 4):
                self.rows[Preference].append(self._make_preference(user_id))
        self.rows[User] += users
        return users

    def _make_preference(self, user_id: int) -> Row:
        values: Row = {"theme": ("light", "dark")[user_id % 2], "weekly_goal": 30 + 5 * (user_id % 7)}
        if user_id % 3 == 0:
            values["timezone"] = ZONES[user_id % len(ZONES)]
        if user_id % 4 == 0:
            values["time_style"] = "12h"
        if user_id % 9 == 0:
            values["hidden_widgets"] = ["streak"]
        return {"user_id": user_id, "values": values, "updated_at": END - timedelta(days=user_id % 90)}

    def _make_projects(self, team_id: int, users: list[Row]) -> list[Row]:
        projects = []
        for index in range(PROJECTS_PER_TEAM):
            project_id = (team_id - 1) * PROJECTS_PER_TEAM + index + 1
            client = CLIENTS[(team_id + index) % len(CLIENTS)]
            name = PROJECT_NAMES[index]
            projects.append(
                {
                    "id": project_id,
                    "team_id": team_id,
                    "name": name,
                    "slug": f"{name}-{project_id}".lower().replace(" ", "-"),
                    "client": client,
                    "color": COLORS[index],
                    "status": "archived" if index >= 4 else "active",
                    "position": index + 1 if team_id % 2 else PROJECTS_PER_TEAM - index,
                    "budget_cents": 0 if index == 3 else 2_500_000 + 750_000 * index,
                }
            )
            for user in users:
                if (user["id"] + index) % 4:
                    self.rows[ProjectMember].append(
                        {
                            "project_id": project_id,
                            "user_id": user["id"],
                            "duty": "owner" if user["role"] == "lead" else "contributor",
                        }
                    )
            for number in range(3 + index):
                self.rows[Comment].append(
                    {
                        "project_id": project_id,
                        "user_id": users[number % len(users)]["id"],
                        "body": DETAILS[(project_id + number) % len(DETAILS)],
                        "created_at": END - timedelta(days=40 - 4 * number, minutes=project_id),
                    }
                )
        self.rows[Project] += projects
        return projects

    def _make_entries(self, user: Row, place: int, projects: list[Row]) -> list[tuple[datetime, Row]]:
        """Entries of one user with the moment at which each was logged, which orders the ids."""
        studio = user["team_id"] % 2 == 0
        count = self.scale.entries + self.random.randrange(-30, 41) if self.scale.entries > 100 else self.scale.entries
        if user["role"] == "guest":
            count = 0 if user["team_id"] % 4 == 0 else 8
        latest = 40 if studio and place >= 6 else 0
        made: list[tuple[datetime, Row]] = []
        taken: set[datetime] = set()
        while len(made) < count:
            day = self.random.randrange(latest, DAYS)
            moment = (END - timedelta(days=day)).replace(
                hour=self.random.randrange(6, 20), minute=self.random.randrange(60), second=self.random.randrange(60)
            )
            if moment in taken or moment > END:
                continue
            taken.add(moment)
            if studio and self.random.random() < 0.12:
                logged = moment + timedelta(days=6 - moment.weekday(), hours=2)
                moment = moment.replace(hour=9, minute=0, second=0)
                for _ in range(min(self.random.randrange(2, 6), count - len(made))):
                    made.append((logged, self._make_entry(user, projects, moment, day, studio)))
            else:
                made.append((moment, self._make_entry(user, projects, moment, day, studio)))
        return made

    def _make_entry(self, user: Row, projects: list[Row], moment: datetime, day: int, studio: bool) -> Row:
        pick = self.random
        kind = pick.choice(KINDS)
        subject = pick.choice(SUBJECTS)
        project = projects[pick.randrange(PROJECTS_PER_TEAM if day > 100 else 4)]
        minutes = rate = discount = 0
        if kind in ("time", "meeting"):
            if studio:
                minutes = pick.randrange(4, 190)
                rate = pick.choice((8725, 9350, 9999, 11875, 13333))
                discount = pick.choice((0, 0, 0, 10, 15))
                if pick.random() < 0.04:
                    minutes = -minutes
            else:
                minutes = 15 * pick.randrange(1, 13)
                rate = pick.choice((8000, 9600, 12000))
                discount = pick.choice((0, 0, 0, 10))
        return {
            "user_id": user["id"],
            "project_id": project["id"],
            "kind": kind,
            "title": f"{pick.choice(VERBS[kind])} {subject}",
            "summary": " ".join(pick.sample(DETAILS, 2)),
            "tags": pick.sample(TAGS, pick.randrange(1, 4)),
            "minutes": minutes,
            "rate_cents": rate,
            "discount": discount,
            "points": pick.randrange(0, 9),
            "created_at": moment,
        }

    def _share_pair_work(self, users: list[Row], logged: list[tuple[datetime, Row]]) -> None:
        """In studios the fourth and fifth member have worked as a pair for the last weeks: same entries, same points."""
        if users[0]["team_id"] % 2 or len(users) < 6:
            return
        first, second = users[3]["id"], users[4]["id"]
        since = END - timedelta(days=20)
        shared = [pair for pair in logged if pair[1]["user_id"] == first and pair[1]["created_at"] > since]
        logged[:] = [pair for pair in logged if pair[1]["user_id"] != second or pair[1]["created_at"] <= since]
        logged += [(moment, {**row, "user_id": second}) for moment, row in shared]

    def _make_inbox(self, user: Row, projects: list[Row]) -> None:
        for number in range(18 + user["id"] % 9):
            created = END - timedelta(hours=5 * number + 1, minutes=user["id"] % 50)
            unread = number < 4 or number % 5 == 0
            self.rows[Notification].append(
                {
                    "user_id": user["id"],
                    "project_id": projects[number % len(projects)]["id"],
                    "kind": ("comment", "mention", "assignment", "system")[number % 4],
                    "body": f"{DETAILS[(user['id'] + number) % len(DETAILS)]} ({projects[number % 6]['name']})",
                    "created_at": created,
                    "read_at": None if unread else created + timedelta(minutes=25),
                }
            )

    def _make_widgets(self, user: Row, projects: list[Row]) -> None:
        for index, (kind, title, config) in enumerate(WIDGETS):
            project_id = projects[(user["id"] + index) % len(projects)]["id"] if kind == "focus" else None
            self.rows[Widget].append(
                {
                    "user_id": user["id"],
                    "project_id": project_id,
                    "kind": kind,
                    "title": title,
                    "position": (index * 3 + user["id"]) % len(WIDGETS),
                    "config": config,
                }
            )


def seed_database(engine: Engine, scale: Scale | None = None) -> dict[str, int]:
    """Fill an empty, migrated database; returns the number of rows by table."""
    rows = Seeder(scale or Scale()).make()
    with engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(insert(table), values)
            if engine.dialect.name == "postgresql" and "id" in table.__table__.columns:
                name = table.__tablename__
                connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
                )
    return {table.__tablename__: len(values) for table, values in rows.items()}


def main() -> int:
    """Command line."""
    engine = make_engine(load_settings())
    migrate_up(engine)
    with engine.connect() as connection:
        if connection.scalar(text("SELECT count(*) FROM teams")):
            print("the database has data already; nothing done", file=sys.stderr)
            return 1
    for table, count in seed_database(engine).items():
        print(f"{table}: {count}")
    engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
