"""Patches for the library desk in `tests/apps/library`: three that help, one that only comments, one that is wrong."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """Text that stands once in a file, and what replaces it; an empty `old` makes a new file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Patch:
    """One plan step with the edits that carry it out."""

    title: str
    body: str
    kinds: tuple[str, ...]
    """Kinds of findings that the step may address, the best first."""
    layer: str
    edits: tuple[Edit, ...]


def apply(patch: Patch, folder: Path) -> None:
    """Carry out a patch's edits as the tools would.

    Raises:
        ValueError: an edit's text does not stand exactly once in its file.
    """
    for edit in patch.edits:
        path = folder / edit.path
        if not edit.old:
            path.write_text(edit.new)
            continue
        text = path.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.path}: {text.count(edit.old)} matches of {edit.old!r}")
        path.write_text(text.replace(edit.old, edit.new))


HOLIDAYS = Patch(
    title="Compute the holidays of a year once",
    body="Each open day of each fine computed Easter and all holidays anew. They depend on the year alone.",
    kinds=("repeated_computation", "cpu_hot_path"),
    layer="backend",
    edits=(
        Edit(
            "library/calendar.py",
            "from datetime import date, timedelta\n",
            "from datetime import date, timedelta\nfrom functools import cache\n",
        ),
        Edit(
            "library/calendar.py",
            "def holidays(year: int) -> list[date]:\n",
            "@cache\ndef holidays(year: int) -> tuple[date, ...]:\n",
        ),
        Edit(
            "library/calendar.py",
            "    return sorted([date(year, month, day) for month, day in FIXED_HOLIDAYS] + moving)\n",
            "    return tuple(sorted([date(year, month, day) for month, day in FIXED_HOLIDAYS] + moving))\n",
        ),
    ),
)
INDEX = Patch(
    title="Index open loans by member and by branch",
    body="Counting a member's open loans, and listing a branch's overdue ones, read the whole table.",
    kinds=("missing_index", "slow_query", "n_plus_one"),
    layer="database",
    edits=(
        Edit(
            "library/migrations/002_open_loans.sql",
            "",
            "CREATE INDEX open_loans_by_member ON loans (member_id) WHERE returned_on IS NULL;\n"
            "CREATE INDEX open_loans_by_branch ON loans (branch_id, due_on) WHERE returned_on IS NULL;\n",
        ),
        Edit(
            "library/migrations/002_open_loans.down.sql",
            "",
            "DROP INDEX open_loans_by_branch;\nDROP INDEX open_loans_by_member;\n",
        ),
    ),
)
BATCH = Patch(
    title="Read the books and members of overdue loans at once",
    body="Each overdue loan asked for its book, authors, member and open loans with a statement of its own.",
    kinds=("n_plus_one", "slow_query"),
    layer="database",
    edits=(
        Edit(
            "library/books.py",
            "def copies_on_shelf(",
            "def authors_by_book(connection: sqlite3.Connection, book_ids: set[int]) -> dict[int, list[str]]:\n"
            '    """The names of the authors of several books, each in the order of the title page."""\n'
            '    marks = ", ".join("?" * len(book_ids))\n'
            "    rows = connection.execute(\n"
            '        "SELECT ba.book_id, a.name FROM book_authors ba JOIN authors a ON a.id = ba.author_id"\n'
            '        f" WHERE ba.book_id IN ({marks}) ORDER BY ba.book_id, ba.position",\n'
            "        tuple(book_ids),\n"
            "    )\n"
            "    found: dict[int, list[str]] = {book_id: [] for book_id in book_ids}\n"
            "    for row in rows:\n"
            '        found[row["book_id"]].append(row["name"])\n'
            "    return found\n\n\n"
            "def copies_on_shelf(",
        ),
        Edit(
            "library/members.py",
            '@members.get("/<int:member_id>")',
            "def open_loans_by_member(connection: sqlite3.Connection, member_ids: set[int]) -> dict[int, int]:\n"
            '    """How many books each of several members has at home; members without any are left out."""\n'
            '    marks = ", ".join("?" * len(member_ids))\n'
            "    rows = connection.execute(\n"
            '        "SELECT member_id, count(*) AS count FROM loans"\n'
            '        f" WHERE member_id IN ({marks}) AND returned_on IS NULL GROUP BY member_id",\n'
            "        tuple(member_ids),\n"
            "    )\n"
            '    return {row["member_id"]: row["count"] for row in rows}\n\n\n'
            '@members.get("/<int:member_id>")',
        ),
        Edit(
            "library/loans.py",
            '        "SELECT id, book_id, member_id, due_on FROM loans"\n'
            '        " WHERE branch_id = ? AND returned_on IS NULL AND due_on < ? ORDER BY due_on, id LIMIT ?",\n',
            '        "SELECT l.id, l.book_id, l.member_id, l.due_on, b.title, m.name, m.email"\n'
            '        " FROM loans l JOIN books b ON b.id = l.book_id JOIN members m ON m.id = l.member_id"\n'
            '        " WHERE l.branch_id = ? AND l.returned_on IS NULL AND l.due_on < ?"\n'
            '        " ORDER BY l.due_on, l.id LIMIT ?",\n',
        ),
        Edit(
            "library/loans.py",
            "    overdue = []\n",
            '    authors = authors_by_book(connection, {row["book_id"] for row in rows})\n'
            '    open_loans = open_loans_by_member(connection, {row["member_id"] for row in rows})\n'
            "    overdue = []\n",
        ),
        Edit(
            "library/loans.py",
            '        book = connection.execute("SELECT title FROM books WHERE id = ?", (row["book_id"],)).fetchone()\n'
            '        member = connection.execute("SELECT name, email FROM members WHERE id = ?", '
            '(row["member_id"],)).fetchone()\n',
            "",
        ),
        Edit("library/loans.py", '"title": book["title"]', '"title": row["title"]'),
        Edit("library/loans.py", 'authors_of(connection, row["book_id"])', 'authors[row["book_id"]]'),
        Edit("library/loans.py", '"name": member["name"]', '"name": row["name"]'),
        Edit("library/loans.py", '"email": member["email"]', '"email": row["email"]'),
        Edit("library/loans.py", 'count_open_loans(connection, row["member_id"])', 'open_loans[row["member_id"]]'),
        Edit(
            "library/loans.py",
            "from library.books import authors_of, copies_on_shelf\n",
            "from library.books import authors_by_book, copies_on_shelf\n",
        ),
        Edit(
            "library/loans.py",
            "from library.members import count_open_loans\n",
            "from library.members import count_open_loans, open_loans_by_member\n",
        ),
    ),
)
COMMENT = Patch(
    title="Say where the rule for Sundays comes from",
    body="A comment only: nothing that runs is changed.",
    kinds=("cpu_hot_path", "repeated_computation", "n_plus_one"),
    layer="backend",
    edits=(Edit("library/calendar.py", "SUNDAY = 6\n", "SUNDAY = 6  # as date.weekday() counts\n"),),
)
BREAKING = Patch(
    title="Count days without asking the calendar",
    body="Subtracting dates is much faster than walking through the days, and wrong: closed days are counted.",
    kinds=("cpu_hot_path", "repeated_computation", "n_plus_one"),
    layer="backend",
    edits=(
        Edit(
            "library/fines.py",
            "    return min(open_days(due, until) * CENTS_A_DAY, MAX_CENTS)\n",
            "    return min((until - due).days * CENTS_A_DAY, MAX_CENTS)\n",
        ),
    ),
)
GOOD = (HOLIDAYS, INDEX, BATCH)
