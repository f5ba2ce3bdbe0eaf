"""Reports over a team's billable work, and exports of single projects."""

import csv
import io
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy import select

from dashboard import clock
from dashboard.auth import CurrentUser
from dashboard.db import DbSession
from dashboard.models import Activity, Project
from dashboard.serializers import json_response, serialize_money, serialize_project_ref
from dashboard.services.activity import newest_first
from dashboard.services.billing import ZERO, amount_of, team_summary

router = APIRouter(prefix="/api/reports", tags=["reports"])

EXPORT_COLUMNS = ("id", "date", "person", "kind", "title", "minutes", "rate_cents", "discount", "amount")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)


@router.get("/summary")
async def get_summary(
    session: DbSession,
    user: CurrentUser,
    since: Annotated[date | None, Query()] = None,
    until: Annotated[date | None, Query()] = None,
) -> JSONResponse:
    """Billable totals of the team's projects from `since` up to and including `until` (default: this quarter)."""
    today = clock.now().date()
    first = since or today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1)
    last = until or today
    if last < first:
        raise HTTPException(status_code=422, detail="until is before since")
    rows = team_summary(session, user.team_id, _midnight(first), _midnight(last + timedelta(days=1)))
    currency = user.team.currency
    return json_response(
        {
            "since": first.isoformat(),
            "until": last.isoformat(),
            "total": serialize_money(sum((row["total"] for row in rows), ZERO), currency).model_dump(),
            "minutes": sum(row["minutes"] for row in rows),
            "projects": [
                {
                    "project": serialize_project_ref(row["project"]).model_dump(),
                    "entries": row["entries"],
                    "people": row["people"],
                    "minutes": row["minutes"],
                    "total": serialize_money(row["total"], currency).model_dump(),
                    "budget_used": row["budget_used"],
                }
                for row in rows
            ],
        }
    )


@router.get("/export")
async def export_project(
    session: DbSession, user: CurrentUser, project_id: int, format: Literal["csv", "ndjson"] = "csv"
) -> Response:
    """All billable entries of a project, newest first, as they appear on the invoice."""
    project = session.get(Project, project_id)
    if project is None or project.team_id != user.team_id:
        raise HTTPException(status_code=404, detail="no such project")
    entries = session.scalars(
        select(Activity).where(Activity.project_id == project.id, Activity.rate_cents > 0).order_by(Activity.id)
    ).all()
    rows = [
        (
            entry.id,
            entry.created_at.date().isoformat(),
            entry.user.name,
            entry.kind,
            entry.title,
            entry.minutes,
            entry.rate_cents,
            entry.discount,
            str(amount_of(entry)),
        )
        for entry in newest_first(entries)
    ]
    if format == "ndjson":
        lines = b"\n".join(orjson.dumps(dict(zip(EXPORT_COLUMNS, row, strict=True))) for row in rows)
        return Response(lines, media_type="application/x-ndjson")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(EXPORT_COLUMNS)
    writer.writerows(rows)
    return PlainTextResponse(buffer.getvalue(), media_type="text/csv")
