"""A database as Django's settings want it, from a URL."""

from typing import Any
from urllib.parse import unquote, urlsplit


def read_url(url: str) -> dict[str, Any]:
    """`sqlite:///relative`, `sqlite:////absolute/path`, or `postgresql://user:password@host:port/name`."""
    if url.startswith("sqlite:///"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix("sqlite:///"),
            "CONN_MAX_AGE": 60,
            "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE"},
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(f"expected sqlite:///… or postgresql://…, got {parts.scheme}:…")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 60,
    }
