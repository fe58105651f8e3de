"""An application of somebody's, and a blueprint of theirs that authapp guards."""

from flask import Blueprint, Flask, abort, request
from sqlalchemy import text

from authapp import current_principal, db, public
from authapp.database import deadline


def plain_app() -> Flask:
    """Return an application of somebody's, before authapp is added."""
    app = Flask("theirs", static_folder=None)
    app.config["SECRET_KEY"] = "theirs"

    @app.get("/open")
    def open_() -> dict[str, object]:
        return {"deadline": deadline.left(1e9) < 1e6, "largest_body": request.max_content_length}

    @app.post("/upload")
    def upload() -> dict[str, int]:
        return {"bytes": len(request.get_data())}

    @app.get("/broken-sql")
    def broken_sql() -> str:
        db.session.execute(text("SELECT 1 / 0"))
        return "unreachable"

    @app.get("/abort/<int:status>")
    def abort_(status: int) -> str:
        abort(status)

    return app


def locked_blueprint() -> Blueprint:
    """Return a blueprint to be registered with authapp."""
    locked = Blueprint("locked", __name__, url_prefix="/locked")

    @locked.get("/name")
    def name() -> dict[str, str]:
        return {"name": current_principal().username}

    @locked.post("/body")
    def body() -> dict[str, int]:
        return {"bytes": len(request.get_data())}

    @locked.get("/abort/<int:status>")
    @public
    def abort_(status: int) -> str:
        abort(status)

    @locked.get("/broken-sql")
    @public
    def broken_sql() -> str:
        db.session.execute(text("SELECT 1 / 0"))
        return "unreachable"

    @locked.get("/deadline")
    @public
    def has_deadline() -> dict[str, bool]:
        return {"deadline": deadline.left(1e9) < 1e6}

    return locked
