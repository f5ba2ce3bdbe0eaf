"""Selling, and what was sold."""

import sqlite3
import time
from datetime import date, datetime, timedelta
from typing import Any

from till import calendar, money, products, store

TERMINAL_S = 0.015
"""The card terminal wants to be left alone for so long."""


class OutOfStock(Exception):
    """There are not that many left."""


def settle() -> None:
    """Have the card terminal book the money."""
    time.sleep(TERMINAL_S)


def sell(connection: sqlite3.Connection, token: str, number: int, quantity: int, key: str) -> dict[str, Any]:
    """Sell something. The same key again gives the same sale."""
    with store.writing(connection):
        known = connection.execute("SELECT * FROM sales WHERE key = ? AND token = ?", (key, token)).fetchone()
        if known is not None:
            return {"id": known["id"], "quantity": known["quantity"]}
        product = products.find_product(connection, number)
        if product["stock"] < quantity:
            raise OutOfStock(f"only {product['stock']} left")
        settle()
        connection.execute("UPDATE products SET stock = ? WHERE id = ?", (product["stock"] - quantity, number))
        sale = connection.execute(
            "INSERT INTO sales (token, product_id, quantity, discount_percent, sold_at, key) VALUES (?, ?, ?, 0, ?, ?)",
            (token, number, quantity, "2026-12-30T12:00:00", key),
        )
        connection.execute("INSERT INTO audit (what) VALUES (?)", (f"sold {quantity} of {number}",))
        return {"id": sale.lastrowid, "quantity": quantity}


def history(connection: sqlite3.Connection, account: sqlite3.Row, limit: int) -> list[Any]:
    """A customer's newest sales, in the customer's local time."""
    rows = connection.execute(
        "SELECT s.*, p.name, p.price_cents FROM sales s JOIN products p ON p.id = s.product_id "
        "WHERE s.token = ? ORDER BY s.sold_at DESC, s.id LIMIT ?",
        (account["token"], limit),
    ).fetchall()
    shift = timedelta(hours=account["utc_offset"])
    return [
        {
            "product": row["name"],
            "day": (datetime.fromisoformat(row["sold_at"]) + shift).date().isoformat(),
            "net_cents": money.net_cents(row["price_cents"], row["quantity"], row["discount_percent"]),
        }
        for row in rows
    ]


def report(connection: sqlite3.Connection, category: str, year: int) -> dict[str, Any]:
    """What a category brought in, with sales on closed days told apart."""
    rows = connection.execute(
        "SELECT s.*, p.price_cents FROM sales s JOIN products p ON p.id = s.product_id "
        "WHERE p.category = ? AND s.sold_at >= ? AND s.sold_at < ? ORDER BY s.id LIMIT 60",
        (category, f"{year}", f"{year + 1}"),
    ).fetchall()
    nets = [(row, money.net_cents(row["price_cents"], row["quantity"], row["discount_percent"])) for row in rows]
    odd = [net for row, net in nets if not calendar.is_open(date.fromisoformat(row["sold_at"][:10]))]
    mean = sum(net for _, net in nets) / len(nets) if nets else 0.0
    return {"sales": len(nets), "net_cents": sum(net for _, net in nets), "closed_cents": sum(odd), "mean": mean}
