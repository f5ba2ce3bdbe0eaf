from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from healthy import connect, create_app, fill


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    url = f"sqlite:///{tmp_path / 'stock.db'}"
    connection = connect(url)
    fill(connection)
    connection.close()
    return TestClient(create_app(url))


def test_article(client: TestClient) -> None:
    assert client.get("/api/articles/7").json() == {"id": 7, "name": "Article 00007", "stock": 49}


def test_unknown_article(client: TestClient) -> None:
    assert client.get("/api/articles/9999").status_code == 404


def test_shelf_is_sorted(client: TestClient) -> None:
    articles = client.get("/api/shelves/S007").json()["articles"]
    assert len(articles) == 10
    assert [item["name"] for item in articles] == sorted(item["name"] for item in articles)


def test_unknown_shelf_is_empty(client: TestClient) -> None:
    assert client.get("/api/shelves/nowhere").json() == {"shelf": "nowhere", "articles": []}
