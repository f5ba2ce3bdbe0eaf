"""What an API's description promised and no longer does."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tools.openapi import lost_promises

REFERENCE = {"$ref": "#/components/schemas/Item"}
ITEM = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "tags": {"type": "array", "items": {}}},
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "components": {"schemas": {"Item": ITEM}},
    "paths": {
        "/items": {
            "get": {
                "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "enum": [10, 20]}}],
                "responses": {"200": {"content": {"application/json": {"schema": REFERENCE}}}},
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": REFERENCE}}},
                "responses": {"201": {}},
            },
        }
    },
}  # fmt: skip


def changed(change: Callable[[Any], None]) -> list[str]:
    after = copy.deepcopy(DOCUMENT)
    change(after)
    return lost_promises(DOCUMENT, after)


def test_the_same_and_more_lose_nothing() -> None:
    assert lost_promises(DOCUMENT, DOCUMENT) == []

    def add(document: Any) -> None:
        document["paths"]["/more"] = {"get": {}}
        document["paths"]["/items"]["get"]["parameters"].append({"name": "page", "in": "query"})
        document["components"]["schemas"]["Item"]["properties"]["new"] = {}

    assert changed(add) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda d: d["paths"].pop("/items"), "GET /items is gone"),
        (lambda d: d["paths"]["/items"].pop("post"), "POST /items is gone"),
        (lambda d: d["paths"]["/items"]["get"]["parameters"].pop(), "GET /items: parameter limit (query) is gone"),
        (
            lambda d: d["paths"]["/items"]["get"]["parameters"][0]["schema"].update(enum=[10]),
            "GET /items: parameter limit takes no 20 any more",
        ),
        (
            lambda d: d["paths"]["/items"]["get"]["parameters"].append({"name": "q", "in": "query", "required": True}),
            "GET /items: parameter q (query) must be given now",
        ),
        (lambda d: d["paths"]["/items"]["get"]["responses"].pop("200"), "GET /items: answer 200 is gone"),
        (
            lambda d: d["components"]["schemas"]["Item"]["properties"].pop("name"),
            "GET /items: answer 200.name is gone",
        ),
        (
            lambda d: d["components"]["schemas"]["Item"]["properties"]["id"].update(type="string"),
            "GET /items: answer 200.id was integer, is string",
        ),
        (lambda d: d["components"]["schemas"]["Item"].pop("required"), "GET /items: answer 200.id may be missing now"),
        (
            lambda d: d["components"]["schemas"]["Item"]["required"].append("name"),
            "POST /items: body.name must be given now",
        ),
        (
            lambda d: d["paths"]["/items"]["post"].pop("requestBody"),
            "POST /items: a body of application/json is not taken any more",
        ),
    ],
)
def test_what_is_lost_is_named(change: Callable[[Any], None], line: str) -> None:
    assert changed(change)[0] == line


def test_a_document_that_is_gone_keeps_nothing() -> None:
    assert lost_promises(DOCUMENT, {}) == ["GET /items is gone", "POST /items is gone"]
