"""Backward compatibility of an API as it describes itself: what its OpenAPI document promised and no longer does."""

import json
from collections.abc import Iterator
from typing import Any

from tools.pair import Pair
from tools.requests import Asked
from tools.seen import Seen

PLACES = ("/openapi.json", "/api/openapi.json", "/swagger.json", "/api/schema/?format=json", "/v3/api-docs")
"""Where frameworks serve the document."""
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


async def find_description(pair: Pair) -> tuple[Any, Any] | None:
    """The documents of base and candidate; None where the base serves none. Empty where the candidate serves none."""
    for place in PLACES:
        base, candidate = await pair.ask(Asked("GET", place, f"GET {place}"))
        document = _read(base)
        if document is not None:
            return document, _read(candidate) or {}
    return None


def _read(seen: Seen) -> Any:
    try:
        document = json.loads(seen.body) if seen.status == 200 else None
    except ValueError:
        return None
    told = isinstance(document, dict) and ("openapi" in document or "swagger" in document)
    return document if told else None


def lost_promises(base: Any, candidate: Any) -> list[str]:
    """What a client written for the base can't rely on any more, a line each.

    Additions are no loss, except of what a request must have: new required parameters and body fields break clients.

    Args:
        base: the base's document, OpenAPI 2 or 3.
        candidate: the candidate's.
    """
    lost = []
    for path, operations in base.get("paths", {}).items():
        for method, operation in operations.items():
            if method not in _METHODS:
                continue
            now = candidate.get("paths", {}).get(path, {}).get(method)
            place = f"{method.upper()} {path}"
            if now is None:
                lost.append(f"{place} is gone")
            else:
                lost += [f"{place}: {line}" for line in _compare_operation(base, operation, candidate, now)]
    return lost


def _compare_operation(base: Any, operation: Any, candidate: Any, now: Any) -> Iterator[str]:
    before, after = (_parameters(root, each) for root, each in ((base, operation), (candidate, now)))
    for key, parameter in before.items():
        if key not in after:
            yield f"parameter {key[1]} ({key[0]}) is gone"
        else:
            schemas = parameter.get("schema", parameter), after[key].get("schema", after[key])
            yield from _narrowed(base, schemas[0], candidate, schemas[1], f"parameter {key[1]}", asked=True)
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"parameter {key[1]} ({key[0]}) must be given now"
    yield from _compare_bodies(base, operation.get("requestBody"), candidate, now.get("requestBody"))
    for status, response in operation.get("responses", {}).items():
        if status not in now.get("responses", {}):
            yield f"answer {status} is gone"
            continue
        pair = _schemas(base, response), _schemas(candidate, now["responses"][status])
        for media, schema in pair[0].items():
            if media not in pair[1]:
                yield f"answer {status} as {media} is gone"
            else:
                yield from _narrowed(base, schema, candidate, pair[1][media], f"answer {status}", asked=False)


def _compare_bodies(base: Any, before: Any, candidate: Any, after: Any) -> Iterator[str]:
    if before is None:
        if after and _follow(candidate, after).get("required"):
            yield "a body must be given now"
        return
    now = _schemas(candidate, after or {})
    for media, schema in _schemas(base, before).items():
        if media not in now:
            yield f"a body of {media} is not taken any more"
        else:
            yield from _narrowed(base, schema, candidate, now[media], "body", asked=True)


def _narrowed(
    base: Any, old: Any, candidate: Any, new: Any, where: str, *, asked: bool, depth: int = 0
) -> Iterator[str]:
    """How a schema became narrower for whoever sends it (`asked`), or poorer for whoever reads it."""
    old, new = _follow(base, old), _follow(candidate, new)
    if depth > 8 or not isinstance(old, dict) or not isinstance(new, dict):
        return
    if old.get("type") != new.get("type") and "type" in old:
        yield f"{where} was {old['type']}, is {new.get('type', 'anything')}"
        return
    taken = new.get("enum") or old.get("enum", [])
    if asked and (gone := [each for each in old.get("enum", ()) if each not in taken]):
        yield f"{where} takes no {gone[0]!r} any more"
    properties, now = old.get("properties", {}), new.get("properties", {})
    for name, schema in properties.items():
        if name in now:
            place = f"{where}.{name}"
            yield from _narrowed(base, schema, candidate, now[name], place, asked=asked, depth=depth + 1)
        elif not asked or new.get("additionalProperties") is False:
            yield f"{where}.{name} is gone"
    required, needed = set(old.get("required", ())), set(new.get("required", ()))
    told = sorted(needed - required) if asked else sorted((required - needed) & set(now))
    for name in told:
        yield f"{where}.{name} must be given now" if asked else f"{where}.{name} may be missing now"
    if "items" in old:
        yield from _narrowed(
            base, old["items"], candidate, new.get("items", {}), f"{where}[]", asked=asked, depth=depth + 1
        )


def _parameters(root: Any, operation: Any) -> dict[tuple[str, str], Any]:
    found = (_follow(root, each) for each in operation.get("parameters", ()))
    return {(each.get("in", ""), each.get("name", "")): each for each in found if isinstance(each, dict)}


def _schemas(root: Any, holder: Any) -> dict[str, Any]:
    """Schemas of a body or an answer by media type; OpenAPI 2 has one for all."""
    holder = _follow(root, holder)
    if "schema" in holder:
        return {"application/json": holder["schema"]}
    return {media: each.get("schema", {}) for media, each in holder.get("content", {}).items()}


def _follow(root: Any, schema: Any) -> Any:
    """A schema that only refers to another one in the document: that one."""
    for _ in range(16):
        reference = schema.get("$ref", "") if isinstance(schema, dict) else ""
        if not reference.startswith("#/"):
            return schema
        schema = root
        for part in reference[2:].split("/"):
            schema = schema.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(schema, dict) else {}
    return schema
