"""The one place that knows what time it is.

All timestamps in the database are naive UTC. `APP_NOW` freezes the clock, which demos, screenshots and the
test suite rely on: the demo data ends on 30 June 2025.
"""

import os
from datetime import UTC, datetime


def _parse_frozen(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment


_FROZEN = _parse_frozen(os.environ.get("APP_NOW"))


def now() -> datetime:
    """The current moment as naive UTC, to the second."""
    if _FROZEN is not None:
        return _FROZEN
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
