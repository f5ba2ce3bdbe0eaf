"""Indexes that help nobody, told from a catalogue."""

from tools.plans import ForeignKey, Table
from tools.schema_advice import find_duplicates, find_unindexed_keys, find_unused, render_schema


def table(indexes: dict[str, tuple[str, ...]], unique: tuple[str, ...] = (), *keys: ForeignKey) -> Table:
    return Table("books", 100, ("id", "a", "b"), indexes, frozenset(unique), keys)


def duplicates(*given: Table) -> list[tuple[object, object]]:
    return [(row["index"], row["covered_by"]) for row in find_duplicates(given)]


def test_what_another_index_begins_with_is_a_duplicate() -> None:
    assert duplicates(table({"one": ("a",), "two": ("a", "b")})) == [("one", "two")]
    assert duplicates(table({"one": ("a",), "two": ("b", "a")})) == []


def test_of_two_equal_ones_the_later_goes_and_uniqueness_stays() -> None:
    assert duplicates(table({"one": ("a",), "two": ("a",)})) == [("two", "one")]
    assert duplicates(table({"one": ("a",), "two": ("a",)}, ("two",))) == [("one", "two")]
    assert duplicates(table({"one": ("a",), "two": ("a", "b")}, ("one",))) == []


def test_partial_indexes_are_compared_with_none() -> None:
    assert duplicates(table({"one (partial)": ("a",), "two": ("a", "b")})) == []
    assert duplicates(table({"one": ("a",), "two (partial)": ("a", "b")})) == []


def test_unused_spares_uniqueness_foreign_keys_and_what_duplicates_stand_for() -> None:
    key = ForeignKey(("b",), "authors")
    indexes = {"unique": ("a",), "key": ("b",), "idle": ("id", "b"), "some (partial)": ("id",)}
    found = find_unused([table(indexes, ("unique",), key)], {"some"})
    assert [row["index"] for row in found] == ["idle"]
    assert find_unused([table({"one": ("a",), "two": ("a", "b")})], {"one"}) == []
    assert [row["index"] for row in find_unused([table({"one": ("a",), "two": ("a", "b")})], set())] == ["two"]


def test_keys_of_several_columns_need_all_of_them_first() -> None:
    key = ForeignKey(("a", "b"), "authors")
    assert find_unindexed_keys([table({"one": ("b", "a", "id")}, (), key)]) == []
    (row,) = find_unindexed_keys([table({"one": ("a", "id", "b")}, (), key)])
    assert (row["columns"], row["rows"]) == ("a,b", 100)


def test_a_schema_without_faults_is_said_to_be_so() -> None:
    nothing = {"duplicate": [], "unused": [], "unindexed_key": []}
    assert "every index is used" in render_schema(nothing, ["desk"], 4, [])
