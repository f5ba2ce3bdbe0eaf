"""A shop with a year of sales, the same every time."""

import random
from datetime import datetime, timedelta

from till import pins, store

CATEGORIES = ("tea", "coffee", "bread", "spices")
NAMES = ("Ähre", "Bohne", "café noir", "Duft & Blatt", "Éclair", "fine <cut>", "Gold", "Haus", "Île", "jardin")


def fill(path: str) -> None:
    """Fill an empty database."""
    dice = random.Random(11)
    with store.opened(path) as connection, store.writing(connection):
        connection.executemany("INSERT INTO suppliers VALUES (?, ?)", [(n, f"Supplier {n}") for n in range(1, 13)])
        connection.executemany(
            "INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    n, f"{NAMES[n * 7 % 10]} {n % 17}", CATEGORIES[n % 4], dice.randrange(45, 2995, 5),
                    dice.choice((0.1, 0.25, 0.3, 1 / 3, 0.75)), 3 if n % 10 == 0 else 500, n * 13 % 7, n % 12 + 1,
                )
                for n in range(1, 241)
            ],
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?)",
            [(f"token-{n}", f"Customer {n}", n == 1, (-5, 0, 2, 9)[n % 4], pins.make(f"{n:04}")) for n in range(1, 21)],
        )
        first = datetime(2026, 1, 1)
        connection.executemany(
            "INSERT INTO sales VALUES (?, ?, ?, ?, ?, ?, NULL)",
            [
                (
                    n, f"token-{dice.randint(1, 20)}", dice.randint(1, 240), dice.randint(1, 4),
                    dice.choice((0, 5, 10, 15)), (first + timedelta(minutes=n * 173)).isoformat(),
                )
                for n in range(1, 3001)
            ],
        )  # fmt: skip
