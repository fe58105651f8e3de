"""Headers of every response, and the request id that links a response to its log lines."""

import re
from typing import Any

from flask import Flask, Response, current_app, request

from authapp.domain.services import EXTENSION
from authapp.security import identifiers

REQUEST_ID = "authapp.request_id"
"""The key of the id in the WSGI environment; the logs of ``authapp.serving`` read it too."""

# Short, with plain characters only, so that a client can neither forge a log line nor get a token into the log.
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Add the headers to every covered response of ``app``."""
    app.after_request(_complete)


def _complete(response: Response) -> Response:
    if current_app.extensions[EXTENSION].covers(request.blueprints):
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Request-ID"] = request_id()
    return response


def request_id() -> str:
    """Return the id of this request: the client's ``X-Request-ID`` if it is acceptable, otherwise a random one."""
    environ = request.environ
    value: str = environ[REQUEST_ID] if REQUEST_ID in environ else _take_request_id(environ)
    return value


def _take_request_id(environ: dict[str, Any]) -> str:
    offered = environ.get("HTTP_X_REQUEST_ID", "")
    taken = offered if _SANE_REQUEST_ID.fullmatch(offered) else identifiers.random_text()
    environ[REQUEST_ID] = taken
    return taken
