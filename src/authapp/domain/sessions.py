"""Sessions: from the login that starts one to the logout that ends it."""

import logging
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.domain import audit
from authapp.domain.beginnings import begin
from authapp.domain.callers import CALLER, Caller
from authapp.domain.credentials import Credentials
from authapp.domain.endings import AccessToken, end_sessions, log_out_here
from authapp.domain.origins import COMMAND_LINE, Origin
from authapp.domain.rotation import ROTATE
from authapp.domain.token_pairs import PairIssuer, SessionState, TokenPair
from authapp.domain.transactions import transaction
from authapp.errors import InvalidCredentials, RefreshTokenReused, ResourceNotFound, TokenRevoked
from authapp.extensions import db
from authapp.models import EndReason, EventType, Session, User
from authapp.security import identifiers
from authapp.security.tokens import Claims, Tokens

logger = logging.getLogger(__name__)

ATTEMPTS = 2


class LogoutScope(StrEnum):
    """Which of the caller's sessions a logout ends."""

    LOCAL = "local"
    OTHERS = "others"
    GLOBAL = "global"


class Sessions:
    """The use cases of sessions."""

    def __init__(self, credentials: Credentials, tokens: Tokens, *, session_ttl: int, refresh_grace: int) -> None:
        """Take ``session_ttl`` and ``refresh_grace`` in seconds."""
        self._credentials = credentials
        self._pairs = PairIssuer(tokens)
        self._session_ttl = timedelta(seconds=session_ttl)
        self._refresh_ttl = timedelta(seconds=tokens.rules.refresh_ttl)
        self._grace = timedelta(seconds=refresh_grace)

    def log_in(self, name: str, password: str, origin: Origin) -> TokenPair:
        """Start a session for the account with this username or email.

        Raises ``InvalidCredentials``; ``TooManyRequests`` after too many of those; ``ServiceUnavailable``.
        """
        for _ in range(ATTEMPTS):
            proof = self._credentials.prove(name, password, origin)
            session = self._new_session(proof.user_id)
            if begin(session, proof, origin):
                break
        else:
            with transaction():
                audit.record(EventType.LOGIN_REFUSED, by=origin, subject_id=proof.user_id)
            raise InvalidCredentials
        return self._pairs.issue(session, fresh=True)

    def caller(self, claims: Claims) -> Caller | None:
        """Return the caller that verified ``claims`` name, or ``None`` when there is no such session."""
        # As text: PostgreSQL reads it, and the reader of tokens has seen that these are UUIDs.
        user_id, session_id = claims["sub"], claims["sid"]
        row = db.read_one(CALLER, {"user_id": user_id, "session_id": session_id, "jti": claims["jti"]})
        return Caller.of(identifiers.parsed(user_id), identifiers.parsed(session_id), row) if row else None

    def refresh(self, claims: Claims, origin: Origin = COMMAND_LINE) -> TokenPair:
        """Exchange the refresh token with these verified ``claims`` for a new pair.

        Raises ``RefreshTokenReused`` for a token that was exchanged before, and ends its session; ``TokenRevoked``
        when the session is already over.
        """
        now = clock.now()
        user_id, session_id = UUID(claims["sub"]), UUID(claims["sid"])
        # When it runs twice, the second time finds the predecessor within the grace, and the same successor.
        row = db.write_one(
            ROTATE,
            {
                "user_id": user_id,
                "session_id": session_id,
                "presented": claims["jti"],
                "successor": identifiers.unguessable(),
                "now": now,
                "grace_from": now - self._grace,
                "refresh_expires_at": now + self._refresh_ttl,
                **audit.noting(origin),
            },
        )
        if row is None:
            raise TokenRevoked
        if row.ended_at is not None:
            logger.warning("refresh token reused: ended session %s of user %s", session_id, user_id)
            raise RefreshTokenReused
        return self._pairs.issue(SessionState(user_id, session_id, *row[:4]), fresh=False)

    def log_out(self, claims: Claims, scope: LogoutScope = LogoutScope.LOCAL, origin: Origin = COMMAND_LINE) -> None:
        """End sessions of the caller with these verified ``claims``, as ``scope`` says.

        Every token of an ended session is dead on the next request, everywhere. Doing it again, or at the same moment
        as somebody else, is no error.
        """
        this = AccessToken(UUID(claims["jti"]), datetime.fromtimestamp(claims["exp"], UTC))
        user_id, own = UUID(claims["sub"]), UUID(claims["sid"])
        if scope is LogoutScope.LOCAL:
            log_out_here(user_id, own, this, clock.now(), origin)
            return
        with transaction():
            # Two that end many sessions at once would lock them in different orders: the account's row comes first.
            db.session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
            end = partial(end_sessions, user_id, EndReason.LOGOUT, clock.now())
            ended = end(Session.id != own) if scope is LogoutScope.OTHERS else end(together_with=this)
            if ended:
                _record_end(user_id, EndReason.LOGOUT, origin, session_id=own, scope=scope, sessions=ended)

    def live(self, user_id: UUID) -> list[Session]:
        """Return the user's live sessions, the one used last first."""
        statement = (
            select(Session)
            .where(Session.user_id == user_id, Session.ended_at.is_(None), Session.refresh_expires_at > clock.now())
            .order_by(Session.last_used_at.desc(), Session.id.desc())
        )
        return list(db.session.scalars(statement))

    def end(self, user_id: UUID, session_id: UUID, origin: Origin = COMMAND_LINE) -> None:
        """End one of the user's sessions. Raises ``ResourceNotFound`` when it is not theirs, or over already."""
        with transaction():
            now = clock.now()
            this = (Session.id == session_id, Session.refresh_expires_at > now)
            if not end_sessions(user_id, EndReason.REVOKED, now, *this):
                raise ResourceNotFound
            _record_end(user_id, EndReason.REVOKED, origin, session_id=session_id)

    def _new_session(self, user_id: UUID) -> SessionState:
        now = clock.now()
        expires_at = now + self._session_ttl
        return SessionState(
            user_id=user_id,
            id=identifiers.time_ordered(),
            refresh_jti=identifiers.unguessable(),
            rotated_at=now,
            refresh_expires_at=min(now + self._refresh_ttl, expires_at),
            expires_at=expires_at,
        )


def _record_end(user_id: UUID, reason: EndReason, origin: Origin, session_id: UUID, **details: Any) -> None:
    whose = {"subject_id": user_id, "actor_id": user_id, "session_id": session_id}
    audit.record(EventType.SESSION_ENDED, by=origin, **whose, reason=reason, **details)
