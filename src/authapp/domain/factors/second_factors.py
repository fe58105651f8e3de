"""The second factor of a login.

Any first factor passes through ``Sessions.start``, whose hook asks here: no route that hands out tokens can forget it.
"""

from typing import Any

from authapp import clock
from authapp.context import MULTI_FACTOR, RequestContext
from authapp.database.session import transaction
from authapp.domain import hooks
from authapp.domain.factors import pending_logins
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.factor_attempts import FactorAttempts, combined
from authapp.domain.factors.kinds import FactorAttempt, second_steps
from authapp.domain.factors.pending_logins import PendingLoginState
from authapp.domain.sessions.authentication import AuthenticationResult, merged_methods
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.sessions.token_pairs import TokenPair
from authapp.errors import ChallengeInvalid, SecondFactorInvalid, SecondFactorRequired


class SecondFactors:
    """The use cases of the second factor of a login."""

    def __init__(self, attempts: FactorAttempts, sessions: Sessions) -> None:
        self._attempts = attempts
        self._sessions = sessions

    def connect(self, app: object) -> None:
        """Require the second factor of every session of ``app``, and of every request with HTTP Basic.

        The hook refers to this object weakly: keep a reference.
        """
        hooks.before_session_start.connect(self._require, sender=app)

    @hooks.may_refuse(SecondFactorRequired)
    def _require(self, _app: object, *, result: AuthenticationResult, **_: object) -> None:
        if MULTI_FACTOR in result.amr:
            return
        accepted = factors_of(result.user_id).accepted_factors(first_factor=result.factor)
        if not accepted:
            return
        if not result.starts_session:
            raise SecondFactorRequired
        names = self._attempts.provable(accepted)
        seconds = int(pending_logins.LIFETIME.total_seconds())
        raise SecondFactorRequired(challenge=pending_logins.issue(result), factors=names, expires_in=seconds)

    def options(self, token: str, factor: str) -> dict[str, Any]:
        """Return what an authenticator is asked with to complete the login that waits with ``token``.

        Raises ``ChallengeInvalid``, and ``SecondFactorInvalid`` for a factor that the account lacks, or that has no
        such options.
        """
        login = _pending_login(token)
        self._attempts.require_accepted(login.user_id, factor, first_factor=login.factor)
        return self._attempts.options(login.user_id, factor, login.token_hash)

    def log_in(self, token: str, factor: str, answer: Any, context: RequestContext) -> TokenPair:
        """Start the session of the login that waits with ``token``, and return its tokens.

        ``answer`` is a code, or what an authenticator answered. The latter cannot be guessed, so that no failures are
        counted.

        Raises ``ChallengeInvalid``, ``SecondFactorInvalid``, what a hook raises, or ``TooManyRequests`` after too many
        wrong codes, over all logins and step-ups of the account.
        """
        login = _pending_login(token)
        self._attempts.require_accepted(login.user_id, factor, first_factor=login.factor)
        attempt = FactorAttempt(login.user_id, answer, login.token_hash)
        with self._attempts.counted(login.user_id, factor), transaction():
            if not pending_logins.lock(login):
                raise ChallengeInvalid
            amr = self._attempts.prove(factor, attempt, context)
            if amr:
                pending_logins.use(login)
            elif second_steps()[factor].codes:
                pending_logins.count_failure(login)
        if not amr:
            raise SecondFactorInvalid
        return self._start(login, factor, amr, context)

    def _start(self, login: PendingLoginState, factor: str, amr: tuple[str, ...], context: RequestContext) -> TokenPair:
        # A kind is not accepted after itself, so these are two, also where both prove the same method.
        proven = (*amr, MULTI_FACTOR) if login.factor else combined(login.amr, amr)
        result = AuthenticationResult(
            login.user_id,
            tuple(merged_methods(login.amr, proven)),
            auth_time=clock.now(),
            account_version=login.account_version,
        )
        return self._sessions.start_or_record(result, context, ChallengeInvalid(), factor=factor)


def _pending_login(token: str) -> PendingLoginState:
    login = pending_logins.find(token)
    if login is None:
        raise ChallengeInvalid
    return login
