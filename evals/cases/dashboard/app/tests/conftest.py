"""A small seeded database, made once and copied for each test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ["APP_NOW"] = "2025-06-30T12:00:00+00:00"

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from dashboard.config import Settings
from dashboard.db import make_engine
from dashboard.main import create_app
from dashboard.migrate import migrate_up
from dashboard.seed import Scale, seed_database

SMALL = Scale(teams=6, members=6, entries=40)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "small.db"
    engine = make_engine(Settings(database_url=f"sqlite:///{path}"))
    migrate_up(engine)
    seed_database(engine, SMALL)
    engine.dispose()
    return path


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    path = tmp_path / "app.db"
    shutil.copyfile(template, path)
    return Settings(database_url=f"sqlite:///{path}", secret_key="test-secret", search_pace_s=0.0)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as test_client:
        yield test_client


@pytest.fixture
def session(client: TestClient) -> Iterator[Session]:
    with client.app.state.sessions() as open_session:
        yield open_session
