"""API keys in the ``Authorization`` header, where a token is sent otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Request, current_app

from authapp.api.bearer import bearer_token
from authapp.api.bodies import is_on_the_way, receive
from authapp.api.context import request_context
from authapp.context import Principal
from authapp.domain.services import Services
from authapp.errors import Refusal, TokenExpired, TokenInvalid, TokenRevoked
from authapp.security import api_keys


class BearerApiKey:
    """API keys as bearer tokens."""

    security_schemes: Mapping[str, Mapping[str, Any]] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, which begins with `ak_`."}
    }
    refusals: Sequence[type[Refusal]] = (TokenInvalid, TokenExpired, TokenRevoked)

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal of the key, or ``None`` if there is none.

        Raises a ``TokenRefused``, or ``TooManyRequests`` if there is a limit on the requests of each key.
        """
        key = bearer_token(request)
        if key is None or not key.startswith(api_keys.TAG):
            return None
        if is_on_the_way(request):
            # What is no key at all is not worth a wait.
            if not api_keys.is_well_formed(key):
                raise TokenInvalid
            # First the body: the key may be deleted meanwhile.
            receive(request)
        return Services.of(current_app).api_key_verifier.authenticate(key, request_context())
