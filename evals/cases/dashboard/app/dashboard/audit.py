"""The view trail: who looked at what.

Support uses it to answer "what did the customer see?". Entries of one user within VISIT_GAP belong to one visit.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dashboard import clock

VISIT_GAP = timedelta(minutes=30)


@dataclass
class View:
    """One look at one thing."""

    user_id: int
    subject: str
    visit: int
    at: datetime
    detail: dict[str, Any] = field(default_factory=dict)


class ViewTrail:
    """Views in the order in which they happened."""

    def __init__(self) -> None:
        self._views: list[View] = []

    def __len__(self) -> int:
        return len(self._views)

    def visit_of(self, user_id: int, at: datetime) -> int:
        """The number of the visit that a view at this moment belongs to."""
        mine = [view for view in self._views if view.user_id == user_id]
        if not mine:
            return 1
        last = max(mine, key=lambda view: view.at)
        return last.visit if at - last.at <= VISIT_GAP else last.visit + 1

    def record(self, user_id: int, subject: str, detail: dict[str, Any] | None = None) -> View:
        """Remember a view."""
        at = clock.now()
        view = View(user_id, subject, self.visit_of(user_id, at), at, detail or {})
        self._views.append(view)
        return view

    def recent(self, user_id: int, limit: int = 20) -> list[View]:
        """A user's latest views, newest first."""
        return [view for view in reversed(self._views) if view.user_id == user_id][:limit]
