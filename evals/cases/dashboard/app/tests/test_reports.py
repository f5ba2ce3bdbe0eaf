"""Money."""

import csv
import io
import json
from decimal import Decimal

import pytest
from dashboard.models import Activity
from dashboard.services.billing import amount_of, budget_share, total_of


def entry(minutes, rate_cents, discount=0):
    return Activity(minutes=minutes, rate_cents=rate_cents, discount=discount)


@pytest.mark.parametrize(
    ("minutes", "rate_cents", "discount", "amount"),
    [
        (60, 8000, 0, "80.00"),
        (90, 9600, 10, "129.60"),
        (15, 12000, 0, "30.00"),
        (30, 8725, 0, "43.63"),
        (-30, 8725, 0, "-43.63"),
        (0, 8725, 0, "0.00"),
        (1, 10000, 0, "1.67"),
    ],
)
def test_amount_of_an_entry(minutes, rate_cents, discount, amount):
    assert amount_of(entry(minutes, rate_cents, discount)) == Decimal(amount)


def test_total_of_quarters_of_an_hour():
    assert total_of([entry(15, 8000), entry(45, 9600), entry(60, 12000, 10)]) == Decimal("200.00")
    assert total_of([]) == Decimal("0.00")


def test_budget_share():
    assert budget_share(Decimal("125.00"), 100_000) == Decimal("12.5")
    assert budget_share(Decimal("125.00"), 0) is None


def test_summary(client):
    report = client.get("/api/reports/summary", params={"user_id": 2}).json()
    assert report["since"] == "2025-04-01" and report["until"] == "2025-06-30"
    totals = [Decimal(row["total"]["amount"]) for row in report["projects"]]
    assert len(totals) == 6
    assert totals == sorted(totals, reverse=True)
    assert sum(totals) == Decimal(report["total"]["amount"]) > 0


def test_summary_of_a_period(client):
    whole = client.get(
        "/api/reports/summary", params={"user_id": 2, "since": "2025-01-01", "until": "2025-06-30"}
    ).json()
    parts = [
        client.get("/api/reports/summary", params={"user_id": 2, "since": since, "until": until}).json()
        for since, until in (("2025-01-01", "2025-03-31"), ("2025-04-01", "2025-06-30"))
    ]
    assert sum(part["minutes"] for part in parts) == whole["minutes"]


def test_summary_refuses_a_period_that_ends_before_it_begins(client):
    parameters = {"user_id": 2, "since": "2025-06-01", "until": "2025-05-01"}
    assert client.get("/api/reports/summary", params=parameters).status_code == 422


def test_export_as_csv(client):
    response = client.get("/api/reports/export", params={"user_id": 2, "project_id": 1})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert rows and all(Decimal(row["amount"]) > 0 for row in rows)
    assert [row["date"] for row in rows] == sorted((row["date"] for row in rows), reverse=True)


def test_export_as_ndjson_has_the_same_rows(client):
    parameters = {"user_id": 2, "project_id": 1}
    table = list(csv.DictReader(io.StringIO(client.get("/api/reports/export", params=parameters).text)))
    lines = client.get("/api/reports/export", params={**parameters, "format": "ndjson"}).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [int(row["id"]) for row in table]


def test_projects_of_other_teams_can_not_be_exported(client):
    assert client.get("/api/reports/export", params={"user_id": 2, "project_id": 7}).status_code == 404
