"""The lending desk of a town library."""

from datetime import date

from flask import Flask

from library import db
from library.books import books
from library.loans import loans
from library.members import members


def create_app(database: str, today: date | None = None) -> Flask:
    """Make the application.

    Args:
        database: `sqlite:///path`.
        today: stands in for the current day.
    """
    app = Flask(__name__)
    app.config["DATABASE"] = database
    app.config["TODAY"] = today
    app.teardown_appcontext(db.close_connection)
    app.register_blueprint(books, url_prefix="/api/books")
    app.register_blueprint(loans, url_prefix="/api")
    app.register_blueprint(members, url_prefix="/api/members")

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return app
