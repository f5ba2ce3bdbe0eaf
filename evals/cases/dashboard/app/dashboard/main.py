"""The application.

    python -m uvicorn dashboard.main:app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from dashboard import __version__
from dashboard.audit import ViewTrail
from dashboard.config import PACKAGE_DIR, Settings, load_settings
from dashboard.db import make_engine, make_session_factory
from dashboard.routes import ROUTERS


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application with its own engine and view trail."""
    settings = settings or load_settings()
    engine = make_engine(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    application = FastAPI(title="Teamboard", version=__version__, lifespan=lifespan)
    application.state.settings = settings
    application.state.engine = engine
    application.state.sessions = make_session_factory(engine)
    application.state.trail = ViewTrail()
    for router in ROUTERS:
        application.include_router(router)
    application.mount("/static", StaticFiles(directory=PACKAGE_DIR / "static"), name="static")
    return application


app = create_app()
