"""Logging in with a passkey, without a username or a password."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import PASSKEY
from authapp.domain.factors.passkey_assertions import PasskeyAssertion, PasskeyAssertions
from authapp.domain.factors.passkey_challenges import ChallengePurpose, PasskeyAnswer
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import PasskeyInvalid
from authapp.models import User
from authapp.security.passkey_responses import ResponseRefused, user_handle_of


class PasskeyLogin:
    """The use cases of a login with a passkey alone."""

    def __init__(self, assertions: PasskeyAssertions, sessions: Sessions) -> None:
        self._assertions = assertions
        self._sessions = sessions

    def options(self) -> dict[str, Any]:
        """Return what a guest's page passes to the authenticator."""
        return self._assertions.login_options()

    def log_in(self, answer: PasskeyAnswer, context: RequestContext) -> TokenPair:
        """Start a session for the user whose passkey has answered, and return its tokens.

        The challenge is used before the session starts, also if a ``before_session_start`` hook then refuses.

        Raises ``PasskeyInvalid``, or what a hook raises.
        """
        result = self._authenticate(answer, context)
        return self._sessions.start_or_record(result, context, PasskeyInvalid(), factor=PASSKEY)

    def _authenticate(self, answer: PasskeyAnswer, context: RequestContext) -> AuthenticationResult:
        try:
            verified = self._verify(answer)
        except ResponseRefused:
            # Of nobody: what a guest sends need not tell the truth about whose it is.
            _record_refusal(None, context)
            raise PasskeyInvalid from None
        with transaction():
            amr = self._assertions.use_assertion(verified, context)
            version = db.session.scalar(select(User.updated_at).where(User.id == verified.user_id))
        if not amr or version is None:
            _record_refusal(verified.user_id, context)
            raise PasskeyInvalid
        return AuthenticationResult(
            verified.user_id, amr, auth_time=clock.now(), account_version=version, factor=PASSKEY
        )

    def _verify(self, answer: PasskeyAnswer) -> PasskeyAssertion:
        handle = user_handle_of(answer.credential)
        if handle is None or len(handle) != len(UUID(int=0).bytes):
            raise ResponseRefused("the passkey does not say whose it is")
        return self._assertions.verify(UUID(bytes=handle), answer, ChallengePurpose.LOGIN, b"")


def _record_refusal(user_id: UUID | None, context: RequestContext) -> None:
    with transaction():
        audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=user_id, factor=PASSKEY)
