"""Inspection: what other services ask about tokens (RFC 7662), and taking single tokens back (RFC 7009)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, or_, select
from sqlalchemy.dialects.postgresql import insert

from authapp import clock
from authapp.database.prepared import Prepared
from authapp.domain import audit
from authapp.domain.callers import Caller
from authapp.domain.endings import end_sessions
from authapp.domain.origins import COMMAND_LINE, Origin
from authapp.domain.sessions import Sessions
from authapp.domain.transactions import transaction
from authapp.errors import TokenExpired, TokenInvalid
from authapp.extensions import db
from authapp.models import BlocklistedToken, EndReason, EventType, Session
from authapp.security.tokens import Claims, Tokens


@dataclass(frozen=True)
class LiveToken:
    """A token that would be accepted now, and whose it is."""

    claims: Claims
    caller: Caller


class Inspection:
    """The use cases of inspection."""

    def __init__(self, tokens: Tokens, sessions: Sessions, *, refresh_grace: int) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._grace = timedelta(seconds=refresh_grace)

    def introspect(self, token: str) -> LiveToken | None:
        """Return the token when it would be accepted now, and nothing for every other, whatever is wrong with it."""
        claims = self._read(token)
        caller = self._sessions.caller(claims) if claims else None
        if claims is None or caller is None or caller.revoked:
            return None
        if claims["type"] == "refresh" and not self._may_be_exchanged(claims):
            return None
        return LiveToken(claims, caller)

    def revoke(self, token: str, caller: Caller, origin: Origin = COMMAND_LINE) -> None:
        """Take back one of the caller's own tokens.

        A refresh token takes its session with it; an access token dies alone (RFC 7009, section 2.1). Another's token,
        and what is no token, is passed over in silence (section 2.2).
        """
        claims = self._read(token)
        if claims is None or UUID(claims["sub"]) != caller.id:
            return
        now = clock.now()
        with transaction() as database:
            if claims["type"] == "refresh":
                if end_sessions(caller.id, EndReason.REVOKED, now, Session.id == UUID(claims["sid"])):
                    session_id = UUID(claims["sid"])
                    audit.record(
                        EventType.SESSION_ENDED,
                        by=origin,
                        subject_id=caller.id,
                        session_id=session_id,
                        reason=EndReason.REVOKED,
                    )
                return
            row = {
                "user_id": caller.id,
                "jti": UUID(claims["jti"]),
                "token_type": "access",
                "expires_at": datetime.fromtimestamp(claims["exp"], UTC),
                "revoked_at": now,
            }
            # The account's row may go at this moment, and takes its tokens with it: then there is nothing to do.
            account = select(Session.user_id).where(Session.user_id == caller.id, Session.id == UUID(claims["sid"]))
            if database.scalar(account.with_for_update(read=True)) is not None:
                blocklisted = insert(BlocklistedToken).values(row).on_conflict_do_nothing()
                if database.scalar(blocklisted.returning(BlocklistedToken.jti)) is not None:
                    audit.record(EventType.TOKEN_REVOKED, by=origin, subject_id=caller.id, jti=claims["jti"])

    def _read(self, token: str) -> Claims | None:
        try:
            return self._tokens.read(token)
        except (TokenInvalid, TokenExpired):
            return None

    def _may_be_exchanged(self, claims: Claims) -> bool:
        parameters = {
            "user_id": UUID(claims["sub"]),
            "session_id": UUID(claims["sid"]),
            "jti": UUID(claims["jti"]),
            "now": (now := clock.now()),
            "since": now - self._grace,
        }
        return db.read_one(_EXCHANGEABLE, parameters) is not None


_EXCHANGEABLE = Prepared(
    select(Session.id).where(
        Session.user_id == bindparam("user_id"),
        Session.id == bindparam("session_id"),
        Session.expires_at > bindparam("now"),
        or_(
            Session.refresh_jti == bindparam("jti"),
            (Session.previous_refresh_jti == bindparam("jti")) & (Session.rotated_at > bindparam("since")),
        ),
    )
)
