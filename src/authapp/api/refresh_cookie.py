"""The refresh token in a cookie that no script can read (``AUTHAPP_REFRESH_COOKIE=on``).

Browsers send a cookie with requests that another page made (CSRF). So it counts only together with the header
``X-Authapp-Cookie: 1``, which a page of another origin can send after a preflight alone, and with an ``Origin`` that is
listed. ``SameSite=Strict`` would not do: a page of a sibling domain is of the same site.
"""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import Request, Response, after_this_request, current_app, has_request_context, request

from authapp.api.cors import COOKIE_HEADER
from authapp.config import origin_of
from authapp.domain.services import Services
from authapp.domain.sessions.sessions import LogoutScope
from authapp.errors import OriginNotAllowed

COOKIE = "__Host-authapp-refresh"
"""Browsers keep a cookie of this prefix only if this very host has set it, by TLS (RFC 6265bis, section 4.1.3.2)."""

_ATTRIBUTES: dict[str, Any] = {"path": "/", "secure": True, "httponly": True, "samesite": "Strict"}
_TAKEN = "authapp.refresh_cookie_taken"
_ASKED = f"HTTP_{COOKIE_HEADER.upper().replace('-', '_')}"


def is_asked_for(incoming: Request) -> bool:
    """Return whether a request asks for the refresh token in the cookie, where that is switched on."""
    return _is_on() and incoming.environ.get(_ASKED) == "1"


def token_in(incoming: Request) -> str | None:
    """Return the refresh token in the cookie.

    ``None`` if there is no such cookie, or if the request does not ask for it and has an ``Authorization`` header,
    which no page of another origin can send either.

    Raises ``OriginNotAllowed`` if the request does not ask for it by its header, or its ``Origin`` is not listed.
    """
    if not _is_on():
        return None
    token, is_asked = incoming.cookies.get(COOKIE), is_asked_for(incoming)
    if token is None or (not is_asked and "HTTP_AUTHORIZATION" in incoming.environ):
        return None
    if not is_asked or not _is_of_listed_page(incoming):
        raise OriginNotAllowed
    incoming.environ[_TAKEN] = True
    return token


def was_taken(incoming: Request) -> bool:
    """Return whether ``token_in`` returned a token for this request: one that all tabs of a browser share."""
    return _TAKEN in incoming.environ


def move_to_cookie(pair: dict[str, Any]) -> dict[str, Any]:
    """Move the refresh token out of a dumped token pair into a cookie of the answer, where the request asks for it.

    Changes the pair, and returns it.
    """
    if has_request_context() and is_asked_for(request):
        token = pair.pop("refresh_token")
        after_this_request(partial(_set, token=token, max_age=pair["refresh_expires_in"]))
    return pair


def cleared_if_asked(response: Response, scope: LogoutScope) -> Response:
    """Return a response that ends sessions. It clears the cookie if it is asked to, unless others alone end."""
    if scope is LogoutScope.OTHERS or not is_asked_for(request):
        return response
    return _set(response, token="", max_age=0)


def _set(response: Response, *, token: str, max_age: int) -> Response:
    response.set_cookie(COOKIE, token, max_age=max_age, **_ATTRIBUTES)
    return response


def _is_on() -> bool:
    return Services.of(current_app).settings.refresh_cookie == "on"


def _is_of_listed_page(incoming: Request) -> bool:
    """Return whether the ``Origin`` of a request is that of the issuer, or one that CORS lists."""
    settings = Services.of(current_app).settings
    header = incoming.environ.get("HTTP_ORIGIN")
    return header == origin_of(urlsplit(settings.issuer)) or header in (settings.cors_origins or ())
