"""Logging in with a passkey, without a username or a password; and stepping up with one."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from authapp import clock
from authapp.context import RequestContext
from authapp.database.session import db, transaction
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.kinds import PASSKEY
from authapp.domain.factors.passkey_challenges import ChallengePurpose, PasskeyAnswer
from authapp.domain.factors.passkey_proofs import PasskeyProofs, VerifiedAnswer
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import PasskeyInvalid
from authapp.models import User
from authapp.security.passkey_responses import ResponseRefused, user_handle_of


class PasskeyLogin:
    """The use cases of passkeys that authenticate by themselves."""

    def __init__(self, proofs: PasskeyProofs, sessions: Sessions) -> None:
        self._proofs = proofs
        self._sessions = sessions

    def options(self) -> dict[str, Any]:
        """Return what a guest's page passes to the authenticator."""
        return self._proofs.login_options()

    def log_in(self, answer: PasskeyAnswer, context: RequestContext) -> TokenPair:
        """Start a session for the user whose passkey has answered, and return its tokens.

        The challenge is consumed before the session starts, also if a ``before_session_start`` hook then refuses.

        Raises ``PasskeyInvalid``, or what a hook raises.
        """
        result = self._authenticate(answer, context)
        return self._sessions.start_or_record(result, context, PasskeyInvalid(), factor=PASSKEY)

    def reauthenticate(self, user_id: UUID, answer: PasskeyAnswer, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user of a live session again, with a passkey of their own. Raises ``PasskeyInvalid``."""
        with transaction():
            amr = self._proofs.prove(user_id, answer, ChallengePurpose.LOGIN, b"", context)
            version = _version_of(user_id)
        if not amr or version is None:
            raise PasskeyInvalid
        return AuthenticationResult(user_id, amr, auth_time=clock.now(), account_version=version, factor=PASSKEY)

    def _authenticate(self, answer: PasskeyAnswer, context: RequestContext) -> AuthenticationResult:
        try:
            verified = self._verify(answer)
        except ResponseRefused:
            # Of nobody: what a guest sends need not tell the truth about whose it is.
            _record_refusal(None, context)
            raise PasskeyInvalid from None
        with transaction():
            amr = self._proofs.consume(verified, context)
            version = _version_of(verified.user_id)
        if not amr or version is None:
            _record_refusal(verified.user_id, context)
            raise PasskeyInvalid
        return AuthenticationResult(
            verified.user_id, amr, auth_time=clock.now(), account_version=version, factor=PASSKEY
        )

    def _verify(self, answer: PasskeyAnswer) -> VerifiedAnswer:
        handle = user_handle_of(answer.credential)
        if handle is None or len(handle) != len(UUID(int=0).bytes):
            raise ResponseRefused("the passkey does not say whose it is")
        return self._proofs.verify(UUID(bytes=handle), answer, ChallengePurpose.LOGIN, b"")


def _version_of(user_id: UUID) -> Any:
    return db.session.scalar(select(User.updated_at).where(User.id == user_id))


def _record_refusal(user_id: UUID | None, context: RequestContext) -> None:
    with transaction():
        audit.record(EventType.LOGIN_REFUSED, context=context, subject_id=user_id, factor=PASSKEY)
