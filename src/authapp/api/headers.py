"""Headers that every response carries, and the request id that ties an answer to its log lines."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, request

from authapp.security import identifiers

REQUEST_ID = "authapp.request_id"
"""Where the WSGI environment has the id; ``authapp.serving``, which may import nothing of this, looks there too."""

# Short and plain, so that it can neither forge a log line nor carry a token into the log.
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class StandardHeaders:
    """WSGI middleware that takes or makes the request id, and completes the headers of whatever is answered."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        own_id = _taken(environ)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            if not any(name == "Cache-Control" for name, _ in headers):
                headers.append(("Cache-Control", "no-store"))
            headers += (("X-Content-Type-Options", "nosniff"), ("X-Request-ID", own_id))
            return start_response(status, headers, *error)

        return self._app(environ, start)


def init_app(app: Flask) -> None:
    """Stand around ``app``."""
    app.wsgi_app = StandardHeaders(app.wsgi_app)  # type: ignore[method-assign]


def request_id() -> str:
    """Return the id of this request."""
    environ = request.environ
    value: str = environ[REQUEST_ID] if REQUEST_ID in environ else _taken(environ)
    return value


def _taken(environ: dict[str, Any]) -> str:
    offered = environ.get("HTTP_X_REQUEST_ID", "")
    taken = offered if _SANE_REQUEST_ID.fullmatch(offered) else identifiers.label()
    environ[REQUEST_ID] = taken
    return taken
