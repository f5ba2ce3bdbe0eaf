"""What plans say, and which index a query would want."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from perfcrew.errors import ToolError
from tools.explain import to_driver
from tools.explain_postgres import positional
from tools.explain_sqlite import as_sqlite
from tools.plan_nodes import postgres_scans, render_postgres, sum_up_plan
from tools.plans import (
    Candidate,
    Table,
    bind,
    covered,
    find_candidate,
    parse_select,
)
from tools.sqlite_plan import sqlite_facts, sqlite_scans

COLUMNS = {"books": ("id", "author_id", "title", "year", "order"), "authors": ("id", "name")}


@pytest.mark.parametrize(
    ("sql", "alias", "columns"),
    [
        ("SELECT * FROM books WHERE author_id = ?", "books", ("author_id",)),
        ("SELECT * FROM books b WHERE ? = b.author_id ORDER BY b.year DESC LIMIT ?", "b", ("author_id", "year")),
        ("SELECT * FROM books WHERE author_id IN (?, ?) AND year > ? ORDER BY title", "books", ("author_id", "year")),
        ("SELECT * FROM books WHERE year BETWEEN ? AND ?", "books", ("year",)),
        ("SELECT * FROM authors a JOIN books b ON b.author_id = a.id WHERE a.name = ?", "b", ("author_id",)),
        ("SELECT * FROM authors a JOIN books b ON b.author_id = a.id WHERE a.name = ?", "a", ("name", "id")),
        (
            "SELECT * FROM books b JOIN authors a ON a.id = b.author_id WHERE b.year = ? ORDER BY b.title",
            "b",
            ("year", "title"),
        ),
        ("SELECT * FROM books WHERE author_id = %(a)s AND title = %(t)s", "books", ("author_id", "title")),
        ("SELECT * FROM books WHERE author_id = $1", "books", ("author_id",)),
        ("SELECT count(*) FROM books", "books", None),
        ("SELECT * FROM books WHERE lower(title) = ?", "books", None),
        ("SELECT * FROM books WHERE title LIKE '%x'", "books", None),
        ("UPDATE books SET title = ? WHERE author_id = ?", "books", None),
    ],
)
def test_candidate(sql: str, alias: str, columns: tuple[str, ...] | None) -> None:
    found = find_candidate(sql, "sqlite", alias, COLUMNS)
    assert (found.columns if found else None) == columns


@pytest.mark.parametrize("mark", ["%(a)s::INTEGER", "$1::int", "?::int", "%s::TIMESTAMP WITHOUT TIME ZONE", "?", "%s"])
def test_casts_of_placeholders_are_understood(mark: str) -> None:
    sql = f"SELECT * FROM books WHERE books.author_id = {mark} AND books.year >= {mark}"
    assert find_candidate(sql, "postgresql", "books", COLUMNS) == Candidate(
        "books", ("author_id", "year"), "postgresql"
    )


def test_a_column_that_two_tables_have_is_not_guessed() -> None:
    assert find_candidate("SELECT * FROM books, authors WHERE id = ?", "sqlite", "books", COLUMNS) is None


def test_ddl_quotes_what_needs_it() -> None:
    assert Candidate("books", ("author_id", "order")).ddl == (
        'CREATE INDEX ix_books_author_id_order ON books (author_id, "order")'
    )


def test_an_index_that_begins_alike_covers() -> None:
    wanted = Candidate("books", ("author_id", "year"))
    assert covered(wanted, {"a": ("author_id", "year", "title")})
    assert not covered(wanted, {"a": ("author_id",), "b": ("year", "author_id")})


@pytest.mark.parametrize(
    ("step", "tables"),
    [
        ("SCAN books", ["books"]),
        ("  SCAN b USING INDEX ix_b", ["b"]),
        ("SCAN TABLE books AS b", ["b"]),
        ("SEARCH books USING INDEX ix (author_id=?)", []),
        ("SCAN CONSTANT ROW", []),
        ("USE TEMP B-TREE FOR ORDER BY", []),
    ],
)
def test_sqlite_scans(step: str, tables: list[str]) -> None:
    assert [scan.table for scan in sqlite_scans([step])] == tables


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM books", "SELECT 1; DROP TABLE books", "nonsense ((", "PRAGMA journal_mode", "",
        "WITH x AS (DELETE FROM books RETURNING id) SELECT * FROM x", "SELECT pg_read_file('/etc/passwd')",
        "SELECT set_config('a', 'b', false)", "SELECT * INTO copy FROM books", "COPY books TO '/tmp/x'",
    ],
)  # fmt: skip
def test_only_reading_statements_pass(sql: str) -> None:
    with pytest.raises(ToolError):
        parse_select(sql, "postgresql")


def test_reading_statements_pass() -> None:
    parse_select("WITH x AS (SELECT 1 AS a) SELECT a FROM x UNION SELECT lower('B')", "postgresql")


def plan(**more: Any) -> dict[str, Any]:
    node = {"Node Type": "Seq Scan", "Relation Name": "books", "Alias": "b", "Plan Rows": 5, "Actual Rows": 10,
            "Actual Loops": 2, "Actual Total Time": 3.0, "Rows Removed by Filter": 9990,
            "Filter": "(year > 1)"}  # fmt: skip
    return {"Node Type": "Sort", "Plan Rows": 5, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 7.0,
            "Sort Space Type": "Disk", "Plans": [{**node, **more}]}  # fmt: skip


def test_postgres_scans_that_throw_most_away() -> None:
    (scan,) = postgres_scans(plan())
    assert (scan.table, scan.rows, scan.kept) == ("b", 20_000, 20)
    assert postgres_scans(plan(**{"Rows Removed by Filter": 5})) == []
    assert postgres_scans(plan(**{"Rows Removed by Filter": 400})) == []
    assert postgres_scans(plan(**{"Actual Rows": 9000})) == []


def test_postgres_plan_tells_estimates_spills_and_waste() -> None:
    sort, scan = render_postgres(plan())
    assert sort == "Sort: 7.00 ms, 1000 rows × 1 loops (estimated 5), SPILLS TO DISK"
    assert scan == "  Seq Scan books: 6.00 ms, 10 rows × 2 loops, 9990 rows thrown away by (year > 1)"


def test_postgres_facts_name_what_is_worth_it() -> None:
    facts = sum_up_plan(plan())
    assert (facts.read, facts.exact) == (20_000, True)
    # 6 of the sort's 7 ms are spent below it.
    assert facts.worst == (("Seq Scan books", pytest.approx(6 / 7)), ("Sort", pytest.approx(1 / 7)))
    assert facts.spills == ("Sort",)
    assert facts.misjudged == ("Sort", 200.0)
    assert facts.scans == (("books", 20_000),)


def test_a_plan_that_went_well_has_nothing_to_tell() -> None:
    node = {"Node Type": "Index Scan", "Relation Name": "books", "Index Name": "ix", "Plan Rows": 3, "Actual Rows": 2,
            "Actual Loops": 1, "Actual Total Time": 0.1, "Shared Hit Blocks": 4}  # fmt: skip
    facts = sum_up_plan(node)
    assert (facts.read, facts.spills, facts.misjudged, facts.scans) == (2, (), None, ())
    assert (facts.kilobytes, facts.indexes) == (32, frozenset({"ix"}))


@pytest.mark.parametrize(
    ("plan_", "sql", "read"),
    [
        (["SCAN b"], "SELECT * FROM books b WHERE year = 1", 5000),
        (["SCAN b"], "SELECT * FROM books b WHERE year = 1 LIMIT 1", None),
        (["SCAN b", "USE TEMP B-TREE FOR ORDER BY"], "SELECT * FROM books b ORDER BY year LIMIT 1", 5000),
        (["SEARCH b USING INDEX ix (author_id=?)"], "SELECT * FROM books b WHERE author_id = 1", None),
        (["SEARCH a USING INDEX pk (id=?)", "SCAN b"], "SELECT * FROM authors a, books b WHERE a.id = 1", None),
    ],
)
def test_sqlite_says_what_was_read_only_where_it_is_sure(plan_: list[str], sql: str, read: int | None) -> None:
    books = Table("books", 5000, ("id", "year"), {})
    facts = sqlite_facts(plan_, {"books": books}, {"b": "books", "a": "authors"}, sql)
    assert (facts.read, facts.exact) == (read, False)


def test_sqlite_names_the_indexes_that_it_uses() -> None:
    steps = ["SEARCH b USING COVERING INDEX ix_one (a=?)", "SCAN c USING INDEX ix_two"]
    assert sqlite_facts(steps, {}, {}, "").indexes == {"ix_one", "ix_two"}


def test_recorded_parameters_are_bound_again() -> None:
    assert bind({"date": "2025-01-01", "at": {"datetime": "2025-01-01T00:00:00"}, "n": {"Decimal": "1.50"}}) == {
        "date": "2025-01-01",
        "at": datetime(2025, 1, 1),
        "n": Decimal("1.50"),
    }
    assert bind([1, "a", None]) == [1, "a", None]
    assert bind(None) == []
    for lost in ({"cut": "long"}, {"other": "Json"}):
        with pytest.raises(ValueError, match="could not be recorded"):
            bind([lost])


def test_placeholders_as_drivers_want_them() -> None:
    assert positional("a = $1 AND b LIKE '%x' AND c = $2", [1, 2]) == (
        "a = %(p1)s AND b LIKE '%%x' AND c = %(p2)s",
        {"p1": 1, "p2": 2},
    )
    assert positional("a = %(x)s", {"x": 1}) == ("a = %(x)s", {"x": 1})
    assert to_driver("a = ? AND b LIKE '%x'", [1], "postgresql") == ("a = %s AND b LIKE '%%x'", [1])
    assert to_driver("a = :n AND b::text = 'x'", {"n": 1}, "postgresql") == ("a = %(n)s AND b::text = 'x'", {"n": 1})
    assert as_sqlite("a = %s AND b LIKE '%%x'", [1]) == ("a = ? AND b LIKE '%x'", [1])
    assert as_sqlite("a = %(n)s", {"n": 1}) == ("a = :n", {"n": 1})
    assert as_sqlite("a = ? AND b LIKE '%s'", [1]) == ("a = ? AND b LIKE '%s'", [1])
    assert to_driver("a = ?", [1], "sqlite") == ("a = ?", [1])
