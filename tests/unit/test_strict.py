"""Schemas in strict forms, and arguments back from them."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.llm.base import ToolSpec
from perfcrew.llm.strict import relax, tighten
from perfcrew.records.base import Record


class Inner(Record):
    """A part."""

    name: str
    note: str | None = None
    level: int = 3
    rank: int | None = 1


class Outer(Record):
    """Arguments."""

    path: str
    lines: tuple[int, ...] = ()
    mode: Literal["a", "b"] = "a"
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()


SCHEMA = Outer.model_json_schema()


def objects(schema: Any) -> list[dict[str, Any]]:
    """All object schemas in a schema."""
    if isinstance(schema, list):
        return [found for part in schema for found in objects(part)]
    if not isinstance(schema, dict):
        return []
    below = [found for part in schema.values() for found in objects(part)]
    return [schema, *below] if schema.get("type") == "object" else below


def test_openais_form_closes_every_object_and_requires_every_property() -> None:
    tight = tighten(SCHEMA, all_required=True)
    assert tight is not None
    for found in objects(tight):
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
    assert tight["properties"]["path"] == {"type": "string"}
    assert {"type": "null"} in tight["properties"]["mode"]["anyOf"]
    assert "default" not in str(tight) and "title" not in tight


def test_anthropics_form_leaves_optional_what_is_optional() -> None:
    tight = tighten(SCHEMA, all_required=False)
    assert tight is not None
    assert tight["required"] == ["path"]
    assert all(found["additionalProperties"] is False for found in objects(tight))


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"type": "object"},
        {"type": "array"},
        {"allOf": [{"type": "string"}]},
        {"type": "array", "prefixItems": [{"type": "string"}]},
    ],
)
def test_what_has_no_strict_form(part: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"x": part}, "additionalProperties": False}
    assert tighten(schema, all_required=True) is None


def test_the_schema_itself_stays_as_it_is() -> None:
    before = str(SCHEMA)
    tighten(SCHEMA, all_required=True)
    assert str(SCHEMA) == before
    spec = ToolSpec(name="x", description="", parameters=SCHEMA)
    assert spec.strict_parameters == tighten(SCHEMA, all_required=True)
    assert set(spec.model_dump()) == {"name", "description", "parameters"}


def test_nulls_for_optional_arguments_are_left_out() -> None:
    given = {"path": "a", "lines": None, "mode": None, "inner": {"name": "n", "note": None, "level": None}}
    relaxed = relax({**given, "many": [{"name": "m", "note": None, "level": None}]}, SCHEMA)
    assert Outer.model_validate(relaxed).many[0].level == 3
    # So that what a call was asked reads the same whether or not the service holds its model to every property.
    assert relaxed["inner"] == {"name": "n"}
    assert "mode" not in relaxed


def test_a_null_that_differs_from_the_default_stays() -> None:
    relaxed = relax({"path": "a", "inner": {"name": "n", "rank": None}}, SCHEMA)
    assert relaxed["inner"] == {"name": "n", "rank": None}


inners = st.builds(
    Inner, name=st.text(), note=st.none() | st.text(), level=st.integers(), rank=st.none() | st.integers()
)
outers = st.builds(
    Outer,
    path=st.text(),
    lines=st.lists(st.integers()).map(tuple),
    mode=st.sampled_from(["a", "b"]),
    inner=st.none() | inners,
    many=st.lists(inners, max_size=3).map(tuple),
)


@given(outers)
def test_what_a_model_says_in_full_comes_through_unchanged(value: Outer) -> None:
    said = value.model_dump(mode="json")
    assert Outer.model_validate(relax(said, SCHEMA)) == value


@given(
    st.dictionaries(
        st.sampled_from(["path", "lines", "inner", "what"]), st.recursive(st.none() | st.integers(), st.lists)
    )
)
def test_wrong_arguments_never_break_it(said: dict[str, Any]) -> None:
    relax(said, SCHEMA)
