"""Step-up: the user of a live session is authenticated again (RFC 9470)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.sessions import revocation
from authapp.domain.sessions.authentication import AuthenticationResult, merged_methods
from authapp.domain.sessions.revocation import AccessToken
from authapp.domain.sessions.token_claims import extra_claims
from authapp.domain.sessions.token_pairs import PairIssuer, SessionState, TokenPair
from authapp.errors import SecondFactorInvalid, StepUpRequired, TokenRevoked
from authapp.models import Session, User, UserStatus
from authapp.security import identifiers
from authapp.security.tokens import Claims, Tokens

StepUpMethod = Callable[[UUID, Any, RequestContext], AuthenticationResult]
"""Takes the user's id and what the client answered, and returns the result for that user, or refuses."""


class StepUps:
    """The use case of authenticating again."""

    def __init__(self, tokens: Tokens, methods: Mapping[str, StepUpMethod], *, refresh_grace: int) -> None:
        """Take the methods by their names, and for how many seconds a shared refresh token is not exchanged anew."""
        self._pairs = PairIssuer(tokens)
        self._refresh_ttl = timedelta(seconds=tokens.rules.refresh_ttl)
        self._grace = timedelta(seconds=refresh_grace)
        self._methods = methods

    def step_up(
        self, method: str, answer: Any, claims: Claims, context: RequestContext, *, is_shared: bool = False
    ) -> TokenPair:
        """Authenticate the user of the access token with these verified ``claims`` again, by ``method``.

        Returns a new pair of the same session. The access token is revoked. The refresh token becomes the predecessor
        of the new one, as after a refresh: who did not get the answer refreshes, and gets the same successor. One that
        tabs share (``is_shared``) is kept, as by a refresh, if its own exchange was within the grace period.

        Raises what the method raises, and what ``extra_claims`` raises; ``SecondFactorInvalid`` if there is no such
        method; ``TokenRevoked`` if the session has ended, or the access token was revoked or used for another step-up
        meanwhile; ``StepUpRequired`` if the account has changed meanwhile.
        """
        user_id, session_id, began = UUID(claims["sub"]), UUID(claims["sid"]), clock.now()
        authenticate = self._methods.get(method)
        if authenticate is None:
            # Of a kind of factor that was registered after the application was made, which can prove it as little.
            raise SecondFactorInvalid
        result = authenticate(user_id, answer, context)
        # Before the exchange: if it fails, the client still has its tokens.
        extra = extra_claims(user_id, session_id)
        token = AccessToken(UUID(claims["jti"]), datetime.fromtimestamp(claims["exp"], UTC))
        with transaction():
            session = _lock_live(result, session_id)
            state = self._renew(session, result, began, is_shared=is_shared)
            # After the session is locked, in the order of a logout.
            if not revocation.revoke_access_token(user_id, session_id, token, clock.now()):
                raise TokenRevoked
            audit.record(EventType.SESSION_STEPPED_UP, context=context, subject_id=user_id, amr=list(result.amr))
        return self._pairs.issue(state, fresh=True, extra=extra)

    def _renew(
        self, session: Session, result: AuthenticationResult, began: datetime, *, is_shared: bool
    ) -> SessionState:
        """Give a locked session the result and, unless it has one already, a new refresh token."""
        session.last_used_at = now = clock.now()
        # A refresh since ``began`` has replaced the token already. With one more, its client would hold a predecessor,
        # and look like a thief as soon as the client of the step-up refreshes.
        # A request of another tab with the token before may be on its way for as long as the grace period.
        is_kept = is_shared and session.was_exchanged_after(now - self._grace)
        if session.rotated_at <= began and not is_kept:
            session.previous_refresh_jti, session.refresh_jti = session.refresh_jti, identifiers.unguessable()
            session.rotated_at = now
            session.refresh_expires_at = min(now + self._refresh_ttl, session.expires_at)
        session.amr = merged_methods(session.amr, result.amr)
        session.auth_time = result.auth_time
        return SessionState(
            user_id=session.user_id,
            id=session.id,
            refresh_jti=session.refresh_jti,
            rotated_at=session.rotated_at,
            refresh_expires_at=session.refresh_expires_at,
            expires_at=session.expires_at,
            amr=session.amr,
            auth_time=result.auth_time,
        )


def _lock_live(result: AuthenticationResult, session_id: UUID) -> Session:
    """Lock and return this session of the user in ``result``, within the open transaction.

    Raises ``TokenRevoked`` if it has ended or is another user's, and ``StepUpRequired`` if the account has changed.
    """
    # The account before the session, as by all that ends sessions. It is locked too, so that a new password either is
    # seen here or waits.
    columns = (User.status, User.updated_at, User.sessions_valid_from)
    account = db.session.execute(select(*columns).where(User.id == result.user_id).with_for_update(read=True)).first()
    which = (Session.user_id == result.user_id, Session.id == session_id)
    locked = select(Session).where(*which).with_for_update(key_share=True)
    session = db.session.scalars(locked.execution_options(populate_existing=True)).one_or_none()
    if account is None or account.status != UserStatus.ACTIVE or session is None:
        raise TokenRevoked
    if not session.is_live_at(clock.now(), account.sessions_valid_from):
        raise TokenRevoked
    if account.updated_at != result.account_version:
        raise StepUpRequired("The account was changed at the same moment: send the request again.")
    return session
