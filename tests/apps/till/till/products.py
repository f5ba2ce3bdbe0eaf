"""What the shop sells."""

import sqlite3
from typing import Any

from till import money


class Unknown(Exception):
    """There is no such thing."""


def list_products(connection: sqlite3.Connection, category: str, limit: int, offset: int) -> tuple[list[Any], int]:
    """A page of a category, best first, and how many there are in all."""
    rows = connection.execute(
        "SELECT * FROM products WHERE category = ? ORDER BY rank, name, id LIMIT ? OFFSET ?",
        (category, limit, offset),
    ).fetchall()
    total = connection.execute("SELECT count(*) FROM products WHERE category = ?", (category,)).fetchone()[0]
    return [{**show(row), "supplier": supplier_of(connection, row["supplier_id"])} for row in rows], total


def supplier_of(connection: sqlite3.Connection, number: int) -> str:
    """The name of a supplier."""
    return connection.execute("SELECT name FROM suppliers WHERE id = ?", (number,)).fetchone()["name"]


def show(row: sqlite3.Row) -> dict[str, Any]:
    """A product as clients see it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "price_cents": row["price_cents"],
        "per_kilo": money.per_kilo(row["price_cents"], row["weight_kg"]),
        "weight_kg": row["weight_kg"],
        "stock": row["stock"],
    }


def find_product(connection: sqlite3.Connection, number: int) -> sqlite3.Row:
    """One product; Unknown if there is none."""
    row = connection.execute("SELECT * FROM products WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise Unknown(f"there is no product {number}")
    return row


def search(connection: sqlite3.Connection, words: str) -> list[Any]:
    """Products whose name holds the words, whatever their case."""
    wanted = words.casefold()
    rows = connection.execute("SELECT * FROM products ORDER BY name, id")
    return [show(row) for row in rows if wanted in row["name"].casefold()]


def set_price(connection: sqlite3.Connection, number: int, cents: int) -> None:
    """Change a price, and keep a trace of it."""
    find_product(connection, number)
    connection.execute("UPDATE products SET price_cents = ? WHERE id = ?", (cents, number))
    connection.execute("INSERT INTO audit (what) VALUES (?)", (f"price of {number} is {cents}",))
