"""One question, one fingerprint, whatever values are asked with."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.inject.perfcrew_tracer.fingerprint import fingerprint, statement_id


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM t WHERE id = 5", "SELECT * FROM t WHERE id = ?"),
        ("SELECT * FROM t WHERE id = %(id_1)s", "SELECT * FROM t WHERE id = ?"),
        ("SELECT * FROM t WHERE id = %(id_1)s::INTEGER", "SELECT * FROM t WHERE id = ?"),
        ("SELECT * FROM t WHERE id = $1", "SELECT * FROM t WHERE id = ?"),
        ("SELECT * FROM t WHERE id = :id", "SELECT * FROM t WHERE id = ?"),
        ("SELECT a::text FROM t WHERE n = 'it''s'", "SELECT a::text FROM t WHERE n = ?"),
        ("SELECT *\n  FROM t -- why\n WHERE id IN (1, 2,3)", "SELECT * FROM t WHERE id IN (?)"),
        ("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO t VALUES (?)"),
        ("SELECT users_1.id FROM users AS users_1 LIMIT 10;", "SELECT users_1.id FROM users AS users_1 LIMIT ?"),
        ("SELECT -1.5e3, x-1", "SELECT ?, x-?"),
    ],
)
def test_normalises(sql: str, expected: str) -> None:
    assert fingerprint(sql) == expected


@given(st.lists(st.integers(), min_size=1, max_size=20), st.text(alphabet="abc '\n", max_size=20))
def test_values_do_not_matter(numbers: list[int], word: str) -> None:
    quoted = word.replace("'", "''")
    listed = ", ".join(map(str, numbers))
    asked = fingerprint(f"SELECT a FROM t WHERE b IN ({listed}) AND c = '{quoted}'")
    assert asked == "SELECT a FROM t WHERE b IN (?) AND c = ?"


@given(st.text(max_size=200))
def test_is_stable(sql: str) -> None:
    once = fingerprint(sql)
    assert statement_id(once) == statement_id(once)
    assert re.fullmatch(r"q:[0-9a-f]{6}", statement_id(once))


def test_different_questions_differ() -> None:
    assert statement_id(fingerprint("SELECT a FROM t")) != statement_id(fingerprint("SELECT b FROM t"))
