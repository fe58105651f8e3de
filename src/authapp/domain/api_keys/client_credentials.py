"""Client credentials (RFC 6749, section 4.4): access tokens for API keys, for services that verify tokens."""

from dataclasses import dataclass
from datetime import timedelta

from authapp import clock
from authapp.context import RequestContext
from authapp.domain.api_keys.verification import ApiKeyVerifier, FoundApiKey
from authapp.domain.roles.permissions import SCOPE_MAX_LENGTH, scope_of
from authapp.domain.sessions.token_claims import extra_claims
from authapp.errors import TokenExpired
from authapp.security import identifiers
from authapp.security.tokens import MAX_LENGTH, Tokens


class ScopeRefused(Exception):
    """No token has the scope that was asked for. The message is a sentence."""


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

        Raises what ``ApiKeyVerifier.accept_client`` raises, ``ScopeRefused``, or what ``extra_claims`` raises.
        """
        found = self._verifier.accept_client(client_id, key, context)
        user_id, now = found.principal.id, clock.now()
        is_limited, granted = _granted(found, scope)
        expires = now + timedelta(seconds=self._tokens.rules.access_ttl)
        if found.expires_at is not None:
            expires = min(expires, found.expires_at)
        seconds = int(expires.timestamp()) - int(now.timestamp())
        if seconds <= 0:
            raise TokenExpired
        token = self._tokens.sign_for_key(
            user_id=user_id,
            key_id=found.id,
            jti=identifiers.unguessable(),
            issued_at=now,
            expires_at=expires,
            # Without a limit, the token follows its owner: a role that they get or lose counts at once. With one, a
            # service that only verifies the token has to see it.
            scope=granted if is_limited else None,
            extra=extra_claims(user_id, found.id),
        )
        if len(token) > MAX_LENGTH:
            # With a long scope, there is no room for many extra claims and the signature of a large RSA key.
            raise ScopeRefused("The token would be too long: ask for less.")
        return ApiKeyToken(access_token=token, expires_in=seconds, scope=granted)


def _granted(found: FoundApiKey, scope: str | None) -> tuple[bool, str]:
    """Return whether the token is limited, and what it may do. Raises ``ScopeRefused``."""
    allowed = found.principal.permissions
    wanted = allowed if scope is None else frozenset(scope.split(" "))
    if not wanted <= allowed:
        raise ScopeRefused("The key does not allow all of the scope.")
    is_limited, granted = found.is_limited or scope is not None, scope_of(wanted)
    if is_limited and len(granted) > SCOPE_MAX_LENGTH:
        raise ScopeRefused(f"A token has a scope of at most {SCOPE_MAX_LENGTH} characters: ask for less.")
    return is_limited, granted
