"""Logging in with a password, and proving a single request with one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from authapp.context import Principal, RequestContext
from authapp.database.session import transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.hooks import Hooks
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.principals.principals import Principals
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import InvalidCredentials, Refusal

ATTEMPTS = 2


class PasswordLogin:
    """The use case of logging in with a password."""

    def __init__(self, verifier: PasswordVerifier, sessions: Sessions, principals: Principals, hooks: Hooks) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._principals = principals
        self._hooks = hooks

    def log_in(self, name: str, password: str, context: RequestContext) -> TokenPair:
        """Start a session for the account with this username or email address, and return its tokens.

        Raises ``InvalidCredentials``, ``TooManyRequests`` after too many failures, ``ServiceUnavailable``, or whatever
        a ``before_session_start`` hook raises.
        """
        for _ in range(ATTEMPTS):
            result = self._verifier.verify(name, password, context, release=False)
            # No session starts if the account changed meanwhile. It may only have been renamed or got a role, so the
            # password is verified once more, against the account as it is now.
            with self._recorded_refusal(result, context):
                if pair := self._sessions.start(result, context):
                    return pair
        raise self._refusal(result, context)

    def authenticate(self, name: str, password: str, context: RequestContext) -> Principal:
        """Return the principal of this account, for one request and without a session.

        The password is counted and limited as at a login, but success resets no failures: a client that sends its
        password with each request would reset those of somebody who guesses meanwhile. What a hook refuses at the start
        of a session, such as an account with a second factor, is refused here. Success leaves no audit event.

        Raises ``InvalidCredentials``, ``TooManyRequests``, ``ServiceUnavailable``, or what a hook raises.
        """
        result = replace(self._verifier.verify(name, password, context, release=True), starts_session=False)
        with self._recorded_refusal(result, context):
            self._hooks.send_before(hooks.before_session_start, context=context, result=result)
        principal = self._principals.of_account(
            result.user_id, result.account_version, amr=list(result.amr), auth_time=result.auth_time
        )
        if principal is None:
            raise self._refusal(result, context)
        return principal

    @contextmanager
    def _recorded_refusal(self, result: AuthenticationResult, context: RequestContext) -> Iterator[None]:
        """Record what a hook refuses, and forget the attempt: the password was right."""
        try:
            yield
        except Refusal as refusal:
            self._verifier.reset_failures(result)
            if refusal.is_final:
                self._record(result, context, code=refusal.code)
            raise

    def _refusal(self, result: AuthenticationResult, context: RequestContext) -> InvalidCredentials:
        self._record(result, context)
        return InvalidCredentials()

    def _record(self, result: AuthenticationResult, context: RequestContext, **details: Any) -> None:
        with transaction():
            audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=result.user_id, **details)
