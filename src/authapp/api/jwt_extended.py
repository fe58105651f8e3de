"""Flask-JWT-Extended: the token manager, and the loaders that the library calls.

This is the only file that uses private names of that library (4.7): ``JWTManager._decode_jwt_from_config``,
``._token_in_blocklist_callback``, ``._user_lookup_callback``, ``view_decorators._decode_jwt_from_headers``, and the
names under which it keeps a token on ``flask.g``. ``tests/api/test_authenticate.py`` fails when one of them moves.
"""

from typing import Any, cast

from flask import Flask, Request, Response, current_app, g, request
from flask_jwt_extended import JWTManager, view_decorators
from flask_jwt_extended.exceptions import NoAuthorizationError

from authapp.api.bearer import bearer_token
from authapp.api.bodies import receive
from authapp.api.errors import render
from authapp.context import Principal
from authapp.domain.principals.principals import TokenStatus
from authapp.domain.services import Services
from authapp.errors import (
    FreshTokenRequired,
    PermissionDenied,
    Refusal,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
)
from authapp.security.tokens import Claims, Header, TokenType
from authapp.shared_names import EXTENSION, PRINCIPAL

_STATUS_KEY = "authapp.token_status"
_CLAIMS_KEY = "authapp.claims"


class TokenManager(JWTManager):
    """The library's manager, except that ``security/tokens.py`` reads the tokens.

    The library itself decodes a token three times and, if the signature is valid, accepts tokens without ``exp``,
    ``jti`` or ``type``. Everything else is the library's: ``get_jwt()``, ``current_user``, ``@jwt_required()``, and the
    loaders.
    """

    def admit(self, header: Header, claims: Claims) -> Principal:
        """Run the loaders on a verified token, store it for ``get_jwt()`` and ``current_user``, return the principal.

        This does what ``verify_jwt_in_request()`` does, without finding and decoding the token again, which would take
        a tenth of a protected request. Raises ``TokenRevoked``, or whatever the loaders raise.
        """
        claims_dict = cast("dict[str, Any]", claims)
        if self._token_in_blocklist_callback(header, claims_dict):
            raise TokenRevoked
        if self._user_lookup_callback is None:
            raise RuntimeError("no user loader is registered")
        principal: Principal = self._user_lookup_callback(header, claims_dict)
        g._jwt_extended_jwt_user = {"loaded_user": principal}
        g._jwt_extended_jwt_header, g._jwt_extended_jwt = header, claims_dict
        g._jwt_extended_jwt_location = "headers"
        request.environ[_CLAIMS_KEY] = claims
        return principal

    def _decode_jwt_from_config(
        self, encoded_token: str, csrf_value: str | None = None, allow_expired: bool = False
    ) -> dict[str, Any]:
        return cast("dict[str, Any]", Services.of(current_app).tokens.read(encoded_token))


jwt = TokenManager()


def init_app(app: Flask) -> None:
    """Initialise Flask-JWT-Extended for ``app``. It reads tokens from the ``Authorization`` header only."""
    app.config.update(JWT_TOKEN_LOCATION=["headers"], JWT_HEADER_NAME="Authorization", JWT_HEADER_TYPE="Bearer")
    jwt.init_app(app)


def claims(*types: TokenType) -> Claims:
    """Return the claims of the token that the guard accepted: one of a session, of one of these types (access).

    Raises ``PermissionDenied`` for any other credential, and ``TokenInvalid`` for another type of token.
    """
    # With the request, not on flask.g, which may hold those of a request before (see _token_status).
    found: Claims | None = request.environ.get(_CLAIMS_KEY)
    if found is None or "sid" not in found:
        raise PermissionDenied("This needs the token of a login: no other credential will do.")
    if found["type"] not in (types or ("access",)):
        raise TokenInvalid
    return found


def _token_status(token_claims: Claims) -> TokenStatus:
    """Return the database's answer about a token. The blocklist and user loaders share one query per request.

    It is asked when the whole body is here. The signature has been verified by then, so a guest with a forged token
    makes nobody wait for a body.
    """
    # Cached in the request's environ, not in flask.g: g may outlive the request if an application context was pushed
    # before it, and the answer may be wrong by the next request.
    environ = request.environ
    answer: tuple[str, TokenStatus | None] | None = environ.get(_STATUS_KEY)
    if answer is None or answer[0] != token_claims["jti"]:
        receive(request)
        answer = (token_claims["jti"], Services.of(current_app).principals.token_status(token_claims))
        environ[_STATUS_KEY] = answer
    if answer[1] is None:
        # A key that is gone was deleted: that is how keys end. Sessions stay for as long as their tokens live.
        raise TokenRevoked if "akid" in token_claims else TokenInvalid("Its session is not known.")
    return answer[1]


def forget_token_status(incoming: Request) -> None:
    """Let the database be asked about the token again, because the answer may be older than the body."""
    incoming.environ.pop(_STATUS_KEY, None)


@jwt.token_in_blocklist_loader
def is_revoked(_header: dict[str, Any], token_claims: dict[str, Any]) -> bool:
    """Return whether a token is on the blocklist, its session has ended, or its user is disabled."""
    return _token_status(cast("Claims", token_claims)).revoked


@jwt.user_lookup_loader
def principal_of(_header: dict[str, Any], token_claims: dict[str, Any]) -> Principal:
    """Return the principal of a token.

    In a view that only ``@jwt_required()`` guards, it becomes the principal of the request, so that the use cases do
    not take the user for a guest. A credential that the guard has accepted takes precedence.
    """
    principal = _token_status(cast("Claims", token_claims)).principal
    request.environ.setdefault(PRINCIPAL, principal)
    return principal


def _answer_with(refusal: type[Refusal]) -> Any:
    def answer(*_details: Any) -> Response:
        return render(refusal())

    return answer


jwt.unauthorized_loader(_answer_with(TokenMissing))
jwt.invalid_token_loader(_answer_with(TokenInvalid))
jwt.expired_token_loader(_answer_with(TokenExpired))
jwt.revoked_token_loader(_answer_with(TokenRevoked))
jwt.needs_fresh_token_loader(_answer_with(FreshTokenRequired))
jwt.user_lookup_error_loader(_answer_with(TokenInvalid))
jwt.token_verification_failed_loader(_answer_with(TokenInvalid))

_decode_from_headers = view_decorators._decode_jwt_from_headers


def _token_in_headers() -> tuple[str, None]:
    """Find the token for ``@jwt_required()`` in the same way as the guard.

    The library's own function compares the scheme case-sensitively, and takes the first of several tokens separated
    by commas.
    """
    if EXTENSION not in current_app.extensions:
        return _decode_from_headers()
    token = bearer_token(request)
    if token is None:
        # The library's own error, which ``@jwt_required(optional=True)`` catches.
        raise NoAuthorizationError("There is no bearer token.")
    return token, None


view_decorators._decode_jwt_from_headers = _token_in_headers
