"""Stock by article and shelf: an application without performance problems."""

import sqlite3
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

SCHEMA = """
CREATE TABLE IF NOT EXISTS articles (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    shelf TEXT NOT NULL,
    stock INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS articles_by_shelf ON articles (shelf, name);
"""


class Article(BaseModel):
    """An article and how many of it there are."""

    id: int
    name: str
    stock: int


def connect(url: str) -> sqlite3.Connection:
    """Open `sqlite:///path`."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def fill(connection: sqlite3.Connection) -> None:
    """Make the tables and put 2,000 articles on 200 shelves, the same each time."""
    connection.executescript(SCHEMA)
    rows = [(n, f"Article {n:05d}", f"S{n % 200:03d}", n * 7 % 50) for n in range(1, 2001)]
    with connection:
        connection.executemany("INSERT OR IGNORE INTO articles VALUES (?, ?, ?, ?)", rows)


def get_connection(request: Request) -> Iterator[sqlite3.Connection]:
    connection = connect(request.app.state.database)
    try:
        yield connection
    finally:
        connection.close()


Connection = Annotated[sqlite3.Connection, Depends(get_connection)]


def create_app(database: str) -> FastAPI:
    """Make the application for a database."""
    app = FastAPI()
    app.state.database = database

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/articles/{number}")
    def show_article(number: int, connection: Connection) -> Article:
        row = connection.execute("SELECT id, name, stock FROM articles WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise HTTPException(404, "no such article")
        return Article(**row)

    @app.get("/api/shelves/{shelf}")
    def show_shelf(shelf: str, connection: Connection) -> dict[str, Any]:
        rows = connection.execute("SELECT id, name, stock FROM articles WHERE shelf = ? ORDER BY name", (shelf,))
        return {"shelf": shelf, "articles": [dict(row) for row in rows]}

    return app
