"""Introspection of tokens for other services (RFC 7662), and revocation of single tokens (RFC 7009)."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select

from authapp import clock
from authapp.context import Principal, RequestContext
from authapp.database.session import read_one, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.principals.principals import Principals
from authapp.domain.sessions import revocation
from authapp.domain.sessions.revocation import AccessToken
from authapp.domain.sessions.sessions import Sessions
from authapp.errors import ResourceNotFound, TokenExpired, TokenInvalid
from authapp.models import Session
from authapp.security.tokens import Claims, Tokens


@dataclass(frozen=True)
class LiveToken:
    """A token that would be accepted now: its claims and its principal."""

    claims: Claims
    principal: Principal


class Introspection:
    """The use cases of introspection and revocation."""

    def __init__(self, tokens: Tokens, principals: Principals, sessions: Sessions, *, refresh_retry: int) -> None:
        """Take for how many seconds an exchanged refresh token gets its successor again."""
        self._tokens = tokens
        self._principals = principals
        self._sessions = sessions
        self._retry = timedelta(seconds=refresh_retry)

    def introspect(self, token: str) -> LiveToken | None:
        """Return the token if it would be accepted now, otherwise ``None``, whatever the reason."""
        claims = self._read(token)
        status = self._principals.token_status(claims) if claims else None
        if claims is None or status is None or status.revoked:
            return None
        if claims["type"] == "refresh" and not self._may_be_exchanged(claims):
            return None
        return LiveToken(claims, status.principal)

    def revoke(self, token: str, user_id: UUID, context: RequestContext) -> None:
        """Revoke one of the user's own tokens.

        Revoking a refresh token ends its session; revoking an access token affects only that token (RFC 7009, section
        2.1). Invalid tokens and tokens of other users are ignored (section 2.2).
        """
        claims = self._read(token)
        if claims is None or UUID(claims["sub"]) != user_id:
            return
        if claims["type"] == "refresh":
            with suppress(ResourceNotFound):
                self._sessions.end(user_id, UUID(claims["sid"]), context)
            return
        issued_for = UUID(claims["akid"] if "akid" in claims else claims["sid"])
        access_token = AccessToken(UUID(claims["jti"]), datetime.fromtimestamp(claims["exp"], UTC))
        with transaction():
            if revocation.revoke_access_token(user_id, issued_for, access_token, clock.now()):
                audit.record(EventType.TOKEN_REVOKED, context=context, subject_id=user_id, jti=claims["jti"])

    def _read(self, token: str) -> Claims | None:
        try:
            return self._tokens.read(token)
        except (TokenInvalid, TokenExpired):
            return None

    def _may_be_exchanged(self, claims: Claims) -> bool:
        jti, now = UUID(claims["jti"]), clock.now()
        exchangeable = select(Session.id).where(
            Session.user_id == UUID(claims["sub"]),
            Session.id == UUID(claims["sid"]),
            Session.expires_at > now,
            or_(
                Session.refresh_jti == jti,
                (Session.previous_refresh_jti == jti) & (Session.rotated_at > now - self._retry),
            ),
        )
        return read_one(exchangeable) is not None
