"""Headers that every response carries, and the request id that ties an answer to its log lines."""

import re
from typing import Any

from flask import Flask, Response, current_app, request

from authapp.domain.services import EXTENSION
from authapp.security import identifiers

REQUEST_ID = "authapp.request_id"
"""Where the WSGI environment has the id; the logs of ``authapp.serving`` look there too."""

# Short and plain, so that it can neither forge a log line nor carry a token into the log.
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Complete the headers of every covered response of ``app``."""
    app.after_request(_complete)


def _complete(response: Response) -> Response:
    if current_app.extensions[EXTENSION].covers(request.blueprints):
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Request-ID"] = request_id()
    return response


def request_id() -> str:
    """Return the id of this request."""
    environ = request.environ
    value: str = environ[REQUEST_ID] if REQUEST_ID in environ else _take_request_id(environ)
    return value


def _take_request_id(environ: dict[str, Any]) -> str:
    offered = environ.get("HTTP_X_REQUEST_ID", "")
    taken = offered if _SANE_REQUEST_ID.fullmatch(offered) else identifiers.random_text()
    environ[REQUEST_ID] = taken
    return taken
