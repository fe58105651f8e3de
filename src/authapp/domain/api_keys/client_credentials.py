"""Client credentials (RFC 6749, section 4.4): access tokens for API keys, for services that verify tokens."""

from dataclasses import dataclass
from datetime import timedelta

from authapp import clock
from authapp.context import RequestContext
from authapp.domain.api_keys.verification import ApiKeyVerifier
from authapp.domain.sessions.token_claims import extra_claims
from authapp.errors import TokenExpired, TokenInvalid
from authapp.security import identifiers
from authapp.security.api_keys import PREFIX_LENGTH
from authapp.security.tokens import Tokens

SCOPE_MAX_LENGTH = 1_024
"""The most characters of a scope that is asked for: it becomes part of the token, which is sent with every request."""


class ScopeRefused(Exception):
    """The key does not allow what was asked for."""


@dataclass(frozen=True, kw_only=True)
class ApiKeyToken:
    """An access token for a key. ``expires_in`` is in seconds, and ``scope`` lists permissions between blanks."""

    access_token: str
    expires_in: int
    scope: str
    token_type: str = "Bearer"  # noqa: S105 - a scheme, not a secret


class ClientCredentials:
    """The use case of the token endpoint."""

    def __init__(self, verifier: ApiKeyVerifier, tokens: Tokens) -> None:
        self._verifier = verifier
        self._tokens = tokens

    def issue_token(self, client_id: str, key: str, scope: str | None, context: RequestContext) -> ApiKeyToken:
        """Return an access token that allows what the key does, or the part of it that ``scope`` lists.

        It is refused from the moment on when the key is, and expires no later.

        Raises what ``ApiKeyVerifier.accept`` raises, also for a ``client_id`` that is not the prefix of the key;
        ``ScopeRefused``, or what ``extra_claims`` raises.
        """
        if key[:PREFIX_LENGTH] != client_id:
            raise TokenInvalid
        found = self._verifier.accept(key, context)
        user_id, allowed, now = found.principal.id, found.principal.permissions, clock.now()
        granted = allowed if scope is None else _requested(scope, allowed)
        expires = now + timedelta(seconds=self._tokens.rules.access_ttl)
        if found.expires_at is not None:
            expires = min(expires, found.expires_at)
        seconds = int(expires.timestamp()) - int(now.timestamp())
        if seconds <= 0:
            raise TokenExpired
        text = " ".join(sorted(granted))
        token = self._tokens.sign_for_key(
            user_id=user_id,
            key_id=found.id,
            jti=identifiers.unguessable(),
            issued_at=now,
            expires_at=expires,
            # Without a limit, the token follows its owner: a role that they get or lose counts at once. With one, a
            # service that only verifies the token has to see it.
            scope=None if scope is None and not found.is_limited else text,
            extra=extra_claims(user_id, found.id),
        )
        return ApiKeyToken(access_token=token, expires_in=seconds, scope=text)


def _requested(scope: str, allowed: frozenset[str]) -> frozenset[str]:
    wanted = frozenset(scope.split(" "))
    if len(scope) > SCOPE_MAX_LENGTH or not wanted <= allowed:
        raise ScopeRefused
    return wanted
