"""Schemas of tools in the narrower form that services can hold a model to, and arguments back from that form.

OpenAI's strict form wants every object closed and every property required, so that an optional one has to be null;
Anthropic's only wants objects closed. Bounds that a service does not know are left out: they are checked here anyway.
"""

from typing import Any

_UNKNOWN = frozenset({"default", "title", "minLength", "maxLength", "uniqueItems", "discriminator", "examples"})
_UNKNOWN_LOOSE = _UNKNOWN | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems"}
_INEXPRESSIBLE = frozenset({"allOf", "not", "if", "patternProperties", "prefixItems", "dependentRequired"})
_NULL = {"type": "null"}
_MISSING = object()


class _Inexpressible(Exception):
    """The schema has no strict form."""


def tighten(schema: dict[str, Any], *, all_required: bool) -> dict[str, Any] | None:
    """The strict form of a tool's schema; None where it has none, as with objects of free keys.

    Args:
        schema: JSON Schema of an object, as pydantic writes it.
        all_required: OpenAI's form, where optional properties are required and may be null; else Anthropic's.
    """
    try:
        return _tight(schema, all_required)
    except _Inexpressible:
        return None


def _tight(schema: Any, full: bool) -> dict[str, Any]:
    if not isinstance(schema, dict) or not schema or _INEXPRESSIBLE & schema.keys():
        raise _Inexpressible
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    tight = {key: value for key, value in schema.items() if key not in (_UNKNOWN if full else _UNKNOWN_LOOSE)}
    if not full and tight.get("minItems", 0) > 1:
        del tight["minItems"]
    if "oneOf" in tight:
        tight["anyOf"] = tight.pop("oneOf")
    if "anyOf" in tight:
        tight["anyOf"] = [_tight(part, full) for part in tight["anyOf"]]
    if "$defs" in tight:
        tight["$defs"] = {name: _tight(part, full) for name, part in tight["$defs"].items()}
    if tight.get("type") == "array":
        tight["items"] = _tight(tight.get("items"), full)
    if tight.get("type") == "object":
        _close(tight, full)
    elif not {"type", "anyOf", "enum", "const"} & tight.keys():
        raise _Inexpressible
    return tight


def _close(tight: dict[str, Any], full: bool) -> None:
    properties = tight.get("properties", {})
    if tight.get("additionalProperties", False) is not False or not (properties or "additionalProperties" in tight):
        raise _Inexpressible
    required = tight.get("required", [])
    tight["properties"] = {
        name: _tight(part, full) if name in required or not full else _nullable(_tight(part, full))
        for name, part in properties.items()
    }
    tight["additionalProperties"] = False
    if full:
        tight["required"] = list(properties)


def _nullable(tight: dict[str, Any]) -> dict[str, Any]:
    if _NULL in tight.get("anyOf", ()) or tight.get("type") == "null":
        return tight
    if "anyOf" in tight:
        return {**tight, "anyOf": [*tight["anyOf"], _NULL]}
    described = {"description": tight.pop("description")} if "description" in tight else {}
    return {**described, "anyOf": [tight, _NULL]}


def relax(arguments: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Arguments without the nulls that stand for optional properties left out."""
    relaxed = _relaxed(arguments, schema, schema.get("$defs", {}))
    return relaxed if isinstance(relaxed, dict) else arguments


def _relaxed(value: Any, schema: Any, known: dict[str, Any]) -> Any:
    fitting = _branches(schema, known)
    if isinstance(value, list):
        items = next((part["items"] for part in fitting if part.get("type") == "array" and "items" in part), None)
        return [_relaxed(item, items, known) for item in value]
    if not isinstance(value, dict):
        return value
    shapes = [part for part in fitting if value.keys() <= part.get("properties", {}).keys()]
    if not shapes:
        return value
    properties, required = shapes[0]["properties"], shapes[0].get("required", ())
    return {
        name: _relaxed(item, properties[name], known)
        for name, item in value.items()
        if item is not None or name in required or _means_something(properties[name], known)
    }


def _branches(schema: Any, known: dict[str, Any]) -> list[dict[str, Any]]:
    """What a value may be, with references followed and alternatives side by side."""
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        return _branches(known.get(str(schema["$ref"]).rpartition("/")[2]), known)
    parts = schema.get("anyOf") or schema.get("oneOf")
    return [branch for part in parts for branch in _branches(part, known)] if parts else [schema]


def _means_something(schema: Any, known: dict[str, Any]) -> bool:
    """Whether null as a value of an optional property differs from leaving it out."""
    takes_null = any(part.get("type") in ("null", None) for part in _branches(schema, known))
    return takes_null and schema.get("default", _MISSING) is not None
