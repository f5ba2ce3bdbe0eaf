"""The front page and the health check."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import text

from dashboard import __version__
from dashboard.config import PACKAGE_DIR
from dashboard.db import DbSession

router = APIRouter(tags=["pages"])

FRONT_PAGE = PACKAGE_DIR / "templates" / "index.html"


@router.get("/", response_class=HTMLResponse)
async def front_page(user_id: int = 1) -> HTMLResponse:
    """The dashboard as a page; its script fetches the data."""
    page = FRONT_PAGE.read_text(encoding="utf-8")
    return HTMLResponse(page.replace("{{user_id}}", str(user_id)).replace("{{version}}", __version__))


@router.get("/health")
async def health(session: DbSession) -> JSONResponse:
    """Whether the service and its database answer."""
    session.execute(text("SELECT 1"))
    return JSONResponse({"status": "ok", "version": __version__})
