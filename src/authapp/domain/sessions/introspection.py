"""Introspection of tokens for other services (RFC 7662), and revocation of single tokens (RFC 7009)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select

from authapp import clock
from authapp.context import Principal, RequestContext
from authapp.database.session import read_one, transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.principals.principals import Principals
from authapp.domain.sessions import revocation
from authapp.domain.sessions.revocation import AccessToken
from authapp.errors import TokenExpired, TokenInvalid
from authapp.models import EndReason, Session
from authapp.security.tokens import Claims, Tokens


@dataclass(frozen=True)
class LiveToken:
    """A token that would be accepted now: its claims and its principal."""

    claims: Claims
    principal: Principal


class Introspection:
    """The use cases of introspection and revocation."""

    def __init__(self, tokens: Tokens, principals: Principals, hooks: Hooks, *, refresh_grace: int) -> None:
        """``refresh_grace`` is in seconds."""
        self._tokens = tokens
        self._principals = principals
        self._hooks = hooks
        self._grace = timedelta(seconds=refresh_grace)

    def introspect(self, token: str) -> LiveToken | None:
        """Return the token if it would be accepted now, otherwise ``None``, whatever the reason."""
        claims = self._read(token)
        status = self._principals.find(claims) if claims else None
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
        session_id = UUID(claims["sid"])
        if claims["type"] == "refresh":
            self._end_session(user_id, session_id, context)
            return
        access_token = AccessToken(UUID(claims["jti"]), datetime.fromtimestamp(claims["exp"], UTC))
        with transaction():
            if revocation.revoke_access_token(user_id, session_id, access_token, clock.now()):
                audit.record(EventType.TOKEN_REVOKED, context=context, subject_id=user_id, jti=claims["jti"])

    def _end_session(self, user_id: UUID, session_id: UUID, context: RequestContext) -> None:
        reason = EndReason.REVOKED
        with transaction():
            ended = revocation.end_one(user_id, session_id, reason, clock.now())
            if ended:
                owner = {"subject_id": user_id, "session_id": session_id}
                audit.record(EventType.SESSION_ENDED, context=context, **owner, reason=reason)
        if ended:
            self._hooks.tell(
                hooks.session_ended, context=context, user_id=user_id, session_id=session_id, reason=str(reason)
            )

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
                (Session.previous_refresh_jti == jti) & (Session.rotated_at > now - self._grace),
            ),
        )
        return read_one(exchangeable) is not None
