"""Logging in with a passkey, without a username or a password."""

from typing import Any

from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import PASSKEY
from authapp.domain.factors.passkey_assertions import PasskeyAssertions
from authapp.domain.factors.passkey_challenges import PasskeyAnswer
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import PasskeyInvalid


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
        verified = self._assertions.verify_login(None, answer)
        with transaction():
            result = self._assertions.authenticate(verified, context) if verified else None
            if result is None:
                # Of nobody, unless it was verified: what a guest sends may lie about whose it is.
                subject_id = verified.user_id if verified else None
                audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=subject_id, factor=PASSKEY)
        if result is None:
            raise PasskeyInvalid
        return result
