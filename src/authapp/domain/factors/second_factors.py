"""The second factor of a login, and of a step-up.

Any first factor passes through ``Sessions.start``, whose hook asks here: no route that hands out tokens can forget it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authapp import clock
from authapp.config import RateLimit
from authapp.context import MULTI_FACTOR, Principal, RequestContext
from authapp.database.session import transaction
from authapp.domain import audit, hooks
from authapp.domain.audit import EventType
from authapp.domain.factors import pending_logins
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.kinds import FactorAttempt, Prover, second_steps
from authapp.domain.factors.pending_logins import PendingLoginState
from authapp.domain.passwords.verifier import PasswordVerifier
from authapp.domain.rate_limits import RateLimits
from authapp.domain.sessions.authentication import AuthenticationResult
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.domain.throttle_scopes import SECOND_FACTOR
from authapp.domain.throttles import Throttles
from authapp.domain.users.rows import lock_account
from authapp.errors import (
    ChallengeInvalid,
    SecondFactorInvalid,
    SecondFactorRequired,
    StepUpRequired,
    TooManyRequests,
)

SENT_CODES = RateLimit(amount=20, seconds=3600)
"""How many codes an account may be sent, of all kinds together."""


@dataclass(frozen=True)
class FactorProof:
    """A proof of a factor in a step-up: a code as it was typed, or the answer of an authenticator.

    ``factor`` is of which kind it is. A client need not say so for a code.
    """

    proof: Any
    factor: str | None = None


class SecondFactors:
    """The use cases of second factors."""

    def __init__(
        self,
        provers: Mapping[str, Prover],
        verifier: PasswordVerifier,
        sessions: Sessions,
        throttles: Throttles,
        option_limits: RateLimits,
    ) -> None:
        """Take the provers of the registered kinds by name. What cannot be proven now has none."""
        self._option_limits = option_limits
        self._provers = provers
        self._verifier = verifier
        self._sessions = sessions
        self._throttles = throttles

    def connect(self, app: object) -> None:
        """Require the second factor of every session of ``app``, and of every request with HTTP Basic.

        The hook refers to this object weakly: keep a reference.
        """
        hooks.before_session_start.connect(self._require, sender=app)

    @hooks.may_refuse(SecondFactorRequired)
    def _require(self, _app: object, *, result: AuthenticationResult, **_: object) -> None:
        if MULTI_FACTOR in result.amr:
            return
        accepted = factors_of(result.user_id).accepted_factors(beside=result.factor)
        if not accepted:
            return
        if not result.starts_session:
            raise SecondFactorRequired
        names = [name for name in accepted if name in self._provers]
        seconds = int(pending_logins.LIFETIME.total_seconds())
        raise SecondFactorRequired(challenge=pending_logins.issue(result), factors=names, expires_in=seconds)

    def options(self, token: str, factor: str) -> dict[str, Any]:
        """Return what an authenticator is asked with to complete the login that waits with ``token``.

        Raises ``ChallengeInvalid``, also if none of the codes that a login may try would be left for one that is sent;
        ``SecondFactorInvalid`` for a factor that the account lacks, or that has no such options; ``TooManyRequests``
        after ``SENT_CODES`` for one account.
        """
        login = _pending_login(token)
        options = self._options(login.user_id, factor, login.factor)
        if second_steps()[factor].codes:
            _count_options(login)
        self._charge(login.user_id, factor)
        return options(login.user_id, login.token_hash)

    def step_up_options(self, user_id: UUID, factor: str, context: RequestContext) -> dict[str, Any]:
        """Return the same for a step-up of the session of ``context``.

        Raises ``SecondFactorInvalid`` and ``TooManyRequests``, as above.
        """
        options = self._options(user_id, factor)
        self._charge(user_id, factor)
        return options(user_id, _bytes_of_session(context))

    def _charge(self, user_id: UUID, factor: str) -> None:
        """Count that a code was asked for. Raises ``TooManyRequests``.

        By account, over all logins, sessions and kinds: whoever knows the password can begin any number of logins.
        """
        if second_steps()[factor].codes:
            self._option_limits.charge_key("factor_options", str(user_id))

    def _options(
        self, user_id: UUID, factor: str, beside: str | None = None
    ) -> Callable[[UUID, bytes], dict[str, Any]]:
        options = self._accepted(user_id, factor, beside).options
        if options is None:
            raise SecondFactorInvalid
        return options

    def log_in(self, token: str, factor: str, proof: Any, context: RequestContext) -> TokenPair:
        """Start the session of the login that waits with ``token``, and return its tokens.

        ``proof`` is a code, or the answer of an authenticator. The latter cannot be guessed, so that no failures are
        counted.

        Raises ``ChallengeInvalid``, ``SecondFactorInvalid``, what a hook raises, or ``TooManyRequests`` after too many
        wrong codes, over all logins and step-ups of the account.
        """
        login = _pending_login(token)
        prover = self._accepted(login.user_id, factor, login.factor)
        attempt = FactorAttempt(login.user_id, proof, login.token_hash)
        with self._counted(login.user_id, factor) as is_counted, transaction():
            _lock(login)
            amr = prover.prove(attempt, context)
            if amr:
                pending_logins.consume(login)
                # Here, and not as the session starts: a right code is no guess, whatever refuses the login afterwards.
                self._throttles.reset_failures(login.user_id, SECOND_FACTOR)
            elif is_counted:
                pending_logins.count_failure(login)
                _record_refusal(login.user_id, factor, context)
        if not amr:
            raise SecondFactorInvalid
        return self._start(login, factor, amr, context)

    def _accepted(self, user_id: UUID, factor: str, beside: str | None = None) -> Prover:
        """Return the prover of a kind that the account has as a second step. Raises ``SecondFactorInvalid``.

        The kind ``beside``, which began the login, is none.

        Recovery codes alone are none: they replace a factor.
        """
        if factor not in self._provers or factor not in factors_of(user_id).accepted_factors(beside=beside):
            raise SecondFactorInvalid
        return self._provers[factor]

    def _start(self, login: PendingLoginState, factor: str, amr: tuple[str, ...], context: RequestContext) -> TokenPair:
        result = AuthenticationResult(
            login.user_id,
            tuple(dict.fromkeys((*login.amr, *_combined(login.amr, amr)))),
            auth_time=clock.now(),
            account_version=login.account_version,
        )
        return self._sessions.start_or_record(result, context, ChallengeInvalid(), factor=factor)

    def reauthenticate_by_password(self, user_id: UUID, password: str, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user of a live session by the password. Raises what ``PasswordVerifier`` raises.

        Raises ``StepUpRequired`` if the account has a second factor: a stolen session and the password would be enough
        to remove it.
        """
        if factors_of(user_id).second_factors:
            raise StepUpRequired(acr_values=MULTI_FACTOR)
        return self._verifier.reauthenticate(user_id, password, context)

    def reauthenticate(self, user_id: UUID, answer: FactorProof, context: RequestContext) -> AuthenticationResult:
        """Authenticate the user of a live session by a proof of any kind, such as a recovery code.

        Raises ``SecondFactorInvalid``, or ``TooManyRequests`` as above.
        """
        factor = answer.factor or self._kind_of_code(user_id, answer.proof)
        # Before it is counted: a thief of a session could lock a factor before its owner adds it.
        prover = self._accepted(user_id, factor)
        attempt = FactorAttempt(user_id, answer.proof, _bytes_of_session(context))
        with self._counted(user_id, factor) as is_counted, transaction():
            user = lock_account(user_id)
            amr = prover.prove(attempt, context)
            if amr:
                self._throttles.reset_failures(user_id, SECOND_FACTOR)
            elif is_counted:
                _record_refusal(user_id, factor, context)
        if not amr:
            raise SecondFactorInvalid
        return AuthenticationResult(
            user_id,
            _combined(_methods_of_session(context), amr),
            auth_time=clock.now(),
            account_version=user.updated_at,
        )

    def _kind_of_code(self, user_id: UUID, code: str) -> str:
        """Return the first kind of the account whose form a code has; see ``CodeRules.fits``.

        Raises ``SecondFactorInvalid``.
        """
        accepted, steps = factors_of(user_id).accepted_factors(), second_steps()
        rules = [(name, steps[name].codes) for name in accepted if name in self._provers]
        forms = [(name, codes.fits) for name, codes in rules if codes]
        for name, fits in sorted(forms, key=lambda form: form[1] is None):
            if fits is None or fits(code):
                return name
        raise SecondFactorInvalid

    @contextmanager
    def _counted(self, user_id: UUID, factor: str) -> Iterator[bool]:
        """Count an attempt at a code before it is compared; yield ``False`` for a factor that has none.

        A code that cannot be guessed opens an account whose codes are locked. Its failures are counted all the same.

        Raises ``TooManyRequests``.
        """
        codes = second_steps()[factor].codes
        if codes is None:
            yield False
            return
        attempt = None
        try:
            attempt = self._throttles.reserve(user_id, SECOND_FACTOR)
        except TooManyRequests:
            if codes.is_guessable:
                raise
        try:
            yield True
        except SecondFactorInvalid:
            raise
        except Exception:
            # Nobody was told that the code is wrong: the database failed, say, or a deadline has passed.
            if attempt is not None:
                self._throttles.release(user_id, SECOND_FACTOR, attempt)
            raise


def _combined(before: Collection[str], proven: tuple[str, ...]) -> tuple[str, ...]:
    """Return the methods that a second step has proven, with ``mfa`` if another was proven ``before``.

    A session knows methods, and no kinds. So the same method twice is one factor.
    """
    return (*proven, MULTI_FACTOR) if set(before) - {*proven, MULTI_FACTOR} else proven


def _methods_of_session(context: RequestContext) -> tuple[str, ...]:
    return tuple(context.principal.amr) if isinstance(context.principal, Principal) else ()


def _bytes_of_session(context: RequestContext) -> bytes:
    return context.session_id.bytes if context.session_id else b""


def _pending_login(token: str) -> PendingLoginState:
    login = pending_logins.find(token)
    if login is None:
        raise ChallengeInvalid
    return login


def _lock(login: PendingLoginState) -> None:
    if not pending_logins.lock(login):
        raise ChallengeInvalid


def _count_options(login: PendingLoginState) -> None:
    # Each may send a code: whoever knows the password alone could flood the owner, at the cost of the service.
    with transaction():
        _lock(login)
        if not pending_logins.count_options(login):
            raise ChallengeInvalid


def _record_refusal(user_id: UUID, factor: str, context: RequestContext) -> None:
    audit.record(EventType.SECOND_FACTOR_REFUSED, context=context, subject_id=user_id, factor=factor)
