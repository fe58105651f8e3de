"""What a view may require of the principal, besides a credential that is accepted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from flask import current_app

from authapp.context import MULTI_FACTOR, Principal
from authapp.domain.factors.enrolled import factors_of
from authapp.domain.principals.recent import require_multi_factor, require_recent, require_session
from authapp.domain.services import Services
from authapp.errors import (
    EmailNotVerified,
    FreshTokenRequired,
    PermissionDenied,
    Refusal,
    SecondFactorEnrolmentRequired,
    StepUpRequired,
)


class Requirement(Protocol):
    """One condition on the principal, which ``guards.mark`` adds to a view.

    ``refusals`` are what ``check`` raises, and ``description`` is a sentence; the OpenAPI document has both with the
    view. Two equal requirements count as one. One that has a ``check_order``, an integer, is checked after those with a
    lower one; without it, it is 0. One that has a ``badge``, two or three words, is shown by it on the docs page.
    """

    refusals: ClassVar[Sequence[type[Refusal]]]

    @property
    def description(self) -> str:
        """What a request needs, in a sentence of Markdown."""

    def check(self, principal: Principal) -> None:
        """Raise one of ``refusals`` unless ``principal`` meets the condition.

        Must not ask the database to let a request through.
        """


@dataclass(frozen=True)
class Fresh:
    """The access token comes from a login or a step-up, not from a refresh."""

    refusals: ClassVar[Sequence[type[Refusal]]] = (FreshTokenRequired, PermissionDenied)
    check_order: ClassVar[int] = 3
    badge: ClassVar[str] = "fresh token"
    description: ClassVar[str] = "Needs a fresh access token: one from a login or a step-up, not from a refresh."

    def check(self, principal: Principal) -> None:
        """Raise ``FreshTokenRequired``, or ``PermissionDenied`` for a credential that no login can make fresh."""
        require_session(principal)
        if not principal.fresh:
            raise FreshTokenRequired


@dataclass(frozen=True)
class Recent:
    """The user was authenticated at most ``max_age`` seconds ago; by default, ``Settings.step_up_max_age``."""

    max_age: int | None = None
    refusals: ClassVar[Sequence[type[Refusal]]] = (StepUpRequired, PermissionDenied)
    check_order: ClassVar[int] = 3
    badge: ClassVar[str] = "recent login"
    description: ClassVar[str] = (
        "Needs a recent login or step-up; `max_age` in the challenge says how many seconds ago it may have been."
    )

    def check(self, principal: Principal) -> None:
        """Raise ``StepUpRequired``, or ``PermissionDenied`` for a credential that no login can make recent."""
        require_recent(principal, self.max_age or Services.of(current_app).settings.step_up_max_age)


@dataclass(frozen=True)
class MultiFactor:
    """The user was authenticated by more than one factor in this session.

    With ``if_offered``, only where this service has second factors: without them, nobody could have such a session.
    """

    if_offered: bool = False
    refusals: ClassVar[Sequence[type[Refusal]]] = (StepUpRequired, PermissionDenied)
    check_order: ClassVar[int] = 2
    badge: ClassVar[str] = "second factor"

    @property
    def description(self) -> str:
        """Name what ``amr`` contains."""
        condition = ", where the service has second factors" if self.if_offered else ""
        return f"Needs a session with a second factor{condition}: its `amr` contains `mfa`."

    def check(self, principal: Principal) -> None:
        """Raise ``StepUpRequired``, or ``PermissionDenied`` for a credential that no login can give a second factor."""
        if not self.if_offered or Services.of(current_app).factors.offered:
            require_multi_factor(principal)


@dataclass(frozen=True)
class HasPermission:
    """The principal has ``permission`` in one of their roles."""

    permission: str
    refusals: ClassVar[Sequence[type[Refusal]]] = (PermissionDenied,)

    @property
    def badge(self) -> str:
        """The permission."""
        return self.permission

    @property
    def description(self) -> str:
        """Name the permission."""
        return f"Needs the permission `{self.permission}`."

    def check(self, principal: Principal) -> None:
        """Raise ``PermissionDenied``."""
        if not principal.may(self.permission):
            raise PermissionDenied


@dataclass(frozen=True)
class Verified:
    """The email address of the principal's account is verified."""

    refusals: ClassVar[Sequence[type[Refusal]]] = (EmailNotVerified,)
    badge: ClassVar[str] = "verified address"
    description: ClassVar[str] = "Needs an account whose email address is verified."

    def check(self, principal: Principal) -> None:
        """Raise ``EmailNotVerified``."""
        if principal.email_verified_at is None:
            raise EmailNotVerified


@dataclass(frozen=True)
class SecondFactorOfRole:
    """The user was authenticated by more than one factor, or has none of the ``roles`` that require it."""

    roles: frozenset[str]
    refusals: ClassVar[Sequence[type[Refusal]]] = (StepUpRequired, SecondFactorEnrolmentRequired)
    check_order: ClassVar[int] = 1

    @property
    def description(self) -> str:
        """Name the roles."""
        names = ", ".join(f"`{role}`" for role in sorted(self.roles))
        return f"Users with one of the roles {names} need a second factor."

    def check(self, principal: Principal) -> None:
        """Raise ``StepUpRequired`` if the account has a second factor, else ``SecondFactorEnrolmentRequired``.

        The database is asked for a refusal alone.
        """
        # A key proves no factor, and its program could add none. It was made in a session that met this requirement,
        # unless the role or the setting is newer than the key.
        if principal.api_key_id is not None:
            return
        if MULTI_FACTOR in principal.amr or self.roles.isdisjoint(principal.roles):
            return
        if factors_of(principal.id).second_factors:
            raise StepUpRequired(acr_values=MULTI_FACTOR)
        raise SecondFactorEnrolmentRequired


def in_order(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Return the distinct requirements in the order in which they are checked.

    Nobody is asked to authenticate again for what they may not do anyhow. A second factor is asked for before a recent
    login, since sending it makes the login recent as well.
    """
    return tuple(sorted(dict.fromkeys(requirements), key=lambda each: getattr(each, "check_order", 0)))
