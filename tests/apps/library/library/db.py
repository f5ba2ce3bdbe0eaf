"""The database: one connection a request, and migrations as SQL scripts."""

import sqlite3
from datetime import date
from pathlib import Path

from flask import current_app, g

MIGRATIONS = Path(__file__).parent / "migrations"


def connect(url: str) -> sqlite3.Connection:
    """Open `sqlite:///relative` or `sqlite:////absolute/path`."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def get_connection() -> sqlite3.Connection:
    """The connection of the current request."""
    if "connection" not in g:
        g.connection = connect(current_app.config["DATABASE"])
    return g.connection


def close_connection(_error: BaseException | None = None) -> None:
    """Close the request's connection, if it opened one."""
    connection = g.pop("connection", None)
    if connection is not None:
        connection.close()


def today() -> date:
    """The current day, or what stands in for it."""
    return current_app.config["TODAY"] or date.today()


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply the migrations that are not yet applied, in order; return their names."""
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
    applied = {row["name"] for row in connection.execute("SELECT name FROM migrations")}
    new = []
    for path in sorted(MIGRATIONS.glob("*.sql")):
        if path.name.endswith(".down.sql") or path.stem in applied:
            continue
        connection.executescript(path.read_text())
        connection.execute("INSERT INTO migrations (name) VALUES (?)", (path.stem,))
        connection.commit()
        new.append(path.stem)
    return new


def rollback(connection: sqlite3.Connection) -> str | None:
    """Undo the last applied migration; return its name."""
    row = connection.execute("SELECT max(name) AS name FROM migrations").fetchone()
    if row["name"] is None:
        return None
    connection.executescript((MIGRATIONS / f"{row['name']}.down.sql").read_text())
    connection.execute("DELETE FROM migrations WHERE name = ?", (row["name"],))
    connection.commit()
    return row["name"]
