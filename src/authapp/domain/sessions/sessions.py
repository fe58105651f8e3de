"""The use cases of sessions: start, refresh, list, end, log out."""

import logging
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from authapp import clock
from authapp.context import RequestContext
from authapp.database.errors import sqlstate
from authapp.database.fast_path import FastPath
from authapp.database.keyset import IndexRange
from authapp.database.session import db, transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.pages import Listing, Page, Pages
from authapp.domain.pruning import Prunable, prunables
from authapp.domain.sessions import revocation
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.limit import SessionLimit
from authapp.domain.sessions.revocation import AccessToken
from authapp.domain.sessions.rotation import ROTATE
from authapp.domain.sessions.start import insert_session
from authapp.domain.sessions.token_claims import extra_claims
from authapp.domain.sessions.token_pairs import PairIssuer, SessionState, TokenPair
from authapp.errors import RefreshTokenReused, Refusal, ResourceNotFound, TokenRevoked
from authapp.models import EndReason, Session, User
from authapp.models.session import is_unended
from authapp.security import identifiers
from authapp.security.tokens import Claims, Tokens

logger = logging.getLogger(__name__)

prunables.register("sessions", Prunable("sessions", Session.refresh_expires_at, after_leeway=True))


class LogoutScope(StrEnum):
    """Which of the user's sessions a logout ends."""

    LOCAL = "local"
    OTHERS = "others"
    GLOBAL = "global"


class Sessions:
    """The use cases of sessions."""

    def __init__(
        self,
        tokens: Tokens,
        fast_path: FastPath,
        hooks: Hooks,
        pages: Pages,
        *,
        session_ttl: int,
        refresh_grace: int,
        refresh_retry: int,
        sessions_per_account: int,
        login_mail: str | None,
    ) -> None:
        """Take times in seconds, and the kind of mail that tells of each login.

        ``refresh_retry`` is for how long an exchanged token gets its successor again, and ``refresh_grace`` for how
        long a shared one is not exchanged anew.
        """
        self._login_mail = login_mail
        self._pages = pages
        self._limit = SessionLimit(fast_path, maximum=sessions_per_account)
        self._pairs = PairIssuer(tokens)
        self._fast_path = fast_path
        self._hooks = hooks
        self._session_ttl = timedelta(seconds=session_ttl)
        self._refresh_ttl = timedelta(seconds=tokens.rules.refresh_ttl)
        self._grace = timedelta(seconds=refresh_grace)
        self._retry = timedelta(seconds=refresh_retry)

    def start(self, result: AuthenticationResult, context: RequestContext) -> TokenPair | None:
        """Start a session for the user in ``result``, and return its tokens.

        If the account then has more sessions than it may have, those used least recently end.

        Returns ``None`` if the authentication is no longer valid: the account has been changed, disabled or deleted
        meanwhile. Raises what ``extra_claims`` or a ``before_session_start`` hook raises; then no session starts.
        """
        self._hooks.send_before(hooks.before_session_start, context=context, result=result)
        state = self._new_state(result)
        extra = extra_claims(state.user_id, state.id)
        if not insert_session(self._fast_path, state, result, context, self._login_mail):
            return None
        surplus = self._end_surplus(state, context)
        pair = self._pairs.issue(state, fresh=True, extra=extra)
        for session_id in surplus:
            reason = EndReason.SESSION_LIMIT
            self._hooks.send_session_ended(state.user_id, reason, context=context, session_id=session_id)
        self._hooks.send_after_commit(
            hooks.session_started, context=context, user_id=state.user_id, session_id=state.id, amr=state.amr
        )
        return pair

    def start_or_record(
        self, result: AuthenticationResult, context: RequestContext, refusal: Refusal, **details: Any
    ) -> TokenPair:
        """Do the same, and record why no session starts: ``login.refused`` with ``details`` and the code.

        Raises ``refusal`` if the authentication is no longer valid. What asks for another step is not recorded.
        """
        try:
            pair = self.start(result, context)
            if pair is None:
                raise refusal
        except Refusal as refused:
            if refused.is_final:
                details = {**details, "code": refused.code}
                with transaction():
                    audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=result.user_id, **details)
            raise
        return pair

    def _end_surplus(self, state: SessionState, context: RequestContext) -> list[UUID]:
        try:
            return self._limit.end_surplus(state.user_id, state.id, state.rotated_at, context)
        except SQLAlchemyError as error:
            # The session has started, and the next login ends the surplus.
            logger.warning("sessions beyond the maximum were not ended: SQLSTATE %s", sqlstate(error))
            return []

    def refresh(self, claims: Claims, context: RequestContext, *, is_shared: bool = False) -> TokenPair:
        """Exchange the refresh token with these verified ``claims`` for a new pair.

        A token that tabs share (``is_shared``) is returned as it is, if its own exchange was within the grace period.

        Raises ``TokenRevoked`` if the session is already over, and what ``extra_claims`` raises. If the token was
        exchanged before, and its successor has been exchanged too or is too old to be sent again, ends the session and
        raises ``RefreshTokenReused``.
        """
        now = clock.now()
        user_id, session_id = UUID(claims["sub"]), UUID(claims["sid"])
        # Before the exchange: if it fails, the client sends the same token again, and that must not look like a theft.
        extra = extra_claims(user_id, session_id)
        # The statement may run twice. The second run then counts as a repeated exchange, and returns the same
        # successor.
        row = self._fast_path.write(
            ROTATE,
            {
                "user_id": user_id,
                "session_id": session_id,
                "presented": claims["jti"],
                "successor": identifiers.unguessable(),
                "now": now,
                "is_shared": is_shared,
                "grace_from": now - self._grace,
                "retry_from": now - self._retry,
                "refresh_expires_at": now + self._refresh_ttl,
                **audit.audit_params(context),
            },
        )
        if row is None:
            raise TokenRevoked
        audit.count(EventType.SESSION_REFRESHED if row.ended_at is None else EventType.REFRESH_TOKEN_REUSED)
        if row.ended_at is not None:
            logger.warning("refresh token reused: ended session %s of user %s", session_id, user_id)
            reason = EndReason.REFRESH_TOKEN_REUSED
            self._hooks.send_session_ended(user_id, reason, context=context, session_id=session_id)
            raise RefreshTokenReused
        state = SessionState(
            user_id=user_id,
            id=session_id,
            refresh_jti=row.refresh_jti,
            rotated_at=row.rotated_at,
            refresh_expires_at=row.refresh_expires_at,
            expires_at=row.expires_at,
            amr=row.amr,
            auth_time=row.auth_time,
        )
        return self._pairs.issue(state, fresh=False, extra=extra)

    def log_out(self, claims: Claims, scope: LogoutScope, context: RequestContext) -> None:
        """End the sessions that ``scope`` selects, for the user of the token with these verified ``claims``.

        Every token of an ended session is refused from the next request on. Logging out again, or in two requests at
        once, is not an error.
        """
        token = AccessToken(UUID(claims["jti"]), datetime.fromtimestamp(claims["exp"], UTC))
        user_id, session_id, now = UUID(claims["sub"]), UUID(claims["sid"]), clock.now()
        if scope is LogoutScope.LOCAL:
            if revocation.log_out(self._fast_path, user_id, session_id, token, now, context):
                self._hooks.send_session_ended(user_id, EndReason.LOGOUT, context=context, session_id=session_id)
            return
        with transaction():
            if scope is LogoutScope.OTHERS:
                ended = revocation.end_all(user_id, EndReason.LOGOUT, now, keep=session_id)
            else:
                ended = revocation.end_all(user_id, EndReason.LOGOUT, now, access_token=token)
            if ended:
                _record_end(user_id, EndReason.LOGOUT, context, session_id=session_id, scope=scope, sessions=ended)
        if ended:
            self._hooks.send_session_ended(user_id, EndReason.LOGOUT, context=context)

    def list_live(self, user_id: UUID, limit: int, cursor: str | None = None) -> Page[Session]:
        """Return a page of the user's live sessions, most recently used first.

        A page may be short or empty although it has a cursor to the next one: rows of sessions that have expired, or
        that a cutoff has ended, are read and left out. Raises ``ValidationFailed`` for a cursor that is not from this
        list.
        """
        rows = select(Session).where(is_unended())
        unended = IndexRange(rows=rows, fixed={Session.user_id: user_id}, order=(Session.last_used_at, Session.id))
        listing = Listing("sessions", {"user_id": user_id}, {"last_used_at": datetime, "id": UUID})
        page = self._pages.page(listing, [unended], limit, cursor)
        cutoff = db.session.scalar(select(User.sessions_valid_from).where(User.id == user_id))
        now = clock.now()
        live = [session for session in page.items if cutoff is not None and session.is_live_at(now, cutoff)]
        return Page(live, page.next_cursor)

    def end(self, user_id: UUID, session_id: UUID, context: RequestContext) -> None:
        """End one of the user's sessions. Raises ``ResourceNotFound`` if it is another user's or already over."""
        with transaction():
            if not revocation.end_one(user_id, session_id, EndReason.REVOKED, clock.now()):
                raise ResourceNotFound
            _record_end(user_id, EndReason.REVOKED, context, session_id=session_id)
        self._hooks.send_session_ended(user_id, EndReason.REVOKED, context=context, session_id=session_id)

    def _new_state(self, result: AuthenticationResult) -> SessionState:
        now = clock.now()
        expires_at = now + self._session_ttl
        return SessionState(
            user_id=result.user_id,
            id=identifiers.time_ordered(),
            refresh_jti=identifiers.unguessable(),
            rotated_at=now,
            refresh_expires_at=min(now + self._refresh_ttl, expires_at),
            expires_at=expires_at,
            amr=list(result.amr),
            auth_time=result.auth_time,
        )


def _record_end(user_id: UUID, reason: str, context: RequestContext, session_id: UUID, **details: Any) -> None:
    details = {"reason": reason, **details}
    owner = {"subject_id": user_id, "actor_id": user_id, "session_id": session_id}
    audit.record(EventType.SESSION_ENDED, context=context, **owner, **details)
