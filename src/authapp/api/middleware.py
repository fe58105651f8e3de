"""What surrounds every covered request: the headers of its response, its id, and the end of its deadline."""

import logging
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from traceback import format_tb
from typing import Any

from flask import Flask, request

from authapp.api import client
from authapp.api.cors import AllowedOrigins
from authapp.database import deadline
from authapp.database.session import discard
from authapp.security import identifiers
from authapp.shared_names import REQUEST_ID, ROUTE

logger = logging.getLogger(__name__)

_COVERED = "authapp.covered"

_environ: ContextVar[dict[str, Any] | None] = ContextVar("authapp.environ", default=None)
"""The WSGI environment of the request that this thread or greenlet is answering."""

# Short and plain, so that it can neither forge a log line nor carry a token into the log.
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class CoveredRequests:
    """WSGI middleware (PEP 3333). The guard marks a request as covered by ``cover``; others pass through unchanged."""

    def __init__(self, app: Callable[..., Iterable[bytes]], origins: AllowedOrigins, *, cover_all: bool) -> None:
        self._app = app
        self._origins = origins
        self._cover_all = cover_all

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if self._cover_all:
            cover(environ)
        client.user_agent(environ)  # decoded here once, for the log as well

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            # Flask takes its request out of the environ when it has answered.
            rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
            if rule is not None:
                environ[ROUTE] = rule.rule
            if _COVERED in environ:
                if not any(name.lower() == "cache-control" for name, _ in headers):
                    headers.append(("Cache-Control", "no-store"))
                headers += (("X-Content-Type-Options", "nosniff"), ("X-Request-ID", _request_id(environ)))
                self._origins.add_to(headers, environ)
            return start_response(status, headers, *error)

        token = _environ.set(environ)
        try:
            return self._app(environ, start)
        finally:
            _environ.reset(token)
            # What follows on this thread is bounded statement by statement.
            deadline.stop()


def init_app(app: Flask, origins: AllowedOrigins, *, cover_all: bool) -> None:
    """Wrap ``app`` in the middleware; with ``cover_all``, every request is covered."""
    app.wsgi_app = CoveredRequests(app.wsgi_app, origins, cover_all=cover_all)  # type: ignore[method-assign]  # as Flask documents it
    app.do_teardown_request = _contained(app.do_teardown_request)  # type: ignore[method-assign]  # Flask has no hook there
    app.do_teardown_appcontext = _contained(app.do_teardown_appcontext)  # type: ignore[method-assign]  # Flask has no hook there


def cover(environ: dict[str, Any]) -> None:
    """Mark the request as one that authapp guards and answers, and give it its id, which lines of the log have, too."""
    environ[_COVERED] = True
    _request_id(environ)


def is_covered(environ: dict[str, Any]) -> bool:
    """Return whether authapp guards and answers the request."""
    return _COVERED in environ


def request_id() -> str:
    """Return the id of this request: the client's if it is a sane one, else a new one."""
    return _request_id(request.environ)


def _request_id(environ: dict[str, Any]) -> str:
    known: str | None = environ.get(REQUEST_ID)
    if known is None:
        offered = environ.get("HTTP_X_REQUEST_ID", "")
        known = environ[REQUEST_ID] = offered if _SANE_REQUEST_ID.fullmatch(offered) else identifiers.random_text()
    return known


def _contained(teardown: Callable[..., None]) -> Callable[..., None]:
    """Return ``teardown``, except that in a covered request an exception is logged and goes no further.

    The response has been made by then, and there is no error handler left: the exception would take the place of the
    response. It also keeps the other teardown functions from running, of which the session's must.
    """

    def run(*arguments: Any, **options: Any) -> None:
        try:
            teardown(*arguments, **options)
        except Exception as error:  # a teardown function of the project may raise anything
            environ = _environ.get()
            if environ is None or not is_covered(environ):
                raise
            # Without the message: that of a database error quotes the values of the statement.
            kind, where = type(error).__name__, "".join(format_tb(error.__traceback__)[-12:])
            message = "a teardown function failed (%s); the response of request %s stays; at\n%s"
            logger.error(message, kind, _request_id(environ), where)  # noqa: TRY400 - as above
            discard()

    return run
