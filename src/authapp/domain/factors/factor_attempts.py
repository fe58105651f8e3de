"""Attempts at a second factor, in a login and in a step-up: which are accepted, and how wrong codes are counted."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from authapp.context import MULTI_FACTOR, RequestContext
from authapp.domain import audit
from authapp.domain.audit import EventType
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.factors.kinds import FactorAttempt, Prover, second_steps
from authapp.domain.throttle_scopes import SECOND_FACTOR
from authapp.domain.throttles import Throttles
from authapp.errors import SecondFactorInvalid, TooManyRequests


class FactorAttempts:
    """The attempts at second factors in one application."""

    def __init__(self, provers: Mapping[str, Prover], throttles: Throttles) -> None:
        """Take the provers of the registered kinds by name. What cannot be proven now has none."""
        self._provers = provers
        self._throttles = throttles

    def accepted(self, user_id: UUID, *, first_factor: str | None = None) -> list[str]:
        """Return the names of the kinds that the account can prove as a second step now, none of them ``first_factor``.

        There are none if the account has recovery codes alone: they replace a factor, and do not count as one.
        """
        return self.provable(factors_of(user_id).accepted_factors(first_factor=first_factor))

    def provable(self, factors: Iterable[str]) -> list[str]:
        """Return those of these kinds that can be proven now."""
        return [name for name in factors if name in self._provers]

    def require_accepted(self, user_id: UUID, factor: str, *, first_factor: str | None = None) -> None:
        """Raise ``SecondFactorInvalid`` for a kind that ``accepted`` does not return."""
        if factor not in self.accepted(user_id, first_factor=first_factor):
            raise SecondFactorInvalid

    def options(self, user_id: UUID, factor: str, bound_to: bytes) -> dict[str, Any]:
        """Return what an authenticator of an accepted kind is asked with; see ``Prover``.

        Raises ``SecondFactorInvalid`` for a kind that has no such options.
        """
        options = self._provers[factor].options
        if options is None:
            raise SecondFactorInvalid
        return options(user_id, bound_to)

    @contextmanager
    def counted(self, user_id: UUID, factor: str) -> Iterator[None]:
        """Count an attempt at a code before it is compared. What an authenticator answers cannot be guessed.

        A code that cannot be guessed opens an account whose codes are locked; only then, its failures are not counted.

        Raises ``TooManyRequests``.
        """
        codes = second_steps()[factor].codes
        if codes is None:
            yield
            return
        attempt = None
        try:
            attempt = self._throttles.reserve(user_id, SECOND_FACTOR)
        except TooManyRequests:
            if codes.is_guessable:
                raise
        try:
            yield
        except Exception:
            # Nobody was told that the code is wrong: the database failed, say, or a deadline has passed.
            if attempt is not None:
                self._throttles.release(user_id, SECOND_FACTOR, attempt)
            raise

    def prove(self, factor: str, attempt: FactorAttempt, context: RequestContext) -> tuple[str, ...]:
        """Return the methods (``amr``) that an attempt proves, within the open transaction; none if it is wrong.

        A right one resets the count, and a refused one is recorded, so commit also then.
        """
        try:
            amr = self._provers[factor].prove(attempt, context)
        except SecondFactorInvalid:
            # A prover of another package that says so has refused a guess, which must not be for free.
            amr = ()
        if amr:
            # Here, and not as the session starts: a right code is no guess, whatever refuses the login afterwards.
            self._throttles.reset_failures(attempt.user_id, SECOND_FACTOR)
        else:
            record_refusal(attempt.user_id, factor, context)
        return amr


def record_refusal(user_id: UUID, factor: str, context: RequestContext) -> None:
    """Record within the open transaction that an attempt at a factor was refused."""
    audit.record(EventType.SECOND_FACTOR_REFUSED, context=context, subject_id=user_id, factor=factor)


def combined(before: Collection[str], proven: tuple[str, ...]) -> tuple[str, ...]:
    """Return the methods that a second step has proven, with ``mfa`` if another was proven ``before``.

    A session knows methods, and no kinds. So the same method twice is one factor.
    """
    return (*proven, MULTI_FACTOR) if set(before) - {*proven, MULTI_FACTOR} else proven
