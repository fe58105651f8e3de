"""The methods of a step-up: how the user of a live session is authenticated again."""

from functools import partial
from typing import Any
from uuid import UUID

from authapp import clock
from authapp.context import MULTI_FACTOR, Principal, RequestContext
from authapp.database.session import transaction
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.factor_attempts import FactorAttempts, combined, record_refusal
from authapp.domain.factors.kinds import ANY_CODE, PASSKEY, FactorAttempt, second_steps
from authapp.domain.factors.passkey_assertions import PasskeyAssertions
from authapp.domain.factors.passkey_challenges import PasskeyAnswer
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.step_ups import StepUpMethod
from authapp.domain.users.rows import lock_account
from authapp.errors import PasskeyInvalid, SecondFactorInvalid, StepUpRequired


class StepUpMethods:
    """The methods by which a session is stepped up in one application."""

    def __init__(self, attempts: FactorAttempts, verifier: PasswordVerifier, assertions: PasskeyAssertions) -> None:
        self._attempts = attempts
        self._verifier = verifier
        self._assertions = assertions

    def by_name(self) -> dict[str, StepUpMethod]:
        """Return the methods by their names: those of kinds with a second step, and ``password`` and ``code``.

        The ``passkey`` takes a challenge for a login. The ``code`` may be of any kind.
        """
        by_factor = {name: partial(self.authenticate_by_factor, name) for name in second_steps() if name != PASSKEY}
        return {
            **by_factor,
            "password": self.authenticate_by_password,
            ANY_CODE: self.authenticate_by_code,
            PASSKEY: self.authenticate_by_passkey,
        }

    def authenticate_by_password(self, user_id: UUID, password: str, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user by the password. Raises what ``PasswordVerifier`` raises.

        Raises ``StepUpRequired`` if the account has a second factor: a stolen session and the password would be enough
        to remove it.
        """
        if factors_of(user_id).second_factors:
            raise StepUpRequired(acr_values=MULTI_FACTOR)
        return self._verifier.reauthenticate(user_id, password, context)

    def authenticate_by_passkey(
        self, user_id: UUID, answer: PasskeyAnswer, context: RequestContext
    ) -> AuthenticationResult:
        """Authenticate the user by a passkey of their own. Raises ``PasskeyInvalid``."""
        verified = self._assertions.verify_login(user_id, answer)
        with transaction():
            result = self._assertions.authenticate(verified, context) if verified else None
            if result is None:
                record_refusal(user_id, PASSKEY, context)
        if result is None:
            raise PasskeyInvalid
        return result

    def authenticate_by_code(self, user_id: UUID, code: str, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user by a code of the kind whose form it has. Raises as ``authenticate_by_factor`` does."""
        return self.authenticate_by_factor(self._kind_of_code(user_id, code), user_id, code, context)

    def authenticate_by_factor(
        self, factor: str, user_id: UUID, answer: Any, context: RequestContext
    ) -> AuthenticationResult:
        """Authenticate the user by a code, or by what an authenticator answered, of this kind.

        Raises ``SecondFactorInvalid``, or ``TooManyRequests`` after too many wrong codes, over all logins and step-ups
        of the account.
        """
        # Before it is counted: a thief of a session could lock a factor before its owner adds it.
        self._attempts.require_accepted(user_id, factor)
        attempt = FactorAttempt(user_id, answer, context.session_id.bytes if context.session_id else b"")
        with self._attempts.counted(user_id, factor), transaction():
            user = lock_account(user_id)
            amr = self._attempts.prove(factor, attempt, context)
        if not amr:
            raise SecondFactorInvalid
        before = context.principal.amr if isinstance(context.principal, Principal) else ()
        return AuthenticationResult(
            user_id, combined(before, amr), auth_time=clock.now(), account_version=user.updated_at
        )

    def _kind_of_code(self, user_id: UUID, code: str) -> str:
        """Return the first kind of the account whose form a code has; see ``CodeRules.fits``.

        Raises ``SecondFactorInvalid``.
        """
        steps = second_steps()
        rules = [(name, steps[name].codes) for name in self._attempts.accepted(user_id)]
        forms = [(name, codes.fits) for name, codes in rules if codes]
        for name, fits in sorted(forms, key=lambda form: form[1] is None):
            if fits is None or fits(code):
                return name
        raise SecondFactorInvalid
