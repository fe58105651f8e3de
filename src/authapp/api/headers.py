"""Headers that every response carries, and the request id that ties an answer to its log lines."""

import re

from flask import Flask, Response, g, request

from authapp.security import identifiers

# Short and plain, so that it can neither forge a log line nor carry a token into the log.
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Take or make the request id before everything else, and complete the headers after everything else."""
    app.before_request(_take_request_id)
    app.after_request(_complete)


def request_id() -> str:
    """Return the id of this request."""
    if "request_id" not in g:
        _take_request_id()
    value: str = g.request_id
    return value


def _take_request_id() -> None:
    offered = request.headers.get("X-Request-ID", "")
    g.request_id = offered if _SANE_REQUEST_ID.fullmatch(offered) else str(identifiers.unguessable())


def _complete(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
