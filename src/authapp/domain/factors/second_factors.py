"""The second factor of a login, and of a step-up.

Any first factor passes through ``Sessions.start``, whose hook asks here: no route that hands out tokens can forget it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from authapp import clock
from authapp.context import MULTI_FACTOR, RequestContext
from authapp.database.session import transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.factors import challenges, totp
from authapp.domain.factors.challenges import PendingLogin
from authapp.domain.factors.enrolled import PASSKEY, RECOVERY_CODE, TOTP, factors_of
from authapp.domain.factors.passkey_challenges import ChallengePurpose, PasskeyAnswer
from authapp.domain.factors.passkey_proofs import PasskeyProofs
from authapp.domain.factors.totp_enrolment import digits_of
from authapp.domain.hooks import Hooks
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.domain.throttles import SECOND_FACTOR, Throttles
from authapp.domain.users.rows import lock_account
from authapp.errors import (
    ChallengeInvalid,
    SecondFactorInvalid,
    SecondFactorRequired,
    ServiceUnavailable,
    StepUpRequired,
    TooManyRequests,
)
from authapp.security.passkey_responses import Credential

ProveCode = Callable[[UUID, str, RequestContext], tuple[str, ...]]
"""Takes the user's id and a code, and returns the methods (``amr``) that it proves; none if it is wrong.

It works within the open transaction, where the account is locked, and uses the code up.
"""


class SecondFactors:
    """The use cases of second factors."""

    def __init__(
        self,
        codes: Mapping[str, ProveCode],
        passkeys: PasskeyProofs,
        verifier: PasswordVerifier,
        sessions: Sessions,
        throttles: Throttles,
        hooks: Hooks,
    ) -> None:
        """Take the kinds of codes by the names of their factors in the API."""
        self._codes = codes
        self._passkeys = passkeys
        self._verifier = verifier
        self._sessions = sessions
        self._throttles = throttles
        self._hooks = hooks

    def connect(self, app: object) -> None:
        """Require the second factor of every session of ``app``, and of every request with HTTP Basic.

        Keep this object: a hook does not.
        """
        hooks.before_session_start.connect(self._require, sender=app)

    @hooks.may_refuse(SecondFactorRequired)
    def _require(self, _app: object, *, result: AuthenticationResult, **_: object) -> None:
        if MULTI_FACTOR in result.amr:
            return
        factors = factors_of(result.user_id)
        if not factors.second():
            return
        if not result.starts_session:
            raise SecondFactorRequired
        names = [name for name in factors.completing() if name != PASSKEY or self._passkeys.are_accepted]
        seconds = int(challenges.LIFETIME.total_seconds())
        raise SecondFactorRequired(challenge=challenges.issue(result), factors=names, expires_in=seconds)

    def passkey_options(self, challenge: str) -> dict[str, Any]:
        """Return what is passed to the authenticator to complete the login that waits with ``challenge``.

        Raises ``ChallengeInvalid``.
        """
        login = _pending_login(challenge)
        return self._passkeys.second_factor_options(login.user_id, login.challenge_hash)

    def log_in_with_code(self, challenge: str, factor: str, code: str, context: RequestContext) -> TokenPair:
        """Start the session of the login that waits with ``challenge``, and return its tokens.

        Raises ``ChallengeInvalid``, ``SecondFactorInvalid``, what a hook raises, or ``TooManyRequests`` after too many
        wrong codes, over all challenges and step-ups of the account.
        """
        login = _pending_login(challenge)
        with self._counted(login.user_id, factor), transaction():
            _lock(login)
            amr = self._codes[factor](login.user_id, code, context)
            if amr:
                challenges.use(login)
            else:
                challenges.count_failure(login)
                _record_refusal(login.user_id, factor, context)
        return self._start(login, amr, context)

    def log_in_with_passkey(self, challenge: str, credential: Credential, context: RequestContext) -> TokenPair:
        """Do the same with the answer of an authenticator. It cannot be guessed, so that no failures are counted."""
        login = _pending_login(challenge)
        answer, purpose = PasskeyAnswer(credential), ChallengePurpose.SECOND_FACTOR
        with transaction():
            _lock(login)
            amr = self._passkeys.prove(login.user_id, answer, purpose, login.challenge_hash, context)
            if amr:
                challenges.use(login)
        return self._start(login, amr, context)

    def _start(self, login: PendingLogin, amr: tuple[str, ...], context: RequestContext) -> TokenPair:
        if not amr:
            raise SecondFactorInvalid
        result = AuthenticationResult(
            login.user_id,
            tuple(dict.fromkeys((*login.amr, *amr, MULTI_FACTOR))),
            auth_time=clock.now(),
            account_version=login.account_version,
            throttle_scope=SECOND_FACTOR,
        )
        pair = self._sessions.start(result, context)
        if pair is None:
            raise ChallengeInvalid
        return pair

    def reauthenticate_by_password(self, user_id: UUID, password: str, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user of a live session by the password. Raises what ``PasswordVerifier`` raises.

        Raises ``StepUpRequired`` if the account has a second factor: a stolen session and the password would be enough
        to remove it.
        """
        if factors_of(user_id).second():
            raise StepUpRequired(acr_values=MULTI_FACTOR)
        return self._verifier.reauthenticate(user_id, password, context)

    def reauthenticate_by_code(self, user_id: UUID, code: str, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user of a live session by a code: of an app, or a recovery code.

        Raises ``SecondFactorInvalid``, or ``TooManyRequests`` as above.
        """
        factor = TOTP if _is_totp(code) else RECOVERY_CODE
        with self._counted(user_id, factor), transaction():
            user = lock_account(user_id)
            amr = self._codes[factor](user_id, code, context)
            if amr:
                self._throttles.reset(user_id, SECOND_FACTOR)
            else:
                _record_refusal(user_id, factor, context)
        if not amr:
            raise SecondFactorInvalid
        return AuthenticationResult(
            user_id, (*amr, MULTI_FACTOR), auth_time=clock.now(), account_version=user.updated_at
        )

    @contextmanager
    def _counted(self, user_id: UUID, factor: str) -> Iterator[None]:
        """Count an attempt at a code before it is compared. Raises ``TooManyRequests``, or ``SecondFactorInvalid``.

        A recovery code cannot be guessed, and opens an account whose codes are locked. Its failures are counted. What
        the account does not have is not, or a thief of a session could lock it before its owner adds it.
        """
        if factor not in factors_of(user_id).completing():
            raise SecondFactorInvalid
        attempt = None
        try:
            attempt = self._throttles.reserve(user_id, SECOND_FACTOR)
        except TooManyRequests:
            if factor != RECOVERY_CODE:
                raise
        try:
            yield
        except ServiceUnavailable:
            if attempt is not None:
                self._throttles.release(user_id, SECOND_FACTOR, attempt)
            raise


def _pending_login(challenge: str) -> PendingLogin:
    login = challenges.find(challenge)
    if login is None:
        raise ChallengeInvalid
    return login


def _lock(login: PendingLogin) -> None:
    if not challenges.lock(login):
        raise ChallengeInvalid


def _is_totp(code: str) -> bool:
    return len(digits_of(code)) <= totp.DIGITS


def _record_refusal(user_id: UUID, factor: str, context: RequestContext) -> None:
    audit.record(EventType.SECOND_FACTOR_REFUSED, context=context, subject_id=user_id, factor=factor)
