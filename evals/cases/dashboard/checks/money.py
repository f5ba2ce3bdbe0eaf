"""Amounts are rounded half up to the cent for each entry, then added; the sums are recomputed from single entries."""

import csv
import io
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from api import Failure, Pair, dashboard, run_check, tile, whole_feed

CENT = Decimal("0.01")
USERS = (11, 14, 36)
REPORTED = (2, 7)
"""Teams whose reports are added up, of both kinds."""
PERIODS = (("2025-01-01", "2025-06-30"), ("2025-02-10", "2025-02-11"), ("2025-06-01", "2025-06-30"))
SIZE = 10
PROJECTS = 6


def amount(minutes: int, rate_cents: int, discount: int) -> Decimal:
    """What one entry costs."""
    exact = Decimal(minutes) * Decimal(rate_cents) * Decimal(100 - discount) / Decimal(60 * 100 * 100)
    return exact.quantize(CENT, rounding=ROUND_HALF_UP)


def check_user(pair: Pair, user: int) -> int:
    """The billing tile against the entries of the user's feed; returns how many entries were added."""
    payload = pair.same("GET", dashboard(user))
    entries = sorted((item for item in whole_feed(pair.candidate, user)), key=lambda item: item["id"])
    totals: dict[int, Decimal] = {}
    for item in entries:
        own = amount(item["minutes"], item["rate_cents"], item["discount"])
        _expect(item["amount"]["amount"], str(own), f"amount of entry {item['id']}")
        if item["rate_cents"] > 0:
            project = item["project"]["id"]
            totals[project] = totals.get(project, Decimal("0.00")) + own
    billing = tile(payload, "billing")
    wanted = sorted(totals.items(), key=lambda pair: pair[1], reverse=True)
    rows = [(row["project"]["id"], row["amount"]["amount"]) for row in billing["projects"]]
    _expect(rows, [(project, str(total)) for project, total in wanted], f"billing of user {user}")
    _expect(billing["total"]["amount"], str(sum(totals.values(), Decimal("0.00"))), f"billed total of user {user}")
    return len(entries)


def check_team(pair: Pair, team: int) -> int:
    """A team's report against the exports of its projects; returns how many entries were added."""
    lead = (team - 1) * SIZE + 2
    exports = {}
    for project in range((team - 1) * PROJECTS + 1, team * PROJECTS + 1):
        text = pair.same("GET", f"/api/reports/export?user_id={lead}&project_id={project}")
        exports[project] = list(csv.DictReader(io.StringIO(text)))
        for row in exports[project]:
            own = amount(int(row["minutes"]), int(row["rate_cents"]), int(row["discount"]))
            _expect(row["amount"], str(own), f"exported amount of entry {row['id']}")
    for since, until in PERIODS:
        report = pair.same("GET", f"/api/reports/summary?user_id={lead}&since={since}&until={until}")
        grand = Decimal("0.00")
        for row in report["projects"]:
            rows = [line for line in exports[row["project"]["id"]] if since <= line["date"] <= until]
            total = sum((Decimal(line["amount"]) for line in rows), Decimal("0.00"))
            place = f"team {team}, {since} to {until}, project {row['project']['id']}"
            _expect(row["total"]["amount"], str(total), f"total of {place}")
            grand += total
        _expect(report["total"]["amount"], str(grand), f"grand total of team {team}, {since} to {until}")
    return sum(map(len, exports.values()))


def _expect(value: Any, wanted: Any, what: str) -> None:
    if value != wanted:
        raise Failure(f"{what}: expected {wanted}, got {value}")


def check(pair: Pair) -> str:
    """Users' tiles and teams' reports."""
    entries = sum(check_user(pair, user) for user in USERS)
    entries += sum(check_team(pair, team) for team in REPORTED)
    return f"sums over {entries} entries are right to the cent"


if __name__ == "__main__":
    run_check(check)
