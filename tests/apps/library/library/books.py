"""The catalogue."""

import sqlite3
from typing import Any

from flask import Blueprint, request

from library.db import get_connection

books = Blueprint("books", __name__)
PAGE = 20


def authors_of(connection: sqlite3.Connection, book_id: int) -> list[str]:
    """The names of a book's authors, in the order of the title page."""
    rows = connection.execute(
        "SELECT a.name FROM book_authors ba JOIN authors a ON a.id = ba.author_id"
        " WHERE ba.book_id = ? ORDER BY ba.position",
        (book_id,),
    )
    return [row["name"] for row in rows]


def copies_on_shelf(connection: sqlite3.Connection, book_id: int) -> int:
    """Copies that are not lent."""
    row = connection.execute(
        "SELECT b.copies - (SELECT count(*) FROM loans l WHERE l.book_id = b.id AND l.returned_on IS NULL) AS free"
        " FROM books b WHERE b.id = ?",
        (book_id,),
    ).fetchone()
    return row["free"]


def rating_of(connection: sqlite3.Connection, book_id: int) -> float | None:
    """The mean of all ratings with one decimal; None without ratings."""
    row = connection.execute("SELECT avg(stars) AS mean FROM ratings WHERE book_id = ?", (book_id,)).fetchone()
    return None if row["mean"] is None else round(row["mean"], 1)


@books.get("")
def list_books() -> dict[str, Any]:
    """A page of a genre's books by title."""
    connection = get_connection()
    genre = request.args.get("genre", "novel")
    page = max(request.args.get("page", 1, type=int), 1)
    rows = connection.execute(
        "SELECT id, title, year FROM books WHERE genre = ? ORDER BY title, id LIMIT ? OFFSET ?",
        (genre, PAGE, (page - 1) * PAGE),
    ).fetchall()
    found = [
        {
            "id": row["id"],
            "title": row["title"],
            "year": row["year"],
            "authors": authors_of(connection, row["id"]),
            "on_shelf": copies_on_shelf(connection, row["id"]),
            "rating": rating_of(connection, row["id"]),
        }
        for row in rows
    ]
    return {"genre": genre, "page": page, "books": found}
