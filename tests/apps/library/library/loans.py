"""Lending, taking back, and what is overdue."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, request

from library.books import authors_of, copies_on_shelf
from library.db import get_connection, today
from library.fines import fine_cents, show_euros
from library.members import count_open_loans

loans = Blueprint("loans", __name__)
LOAN_DAYS = 28
MAX_LOANS = 10
Answer = tuple[dict[str, Any], int]


@loans.get("/branches/<int:branch_id>/overdue")
def list_overdue(branch_id: int) -> Answer:
    """The overdue loans of a branch, the oldest first."""
    connection = get_connection()
    branch = connection.execute("SELECT id, name FROM branches WHERE id = ?", (branch_id,)).fetchone()
    if branch is None:
        return {"error": "no such branch"}, 404
    limit = min(max(request.args.get("limit", 40, type=int), 1), 200)
    rows = connection.execute(
        "SELECT id, book_id, member_id, due_on FROM loans"
        " WHERE branch_id = ? AND returned_on IS NULL AND due_on < ? ORDER BY due_on, id LIMIT ?",
        (branch_id, today().isoformat(), limit),
    ).fetchall()
    overdue = []
    for row in rows:
        book = connection.execute("SELECT title FROM books WHERE id = ?", (row["book_id"],)).fetchone()
        member = connection.execute("SELECT name, email FROM members WHERE id = ?", (row["member_id"],)).fetchone()
        fine = fine_cents(row["due_on"], today())
        overdue.append(
            {
                "loan": row["id"],
                "title": book["title"],
                "authors": authors_of(connection, row["book_id"]),
                "member": {
                    "name": member["name"],
                    "email": member["email"],
                    "open_loans": count_open_loans(connection, row["member_id"]),
                },
                "due_on": row["due_on"],
                "fine": show_euros(fine),
            }
        )
    return {"branch": branch["name"], "today": today().isoformat(), "overdue": overdue}, 200


@loans.post("/loans")
def lend() -> Answer:
    """Lend a book."""
    connection = get_connection()
    wanted = request.get_json(silent=True) or {}
    if not all(isinstance(wanted.get(name), int) for name in ("member_id", "book_id", "branch_id")):
        return {"error": "member_id, book_id and branch_id are needed"}, 400
    for table, name in (("members", "member_id"), ("books", "book_id"), ("branches", "branch_id")):
        if connection.execute(f"SELECT 1 FROM {table} WHERE id = ?", (wanted[name],)).fetchone() is None:
            return {"error": f"no such {name.removesuffix('_id')}"}, 404
    if copies_on_shelf(connection, wanted["book_id"]) < 1:
        return {"error": "no copy is left"}, 409
    if count_open_loans(connection, wanted["member_id"]) >= MAX_LOANS:
        return {"error": "the member has ten books already"}, 409
    due = today() + timedelta(days=LOAN_DAYS)
    with connection:
        cursor = connection.execute(
            "INSERT INTO loans (book_id, member_id, branch_id, lent_on, due_on) VALUES (?, ?, ?, ?, ?)",
            (wanted["book_id"], wanted["member_id"], wanted["branch_id"], today().isoformat(), due.isoformat()),
        )
    return {"loan": cursor.lastrowid, "due_on": due.isoformat()}, 201


@loans.post("/loans/<int:loan_id>/return")
def take_back(loan_id: int) -> Answer:
    """Take a book back."""
    connection = get_connection()
    loan = connection.execute("SELECT due_on, returned_on FROM loans WHERE id = ?", (loan_id,)).fetchone()
    if loan is None:
        return {"error": "no such loan"}, 404
    if loan["returned_on"] is not None:
        return {"error": "the book is back already"}, 409
    with connection:
        connection.execute("UPDATE loans SET returned_on = ? WHERE id = ?", (today().isoformat(), loan_id))
    return {"loan": loan_id, "fine": show_euros(fine_cents(loan["due_on"], today()))}, 200
