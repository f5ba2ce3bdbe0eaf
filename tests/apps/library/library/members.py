"""Members and what they have at home."""

import sqlite3
from typing import Any

from flask import Blueprint

from library.db import get_connection, today
from library.fines import fine_cents, show_euros

members = Blueprint("members", __name__)


def count_open_loans(connection: sqlite3.Connection, member_id: int) -> int:
    """How many books a member has at home."""
    row = connection.execute(
        "SELECT count(*) AS count FROM loans WHERE member_id = ? AND returned_on IS NULL", (member_id,)
    ).fetchone()
    return row["count"]


@members.get("/<int:member_id>")
def show_member(member_id: int) -> tuple[dict[str, Any], int]:
    """A member with current loans and the fine that is due."""
    connection = get_connection()
    member = connection.execute("SELECT id, name, joined_on FROM members WHERE id = ?", (member_id,)).fetchone()
    if member is None:
        return {"error": "no such member"}, 404
    rows = connection.execute(
        "SELECT l.id, b.title, l.due_on FROM loans l JOIN books b ON b.id = l.book_id"
        " WHERE l.member_id = ? AND l.returned_on IS NULL ORDER BY l.due_on, l.id",
        (member_id,),
    ).fetchall()
    current = [{"loan": row["id"], "title": row["title"], "due_on": row["due_on"]} for row in rows]
    due = sum(fine_cents(row["due_on"], today()) for row in rows)
    return {"name": member["name"], "joined_on": member["joined_on"], "loans": current, "fine": show_euros(due)}, 200
