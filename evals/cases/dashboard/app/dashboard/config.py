"""Settings, read from the environment once at start-up."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent
DEFAULT_DATABASE_URL = "sqlite:///app.db"


@dataclass(frozen=True)
class Settings:
    """Everything that differs between a laptop, staging and production."""

    database_url: str = DEFAULT_DATABASE_URL
    secret_key: str = "development-only"
    public_url: str = "http://localhost:8000"
    pool_size: int = 20
    pool_timeout_s: float = 10.0
    feed_limit: int = 130
    search_pace_s: float = 0.015


def normalise_database_url(url: str) -> str:
    """Point plain PostgreSQL URLs at psycopg, the driver that we ship."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; anything that is not set has a default fit for development."""
    env = os.environ if environ is None else environ
    return Settings(
        database_url=normalise_database_url(env.get("DATABASE_URL") or DEFAULT_DATABASE_URL),
        secret_key=env.get("SECRET_KEY", Settings.secret_key),
        public_url=env.get("PUBLIC_URL", Settings.public_url).rstrip("/"),
        pool_size=int(env.get("DB_POOL_SIZE", Settings.pool_size)),
        pool_timeout_s=float(env.get("DB_POOL_TIMEOUT", Settings.pool_timeout_s)),
        feed_limit=int(env.get("FEED_LIMIT", Settings.feed_limit)),
        search_pace_s=float(env.get("SEARCH_PACE", Settings.search_pace_s)),
    )
