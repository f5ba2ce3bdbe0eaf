"""Lists come in the promised order, ties included; the order is recomputed from the facts in the answers."""

from typing import Any

from api import Failure, Pair, dashboard, run_check, tile, whole_feed

USERS = (14, 16, 38)
SIZE = 10
TEAMS = 20


def check_feed(pair: Pair, user: int) -> int:
    """Newest first, entries of one moment in the order of their ids; returns how many ties were seen."""
    feed = whole_feed(pair.candidate, user)
    logged = sorted(feed, key=lambda item: item["id"])
    wanted = [item["id"] for item in sorted(logged, key=lambda item: item["created"]["utc"], reverse=True)]
    _expect([item["id"] for item in feed], wanted, f"order of the activity pages of user {user}")
    shown = pair.same("GET", dashboard(user))["activity"]["items"]
    _expect([item["id"] for item in shown], wanted[: len(shown)], f"order of the dashboard's feed of user {user}")
    kind = whole_feed(pair.candidate, user, "time")
    _expect([item["id"] for item in kind], [item["id"] for item in feed if item["kind"] == "time"], "filtered order")
    return len(feed) - len({item["created"]["utc"] for item in feed})


def check_board(pair: Pair, team: int) -> int:
    """Best first, equals by when they joined, equals share a rank; returns how many ties were seen."""
    member = (team - 1) * SIZE + 4
    rows = pair.same("GET", f"/api/teams/{team}/leaderboard?user_id={member}")["standings"]
    wanted = sorted(rows, key=lambda row: (-row["score"], row["joined_at"], row["person"]["id"]))
    order = [row["person"]["id"] for row in rows]
    _expect(order, [row["person"]["id"] for row in wanted], f"order of the leaderboard of team {team}")
    for row in rows:
        better = sum(1 for other in rows if other["score"] > row["score"])
        _expect(row["rank"], better + 1, f"rank of user {row['person']['id']}")
    if team % 4 == 2:
        payload = pair.same("GET", dashboard(member))
        top = [row["person"]["id"] for row in tile(payload, "pulse")["top"]]
        _expect(top, order[: len(top)], f"order of the pulse of user {member}")
    return len(rows) - len({row["score"] for row in rows})


def check_report(pair: Pair, team: int) -> int:
    """Highest first, equals in the team's order; returns how many ties were seen."""
    lead = (team - 1) * SIZE + 2
    positions = {}
    for project in range((team - 1) * 6 + 1, team * 6 + 1):
        positions[project] = pair.same("GET", f"/api/projects/{project}?user_id={lead}")["position"]
    rows = pair.same("GET", f"/api/reports/summary?user_id={lead}&since=2025-06-01&until=2025-06-30")["projects"]
    ids = [row["project"]["id"] for row in rows]
    totals = {row["project"]["id"]: float(row["total"]["amount"]) for row in rows}
    wanted = sorted(ids, key=lambda project: (-totals[project], positions[project]))
    _expect(ids, wanted, f"order of the report of team {team}")
    return len(rows) - len(set(totals.values()))


def _expect(value: Any, wanted: Any, what: str) -> None:
    if value != wanted:
        if isinstance(value, list) and isinstance(wanted, list):
            place = next((i for i, pair in enumerate(zip(value, wanted, strict=False)) if pair[0] != pair[1]), None)
            if place is not None:
                raise Failure(f"{what}: place {place + 1} should be {wanted[place]}, is {value[place]}")
        raise Failure(f"{what}: expected {wanted}, got {value}")


def check(pair: Pair) -> str:
    """Feeds, leaderboards, reports."""
    ties = (
        sum(check_feed(pair, user) for user in USERS),
        sum(check_board(pair, team) for team in range(2, TEAMS + 1, 4)),
        sum(check_report(pair, team) for team in (2, 6)),
    )
    if not all(ties):
        raise Failure(f"no ties to be seen (feeds, leaderboards, reports: {ties}), so their order can't be judged")
    return f"orders are right, with {ties[0]} ties in feeds, {ties[1]} in leaderboards, {ties[2]} in reports"


if __name__ == "__main__":
    run_check(check)
