"""Finding the bearer token in a request (RFC 6750, section 2.1)."""

import re
from typing import Any

from flask import Request

from authapp.errors import TokenInvalid

_COMPACT_JWS = re.compile(r"[A-Za-z0-9_.-]+")


def bearer_scheme(description: str) -> dict[str, Any]:
    """Return the security scheme of a bearer JWT, as the OpenAPI document has it."""
    return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": description}


def bearer_token(request: Request) -> str | None:
    """Return the token in the ``Authorization`` header, or ``None`` if it has no bearer token.

    Raises ``TokenInvalid`` if there is more than one token, or if it contains invalid characters.
    """
    # At spaces and tabs only, as proxies do: str.split() would also split at other Unicode white space. And without a
    # regular expression, which takes ten times as long to find them: this is done in every protected request.
    header: str = request.environ.get("HTTP_AUTHORIZATION", "")
    scheme, *credentials = [part for part in header.replace("\t", " ").split(" ") if part] or [""]
    if scheme.lower() != "bearer" or not credentials:
        return None
    if len(credentials) > 1:
        raise TokenInvalid("The header holds more than one token.")
    return checked_token(credentials[0])


def checked_token(token: str) -> str:
    """Return ``token``. Raises ``TokenInvalid`` if it contains invalid characters."""
    if not _COMPACT_JWS.fullmatch(token):
        raise TokenInvalid
    return token
