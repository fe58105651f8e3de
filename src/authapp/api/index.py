"""What stands at ``/``, where the application has no route for it."""

from flask import Request, Response, current_app, redirect

from authapp.api.paths import public_path
from authapp.api.responses import as_json
from authapp.config import Settings


def index(incoming: Request, settings: Settings) -> Response | None:
    """Return the docs page in development, a list of addresses in production, and ``None`` for another path."""
    if incoming.environ["PATH_INFO"] not in {"", "/"} or incoming.method not in {"GET", "HEAD"}:
        return None
    has_docs = "docs.show_page" in current_app.view_functions
    if has_docs and settings.env == "development":
        return redirect(public_path("/docs"))  # type: ignore[return-value]  # Flask's own class
    addresses = {"openapi": "/openapi.json", "health": "/health/ready"}
    addresses |= {"docs": "/docs"} if has_docs else {}
    return as_json({name: public_path(path) for name, path in addresses.items()}, 200)
