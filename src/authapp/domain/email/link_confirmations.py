"""Which use case confirms the link of a mail: one for each purpose of a token, in an open list."""

from typing import Protocol

from authapp.context import RequestContext
from authapp.domain import one_time_tokens
from authapp.domain.one_time_tokens import FoundToken
from authapp.domain.token_purposes import token_purposes
from authapp.errors import OneTimeTokenInvalid, Refusal


class LinkConfirmation(Protocol):
    """A use case that confirms the links whose tokens are for one purpose.

    What it raises beyond ``OneTimeTokenInvalid``, it may name in a member ``refusals``, for the OpenAPI document.
    """

    @property
    def purpose(self) -> str:
        """The purpose, which is registered in ``token_purposes``."""

    def confirm(self, found: FoundToken, password: str | None, context: RequestContext, /) -> None:
        """Use a token that is good so far, with the password that was sent beside it, if one was. Raises a refusal."""


class LinkConfirmations:
    """The use cases by the purpose of their tokens. A link leads to one route, whatever it proves."""

    def __init__(self, *use_cases: LinkConfirmation) -> None:
        self._use_cases: dict[str, LinkConfirmation] = {}
        for use_case in use_cases:
            self.add(use_case)

    def add(self, use_case: LinkConfirmation) -> None:
        """Add a use case.

        Raises ``KeyError`` for an unknown purpose, ``ValueError`` for one that has a use case or a route of its own.
        """
        if use_case.purpose in self._use_cases or token_purposes[use_case.purpose].has_own_route:
            raise ValueError(f"Links for {use_case.purpose!r} are confirmed by another use case already.")
        self._use_cases[use_case.purpose] = use_case

    def refusals(self) -> set[type[Refusal]]:
        """Return what the use cases raise, as they say."""
        return {each for use_case in self._use_cases.values() for each in getattr(use_case, "refusals", ())}

    def confirm(self, token: str, password: str | None, context: RequestContext) -> None:
        """Confirm a token for whichever of the purposes it was issued.

        Raises ``OneTimeTokenInvalid``, also for a token of any other purpose, and what the use case raises.
        """
        found = one_time_tokens.find(token, *self._use_cases)
        if found is None:
            raise OneTimeTokenInvalid
        self._use_cases[found.purpose].confirm(found, password, context)
