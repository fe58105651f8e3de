"""What a view may require of the principal, besides a credential that is accepted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from authapp.context import Principal
from authapp.errors import FreshTokenRequired, PermissionDenied, Refusal


class Requirement(Protocol):
    """One condition on the principal, which ``guards.mark`` adds to a view.

    ``refusals`` are what ``check`` raises, and ``description`` is a sentence; the OpenAPI document has both with the
    view. Two equal requirements count as one.
    """

    refusals: ClassVar[Sequence[type[Refusal]]]

    @property
    def description(self) -> str:
        """What a request needs, in a sentence of Markdown."""

    def check(self, principal: Principal) -> None:
        """Raise one of ``refusals`` unless ``principal`` meets the condition. Must not ask the database."""


@dataclass(frozen=True)
class Fresh:
    """The access token comes from a login, not from a refresh."""

    refusals: ClassVar[Sequence[type[Refusal]]] = (FreshTokenRequired, PermissionDenied)
    description: ClassVar[str] = "Needs a fresh access token: one from a login, not from a refresh."

    def check(self, principal: Principal) -> None:
        """Raise ``FreshTokenRequired``, or ``PermissionDenied`` for a credential that no login can make fresh."""
        if principal.session_id is None:
            raise PermissionDenied("This needs a login: no other credential will do.")
        if not principal.fresh:
            raise FreshTokenRequired


@dataclass(frozen=True)
class HasPermission:
    """The principal has ``permission`` in one of their roles."""

    permission: str
    refusals: ClassVar[Sequence[type[Refusal]]] = (PermissionDenied,)

    @property
    def description(self) -> str:
        """Name the permission."""
        return f"Needs the permission `{self.permission}`."

    def check(self, principal: Principal) -> None:
        """Raise ``PermissionDenied``."""
        if not principal.may(self.permission):
            raise PermissionDenied
