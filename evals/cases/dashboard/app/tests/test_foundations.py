"""Formatting, permissions, signatures, migrations, the view trail."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from dashboard.audit import ViewTrail
from dashboard.auth import sign, verify
from dashboard.config import Settings, load_settings, normalise_database_url
from dashboard.db import make_engine
from dashboard.formatting import day_label, format_duration, format_money, humanise_age, initials
from dashboard.migrate import list_migrations, migrate_down, migrate_up
from dashboard.permissions import RESOURCES, is_allowed, permission_table
from sqlalchemy import inspect


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=13), "1 week ago"),
        (timedelta(days=400), "1 year ago"),
    ],
)
def test_ages(age, text):
    assert humanise_age(age) == text


def test_days():
    noon = datetime(2025, 6, 30, 12)
    assert day_label(noon, noon, "iso") == "Today"
    assert day_label(noon - timedelta(days=1), noon, "iso") == "Yesterday"
    assert day_label(noon - timedelta(days=3), noon, "iso") == "Friday"
    assert day_label(noon - timedelta(days=30), noon, "eu") == "31.05.2025"


def test_durations_and_money():
    assert format_duration(95) == "1:35"
    assert format_duration(-95) == "-1:35"
    assert format_money(Decimal("-1234.50"), "GBP") == "-£1,234.50"


def test_initials():
    assert initials("Ada Maria Abel") == "AA"
    assert initials("Plato") == "P"


def test_roles_inherit():
    assert permission_table("guest")["activity.time"] == ["view"]
    assert permission_table("member")["activity.time"] == ["view", "create", "edit", "delete"]
    assert all(len(actions) == 5 for actions in permission_table("admin").values())
    assert set(permission_table("lead")) == set(RESOURCES)
    assert is_allowed("lead", "project.budget", "edit") and not is_allowed("member", "project.budget", "view")


def test_signatures():
    settings = Settings(secret_key="a")
    signature = sign(settings, "calendar", "3")
    assert verify(settings, "calendar", "3", signature)
    assert not verify(settings, "calendar", "4", signature)
    assert not verify(settings, "export", "3", signature)
    assert not verify(Settings(secret_key="b"), "calendar", "3", signature)


def test_settings_from_the_environment():
    settings = load_settings({"DATABASE_URL": "postgres://u@h/d", "FEED_LIMIT": "10", "PUBLIC_URL": "https://x/"})
    assert settings.database_url == "postgresql+psycopg://u@h/d"
    assert settings.feed_limit == 10 and settings.public_url == "https://x"
    assert normalise_database_url("sqlite:///app.db") == "sqlite:///app.db"


def test_migrations_go_up_and_down(tmp_path):
    engine = make_engine(Settings(database_url=f"sqlite:///{tmp_path / 'm.db'}"))
    versions = [migration.version for migration in list_migrations()]
    assert migrate_up(engine) == versions
    assert migrate_up(engine) == []
    assert "widgets" in inspect(engine).get_table_names()
    assert migrate_down(engine, "0001") == versions[:0:-1]
    assert "widgets" not in inspect(engine).get_table_names()
    assert migrate_up(engine) == versions[1:]
    assert migrate_down(engine, "0000") == versions[::-1]
    assert inspect(engine).get_table_names() == ["schema_migrations"]
    engine.dispose()


def test_every_migration_has_a_way_back():
    assert all(migration.down.exists() for migration in list_migrations())


def test_view_trail_groups_visits(monkeypatch):
    trail = ViewTrail()
    moment = datetime(2025, 6, 30, 8)
    for minutes in (0, 10, 50, 55):
        monkeypatch.setattr("dashboard.clock.now", lambda at=moment + timedelta(minutes=minutes): at)
        trail.record(1, "dashboard")
    trail.record(2, "dashboard")
    assert [view.visit for view in trail.recent(1)] == [2, 2, 1, 1]
    assert [view.visit for view in trail.recent(2)] == [1]
    assert len(trail.recent(1, limit=1)) == 1
