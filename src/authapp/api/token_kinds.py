"""The kinds of tokens that services introspect, and that clients revoke."""

from typing import Any, Protocol
from uuid import UUID

from flask import current_app

from authapp.context import Principal, RequestContext
from authapp.domain.roles.permissions import scope_of
from authapp.domain.services import Services
from authapp.security.api_keys import TAG, prefix_of


class TokenKind(Protocol):
    """One kind of token. ``AuthApp.token_kinds`` lists those of an application; the first that knows a token has it."""

    def recognizes(self, token: str) -> bool:
        """Return whether a token looks like one of this kind. Asks nobody."""

    def introspect(self, token: str) -> dict[str, Any] | None:
        """Return the members of RFC 7662, section 2.2, but ``active``; or ``None`` if it would not be accepted now."""

    def revoke(self, token: str, user_id: UUID, context: RequestContext) -> None:
        """Revoke a token of the user's own, and ignore any other (RFC 7009, section 2.2)."""


class ApiKeyKind:
    """API keys, which begin with their tag."""

    def recognizes(self, token: str) -> bool:
        return token.startswith(TAG)

    def introspect(self, token: str) -> dict[str, Any] | None:
        key = Services.of(current_app).api_key_verifier.introspect(token)
        if key is None:
            return None
        user_id = key.principal.id
        details = {"sub": user_id, "type": "access", "akid": key.id, "client_id": prefix_of(user_id, key.id)}
        if key.expires_at is not None:
            details["exp"] = int(key.expires_at.timestamp())
        return {**details, **_owner(key.principal)}

    def revoke(self, token: str, user_id: UUID, context: RequestContext) -> None:
        Services.of(current_app).api_keys.delete_presented(token, user_id, context)


class JWTKind:
    """Access and refresh tokens: whatever is of no other kind, since a text that is no token is refused as one."""

    def recognizes(self, token: str) -> bool:
        del token
        return True

    def introspect(self, token: str) -> dict[str, Any] | None:
        live = Services.of(current_app).introspection.introspect(token)
        if live is None:
            return None
        claims = {name: value for name, value in live.claims.items() if name != "fresh"}
        return {**claims, **_owner(live.principal)}

    def revoke(self, token: str, user_id: UUID, context: RequestContext) -> None:
        Services.of(current_app).introspection.revoke(token, user_id, context)


def _owner(principal: Principal) -> dict[str, Any]:
    is_verified = principal.email_verified_at is not None
    owner = {"username": principal.username, "roles": principal.roles, "email_verified": is_verified}
    # What a key may do is no role: another service goes by its permissions.
    return owner if principal.api_key_id is None else {**owner, "scope": scope_of(principal.permissions)}
