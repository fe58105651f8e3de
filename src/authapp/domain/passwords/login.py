"""Logging in with a password."""

from authapp.context import RequestContext
from authapp.database.session import transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import InvalidCredentials, Refusal

ATTEMPTS = 2


class PasswordLogin:
    """The use case of logging in with a password."""

    def __init__(self, verifier: PasswordVerifier, sessions: Sessions) -> None:
        self._verifier = verifier
        self._sessions = sessions

    def log_in(self, name: str, password: str, context: RequestContext) -> TokenPair:
        """Start a session for the account with this username or email address, and return its tokens.

        Raises ``InvalidCredentials``, ``TooManyRequests`` after too many failures, ``ServiceUnavailable``, or whatever
        a ``before_session_start`` hook raises.
        """
        for _ in range(ATTEMPTS):
            result = self._verifier.verify(name, password, context)
            # No session starts if the account changed meanwhile. It may only have been renamed or got a role, so the
            # password is verified once more, against the account as it is now.
            if pair := self._start(result, context):
                return pair
        with transaction():
            audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=result.user_id)
        raise InvalidCredentials

    def _start(self, result: AuthenticationResult, context: RequestContext) -> TokenPair | None:
        try:
            return self._sessions.start(result, context)
        except Refusal as refusal:
            # The password was right, so this is no failed attempt at it.
            self._verifier.forgive_login(result.user_id)
            with transaction():
                audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=result.user_id, code=refusal.code)
            raise
