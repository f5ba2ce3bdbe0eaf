"""Who is asking, and signed links for places where nobody can sign in."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request
from sqlalchemy import select

from dashboard.config import Settings
from dashboard.db import DbSession
from dashboard.models import User

KEY_ITERATIONS = 25_000


async def current_user(session: DbSession, user_id: Annotated[int, Query(ge=1)]) -> User:
    """The user named by `user_id`. The gateway in front of us has authenticated the request already."""
    user = session.scalar(select(User).where(User.id == user_id))
    if user is None:
        raise HTTPException(status_code=404, detail="no such user")
    return user


CurrentUser = Annotated[User, Depends(current_user)]


async def get_settings(request: Request) -> Settings:
    """The settings that the application was created with."""
    return request.app.state.settings


AppSettings = Annotated[Settings, Depends(get_settings)]


def derive_key(secret: str, purpose: str) -> bytes:
    """A signing key for one purpose, so that a leaked link key can't sign anything else."""
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), f"teamboard.{purpose}".encode(), KEY_ITERATIONS)


def sign(settings: Settings, purpose: str, value: str) -> str:
    """A signature of `value` that `verify` accepts for the same purpose."""
    key = derive_key(settings.secret_key, purpose)
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:40]


def verify(settings: Settings, purpose: str, value: str, signature: str) -> bool:
    """Whether `signature` was made by `sign` for this purpose and value."""
    return hmac.compare_digest(sign(settings, purpose, value), signature)


def calendar_url(settings: Settings, user: User) -> str:
    """The address of a user's calendar feed, for calendar programs that can't send credentials."""
    signature = sign(settings, "calendar", f"{user.id}:{user.email}")
    return f"{settings.public_url}/calendar/{user.id}.ics?token={signature}"
