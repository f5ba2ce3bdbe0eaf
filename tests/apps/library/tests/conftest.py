from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from library import create_app, db, seed


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pristine.db"
    connection = db.connect(f"sqlite:///{path}")
    db.migrate(connection)
    seed.fill(connection, loans=1500)
    connection.close()
    return path


@pytest.fixture
def client(pristine: Path, tmp_path: Path) -> Iterator[FlaskClient]:
    copy = tmp_path / "library.db"
    copy.write_bytes(pristine.read_bytes())
    yield create_app(f"sqlite:///{copy}", today=date(2026, 6, 30)).test_client()
