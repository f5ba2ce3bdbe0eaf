"""Money. Invoices are the reference: every entry is rounded half up to the cent, then entries are added."""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.models import Activity, Project

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


def amount_of(activity: Activity) -> Decimal:
    """What an entry costs the client; negative for corrections."""
    cents = Decimal(activity.minutes * activity.rate_cents * (100 - activity.discount)) / Decimal(60 * 100)
    return (cents / Decimal(100)).quantize(CENT, rounding=ROUND_HALF_UP)


def total_of(activities: Iterable[Activity]) -> Decimal:
    """The sum of the entries as they are invoiced."""
    return sum((amount_of(activity) for activity in activities), ZERO)


def user_billing(session: Session, user_id: int, since: datetime) -> list[tuple[Project, Decimal, int]]:
    """A user's billable work since a date: (project, amount, minutes), highest amount first.

    Projects with the same amount stay in the order in which the user first booked on them.
    """
    entries = session.scalars(
        select(Activity)
        .where(Activity.user_id == user_id, Activity.created_at >= since, Activity.rate_cents > 0)
        .order_by(Activity.id)
    ).all()
    by_project: dict[int, list[Activity]] = {}
    for entry in entries:
        by_project.setdefault(entry.project_id, []).append(entry)
    rows = [
        (group[0].project, total_of(group), sum(entry.minutes for entry in group)) for group in by_project.values()
    ]
    return sorted(rows, key=lambda row: row[1], reverse=True)


def team_summary(session: Session, team_id: int, since: datetime, until: datetime) -> list[dict]:
    """Billable totals of a team's projects in a period, highest first; equal totals in the team's own order."""
    projects = session.scalars(
        select(Project).where(Project.team_id == team_id).order_by(Project.position, Project.id)
    ).all()
    rows = []
    for project in projects:
        entries = session.scalars(
            select(Activity)
            .where(Activity.project_id == project.id, Activity.created_at >= since, Activity.created_at < until)
            .order_by(Activity.id)
        ).all()
        total = total_of(entries)
        rows.append(
            {
                "project": project,
                "entries": len(entries),
                "people": len({entry.user_id for entry in entries}),
                "minutes": sum(entry.minutes for entry in entries),
                "total": total,
                "budget_used": budget_share(total, project.budget_cents),
            }
        )
    return sorted(rows, key=lambda row: row["total"], reverse=True)


def budget_share(total: Decimal, budget_cents: int) -> Decimal | None:
    """How much of a budget is used, in percent with one decimal; None without a budget."""
    if budget_cents <= 0:
        return None
    share = total * Decimal(100) / (Decimal(budget_cents) / Decimal(100))
    return share.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
