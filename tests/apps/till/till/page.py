"""The page in the shop window."""

import html
import sqlite3

HEAD = "<!doctype html>\n<html><head><title>Till</title></head>\n<body>\n"


def render(connection: sqlite3.Connection) -> str:
    """The ten best products."""
    rows = connection.execute("SELECT * FROM products ORDER BY rank, name, id LIMIT 10")
    items = "\n".join(
        f'    <li class="product" id="p{row["id"]}">{html.escape(row["name"])} <b>{row["price_cents"]}</b></li>'
        for row in rows
    )
    return f"{HEAD}  <ul>\n{items}\n  </ul>\n</body></html>\n"
