"""CORS (Fetch Standard, section 3.3): which pages of other origins may read what authapp answers.

The list is exact and the same for every path. What Flask answers, ``CoveredRequests`` gives these headers to, and so
errors have them, too: without them, a browser would hide the reason. For what gunicorn answers by itself,
``authapp.serving.worker`` asks the same object.
"""

from collections.abc import Iterable
from typing import Any

Headers = list[tuple[str, str]]

ALLOW_ORIGIN = "Access-Control-Allow-Origin"

COOKIE_HEADER = "X-Authapp-Cookie"
"""The header by which a browser asks for the refresh token in a cookie. A page of another origin needs a preflight."""

# OpenTelemetry in a page sends the last two (W3C Trace Context), whether this server traces or not.
request_headers = ["Authorization", "Content-Type", "X-Request-ID", COOKIE_HEADER, "traceparent", "tracestate"]
"""The headers that pages of listed origins may send. Append yours before the application is made."""

response_headers = ["WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID", "Location"]
"""The headers of answers that these pages may read, besides those that every page may. Append yours likewise."""

READABLE_BY_ANY_PAGE: Headers = [(ALLOW_ORIGIN, "*"), ("Access-Control-Allow-Headers", "*")]
"""For what is public: every page may read it, without credentials."""

_VARY = ("Vary", "Origin")
_CREDENTIALS = ("Access-Control-Allow-Credentials", "true")
_PREFLIGHT: Headers = [
    _CREDENTIALS,
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    # In seconds: what browsers keep at most (Chromium).
    ("Access-Control-Max-Age", "7200"),
]


class AllowedOrigins:
    """The origins whose pages may use the API. Without any, no answer has these headers."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        self._always = [_VARY] if self._origins else []
        self._answer = [_CREDENTIALS, ("Access-Control-Expose-Headers", ", ".join(response_headers))]
        self._preflight = [*_PREFLIGHT, ("Access-Control-Allow-Headers", ", ".join(request_headers))]

    def __contains__(self, origin: str | None) -> bool:
        return origin in self._origins

    def __bool__(self) -> bool:
        return bool(self._origins)

    def headers(self, origin: str | None, *, preflight: bool = False) -> Headers:
        """Return the headers of an answer to ``origin``, the ``Origin`` of the request as it is."""
        if origin not in self._origins:
            return self._always
        return [*self._always, (ALLOW_ORIGIN, str(origin)), *(self._preflight if preflight else self._answer)]

    def add_to(self, headers: Headers, environ: dict[str, Any]) -> None:
        """Add the headers to those of an answer, unless its view has said who may read it."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or any(name.lower() == ALLOW_ORIGIN.lower() for name, _ in headers):
            headers += self._always
        else:
            headers += self.headers(origin, preflight=is_preflight(environ))


def is_preflight(environ: dict[str, Any]) -> bool:
    """Return whether a browser asks, before a request, whether it may send it."""
    return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
