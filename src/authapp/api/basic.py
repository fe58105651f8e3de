"""HTTP Basic (RFC 7617) for clients of OAuth: the prefix of an API key with the key, or an account's name and password.

Only the views that name it accept it. A password is hashed for each request, which a key and an access token spare.
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from flask import Request, current_app

from authapp.api.bodies import receive
from authapp.api.client import counted_address
from authapp.api.context import request_context
from authapp.context import Principal
from authapp.domain.services import Services
from authapp.errors import InvalidCredentials, Refusal, ServiceUnavailable, TokenRefused, TooManyRequests
from authapp.security.api_keys import is_prefix

# What is left of a text that was encoded as a form.
_FORM_ENCODED = re.compile(r"(?:[A-Za-z0-9*._+~-]|%[0-9A-Fa-f]{2})*")


class HTTPBasic:
    """A key with its prefix in the ``Authorization`` header; or an account's name and password, counted as a login."""

    security_schemes: Mapping[str, Mapping[str, Any]] = {
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "The prefix of an API key and the key, or the name and the password of an account.",
        }
    }

    refusals: Sequence[type[Refusal]] = (InvalidCredentials, TooManyRequests, ServiceUnavailable)

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal of the account, or ``None`` if the header has another scheme.

        Raises ``InvalidCredentials``, ``TooManyRequests``, ``ServiceUnavailable``, or what a hook raises.
        """
        encoded = _encoded(request)
        if encoded is None:
            return None
        # First the body: authenticators that did not wait for it are asked again when it is here, and that would be a
        # second hash.
        receive(request)
        services = Services.of(current_app)
        try:
            name, password = _credentials(encoded)
            if is_prefix(name):
                return _principal_of_client(name, password)
            services.rate_limits.charge("login", counted_address(request.environ))
            return services.password_login.authenticate(name, password, request_context())
        except InvalidCredentials as refusal:
            # RFC 6749, section 5.2: the challenge has to match the scheme that the client used.
            refusal.auth_schemes = ("Bearer", "Basic")
            raise


BASIC = HTTPBasic()


def client_credentials(request: Request) -> tuple[str, str]:
    """Return the ``client_id`` and the ``client_secret`` of a request to the token endpoint (RFC 6749, section 2.3.1).

    Raises ``InvalidCredentials`` if there are none, or if they cannot be read.
    """
    encoded = _encoded(request)
    if encoded is None:
        raise InvalidCredentials
    return _credentials(encoded)


def _encoded(request: Request) -> str | None:
    """Return the credentials as they are in the header, or ``None`` if it has another scheme."""
    scheme, _, encoded = request.environ.get("HTTP_AUTHORIZATION", "").strip(" \t").partition(" ")
    return encoded.strip(" \t") if scheme.lower() == "basic" else None


def _principal_of_client(client_id: str, key: str) -> Principal:
    try:
        return Services.of(current_app).api_key_verifier.accept_client(client_id, key, request_context()).principal
    except TokenRefused:
        raise InvalidCredentials from None


def _credentials(encoded: str) -> tuple[str, str]:
    """Return name and password. Raises ``InvalidCredentials`` if they cannot be read."""
    try:
        name, colon, password = _text(b64decode(encoded, validate=True)).partition(":")
        # OAuth encodes both as a form first (RFC 6749, section 2.3.1), and plain HTTP clients do not.
        if _FORM_ENCODED.fullmatch(name + password):
            name, password = (unquote_plus(each, errors="strict") for each in (name, password))
    except ValueError:
        raise InvalidCredentials from None
    if not colon or "\0" in name + password:
        raise InvalidCredentials
    return name, password


def _text(data: bytes) -> str:
    """Return ``data`` read as UTF-8, or as Latin-1 if it is not UTF-8: some clients know nothing else for Basic."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
