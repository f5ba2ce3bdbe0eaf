"""Routes: what is asked to what is answered."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from till import page, pins, products, sales, store


@dataclass
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    token: str
    body: Any


@dataclass
class Answer:
    """What goes back."""

    value: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that can't be served, with its status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


Handler = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Serve a path."""

    def add(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(pattern), handler))
        return handler

    return add


def whole(text: Any, least: int = 0) -> int:
    """A whole number that is not too small; refused with 400 otherwise."""
    if isinstance(text, bool) or not re.fullmatch(r"-?\d{1,9}", str(text)) or int(text) < least:
        raise Refused(400, f"not a number from {least}: {str(text)[:40]}")
    return int(text)


def customer(asked: Asked, connection: sqlite3.Connection) -> sqlite3.Row:
    """Who asks; refused with 401 if nobody known does."""
    row = connection.execute("SELECT * FROM accounts WHERE token = ?", (asked.token,)).fetchone()
    if row is None:
        raise Refused(401, "who are you?")
    return row


def staff(asked: Asked, connection: sqlite3.Connection) -> sqlite3.Row:
    """The same, for staff only."""
    row = customer(asked, connection)
    if not row["staff"]:
        raise Refused(403, "staff only")
    return row


@route("GET", r"/health")
def health(asked: Asked, connection: sqlite3.Connection) -> Answer:
    return Answer({"up": True})


@route("GET", r"/api/products")
def list_products(asked: Asked, connection: sqlite3.Connection) -> Answer:
    limit, offset = whole(asked.query.get("limit", 20)), whole(asked.query.get("offset", 0))
    category = asked.query.get("category", "tea")
    found, total = products.list_products(connection, category, limit, offset)
    headers = {"X-Total-Count": str(total)}
    if offset + limit < total:
        headers["Link"] = f'</api/products?category={category}&limit={limit}&offset={offset + limit}>; rel="next"'
    return Answer(found, headers=headers)


@route("GET", r"/api(?:/v1)?/products/(?P<number>[^/]+)")
def get_product(asked: Asked, connection: sqlite3.Connection, number: str) -> Answer:
    return Answer(products.show(products.find_product(connection, whole(number))))


@route("PUT", r"/api/products/(?P<number>[^/]+)/price")
def set_price(asked: Asked, connection: sqlite3.Connection, number: str) -> Answer:
    staff(asked, connection)
    with store.writing(connection):
        products.set_price(connection, whole(number), whole(asked.body.get("cents"), 1))
    return Answer({"ok": True})


@route("GET", r"/api/search")
def search(asked: Asked, connection: sqlite3.Connection) -> Answer:
    return Answer(products.search(connection, asked.query.get("q", "")))


@route("GET", r"/api/account")
def account(asked: Asked, connection: sqlite3.Connection) -> Answer:
    row = customer(asked, connection)
    return Answer({"name": row["name"], "sales": sales.history(connection, row, whole(asked.query.get("limit", 10)))})


@route("GET", r"/api/report")
def report(asked: Asked, connection: sqlite3.Connection) -> Answer:
    year = whole(asked.query.get("year", 2026), 1)
    return Answer(sales.report(connection, asked.query.get("category", "tea"), min(year, 9998)))


@route("GET", r"/api/audit")
def audit(asked: Asked, connection: sqlite3.Connection) -> Answer:
    staff(asked, connection)
    return Answer([row["what"] for row in connection.execute("SELECT what FROM audit ORDER BY id DESC LIMIT 20")])


@route("POST", r"/api/sales")
def sell(asked: Asked, connection: sqlite3.Connection) -> Answer:
    row = customer(asked, connection)
    quantity, key = whole(asked.body.get("quantity"), 1), str(asked.body.get("key", ""))
    return Answer(sales.sell(connection, row["token"], whole(asked.body.get("product")), quantity, key), status=201)


@route("POST", r"/api/login")
def login(asked: Asked, connection: sqlite3.Connection) -> Answer:
    row = connection.execute("SELECT * FROM accounts WHERE name = ?", (str(asked.body.get("name")),)).fetchone()
    if row is None or not pins.fits(str(asked.body.get("pin")), row["pin_hash"]):
        raise Refused(403, "no")
    return Answer({"name": row["name"]}, headers={"Set-Cookie": f"token={row['token']}; HttpOnly; SameSite=Strict"})


@route("GET", r"/")
def window(asked: Asked, connection: sqlite3.Connection) -> Answer:
    return Answer(page.render(connection), headers={"Cache-Control": "no-cache"})


@route("GET", r"/openapi\.json")
def describe(asked: Asked, connection: sqlite3.Connection) -> Answer:
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
    paging = [{"name": name, "in": "query", "schema": {"type": "integer"}} for name in ("limit", "offset")]
    item = {"type": "object", "required": ["id", "name"], "properties": {"id": {"type": "integer"}, "name": {}}}
    good = {"200": {"description": "found", "content": {"application/json": {"schema": item}}}}
    return Answer(
        {
            "openapi": "3.1.0",
            "info": {"title": "Till", "version": "1"},
            "paths": {
                "/api/products": {"get": {"parameters": paging, "responses": good}},
                "/api/products/{number}": {"get": {"parameters": [number], "responses": good}},
                "/api/v1/products/{number}": {"get": {"parameters": [number], "responses": good, "deprecated": True}},
            },
        }
    )


def answer(asked: Asked, database: str) -> Answer:
    """Find the route and serve it."""
    for method, pattern, handler in ROUTES:
        match = pattern.fullmatch(asked.path)
        if match and method == asked.method:
            try:
                with store.opened(database) as connection:
                    return handler(asked, connection, **match.groupdict())
            except Refused as error:
                return Answer({"error": str(error)}, error.status)
            except products.Unknown as error:
                return Answer({"error": str(error)}, 404)
            except sales.OutOfStock as error:
                return Answer({"error": str(error)}, 409)
    return Answer({"error": "not found"}, 404)
