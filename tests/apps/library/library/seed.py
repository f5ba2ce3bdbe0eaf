"""Data that looks like a town library's, the same each time."""

import random
import sqlite3
from datetime import date, timedelta

TODAY = date(2026, 6, 30)
BRANCHES = ("Centre", "Harbour", "North", "Old Mill", "Riverside", "University")
GENRES = ("novel", "crime", "history", "science", "travel", "children", "poetry", "art")
FIRST = (
    "Ada",
    "Ben",
    "Clara",
    "David",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Leo",
    "Mina",
    "Noor",
)
LAST = ("Adler", "Bauer", "Costa", "Demir", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Jansen", "Klein", "Lopez")
WORDS = (
    "River",
    "Winter",
    "Garden",
    "Silence",
    "Bridge",
    "Letters",
    "Island",
    "Night",
    "House",
    "Stone",
    "Light",
    "Sea",
)
BOOKS, AUTHORS, MEMBERS, LOANS, RATINGS = 1500, 400, 1200, 20_000, 6000


def fill(connection: sqlite3.Connection, loans: int = LOANS) -> None:
    """Fill an empty, migrated database. With fewer loans the rest shrinks along."""
    chance = random.Random(1)
    scale = loans / LOANS
    books, authors = max(int(BOOKS * scale), 60), max(int(AUTHORS * scale), 30)
    members, ratings = max(int(MEMBERS * scale), 40), int(RATINGS * scale)
    with connection:
        connection.executemany("INSERT INTO branches VALUES (?, ?)", enumerate(BRANCHES, 1))
        connection.executemany(
            "INSERT INTO authors VALUES (?, ?)", [(n, _person(chance)) for n in range(1, authors + 1)]
        )
        connection.executemany(
            "INSERT INTO books VALUES (?, ?, ?, ?, ?)", [_book(n, chance) for n in range(1, books + 1)]
        )
        for book in range(1, books + 1):
            chosen = chance.sample(range(1, authors + 1), chance.choice((1, 1, 1, 2, 2, 3)))
            rows = [(book, author, position) for position, author in enumerate(chosen, 1)]
            connection.executemany("INSERT INTO book_authors VALUES (?, ?, ?)", rows)
        connection.executemany(
            "INSERT INTO members VALUES (?, ?, ?, ?)", [_member(n, chance) for n in range(1, members + 1)]
        )
        connection.executemany(
            "INSERT INTO loans (book_id, member_id, branch_id, lent_on, due_on, returned_on) VALUES (?, ?, ?, ?, ?, ?)",
            [_loan(books, members, chance) for _ in range(loans)],
        )
        stars = {(chance.randint(1, books), chance.randint(1, members)): chance.randint(1, 5) for _ in range(ratings)}
        connection.executemany("INSERT INTO ratings VALUES (?, ?, ?)", [(*key, value) for key, value in stars.items()])


def _person(chance: random.Random) -> str:
    return f"{chance.choice(FIRST)} {chance.choice(LAST)}"


def _book(number: int, chance: random.Random) -> tuple[int, str, str, int, int]:
    title = f"The {chance.choice(WORDS)} of {chance.choice(WORDS)}"
    return number, title, chance.choice(GENRES), chance.randint(1950, 2025), chance.randint(2, 6)


def _member(number: int, chance: random.Random) -> tuple[int, str, str, str]:
    joined = TODAY - timedelta(days=chance.randint(200, 4000))
    return number, _person(chance), f"member{number}@library.example", joined.isoformat()


def _loan(books: int, members: int, chance: random.Random) -> tuple[int, int, int, str, str, str | None]:
    lent = TODAY - timedelta(days=chance.randint(1, 240))
    due = lent + timedelta(days=28)
    late = chance.random() < 0.12
    back = min(due, TODAY) - timedelta(days=chance.randint(0, 20))
    if (due < TODAY and late and chance.random() < 0.6) or (due >= TODAY and chance.random() < 0.5):
        returned = None
    else:
        returned = max(back, lent).isoformat()
    place = (chance.randint(1, books), chance.randint(1, members), chance.randint(1, len(BRANCHES)))
    return (*place, lent.isoformat(), due.isoformat(), returned)
